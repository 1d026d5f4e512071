//! What may follow a command's name, and what is wrong with what does.

use core::fmt;

/// Why what follows a command's name is not what the command takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse<'a> {
    /// This argument has to be there.
    Missing(&'static str),
    /// The command takes nothing in this place.
    TooMuch(&'a str),
}

/// Checks what was given against what a command takes: names of arguments, those in brackets may be left out.
///
/// # Errors
/// The first argument that is missing, or the first word that is too much.
pub fn check<'a>(takes: &'static str, given: &[&'a str]) -> Result<(), Misuse<'a>> {
    let mut needed = takes.split_ascii_whitespace().filter(|name| !name.starts_with('['));
    if let Some(name) = needed.nth(given.len()) {
        return Err(Misuse::Missing(name));
    }
    match given.get(takes.split_ascii_whitespace().count()) {
        Some(word) => Err(Misuse::TooMuch(word)),
        None => Ok(()),
    }
}

impl fmt::Display for Misuse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Misuse::Missing(name) => write!(f, "{name} is missing"),
            Misuse::TooMuch(word) => write!(f, "'{word}' is too much"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Misuse, check};

    #[test]
    fn what_is_not_in_brackets_has_to_be_there() {
        assert_eq!(check("ADDR", &[]), Err(Misuse::Missing("ADDR")));
        assert_eq!(check("ADDR [COUNT]", &[]), Err(Misuse::Missing("ADDR")));
        assert_eq!(check("ADDR VALUE", &["1"]), Err(Misuse::Missing("VALUE")));
        assert_eq!(check("ADDR", &["1"]), Ok(()));
        assert_eq!(check("ADDR [COUNT]", &["1"]), Ok(()));
        assert_eq!(check("[NAME]", &[]), Ok(()));
        assert_eq!(check("[phys|virt] ADDR", &["1"]), Ok(()), "what may be left out can come first");
        assert_eq!(check("[phys|virt] ADDR", &[]), Err(Misuse::Missing("ADDR")));
    }

    #[test]
    fn what_is_not_asked_for_is_too_much() {
        assert_eq!(check("", &[]), Ok(()));
        assert_eq!(check("", &["x"]), Err(Misuse::TooMuch("x")));
        assert_eq!(check("[NAME]", &["x"]), Ok(()));
        assert_eq!(check("[NAME]", &["x", "y", "z"]), Err(Misuse::TooMuch("y")));
        assert_eq!(check("ADDR [COUNT]", &["x", "y", "z"]), Err(Misuse::TooMuch("z")));
    }
}
