//! Words that stand for numbers.

use core::fmt;

/// Why a word is no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotANumber {
    /// It has no digit.
    Empty,
    /// This letter is no digit of the base.
    Digit(char, u32),
    /// It is larger than 64 bits can hold.
    TooLarge,
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            NotANumber::Empty => f.write_str("it has no digits"),
            NotANumber::Digit(letter, 16) => write!(f, "'{letter}' is no hexadecimal digit"),
            NotANumber::Digit(letter, _) => {
                write!(f, "'{letter}' is no decimal digit (hexadecimal numbers begin with 0x)")
            }
            NotANumber::TooLarge => f.write_str("it does not fit into 64 bits"),
        }
    }
}

/// The number that `word` stands for: hexadecimal after `0x`, else decimal; `_` between digits is ignored.
///
/// # Errors
/// What is wrong with it.
pub fn number(word: &str) -> Result<u64, NotANumber> {
    let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let (digits, base) = hexadecimal.map_or((word, 10), |digits| (digits, 16));
    let mut value = None;
    for letter in digits.chars().filter(|letter| *letter != '_') {
        let digit = letter.to_digit(base).ok_or(NotANumber::Digit(letter, base))?;
        let shifted = value.unwrap_or(0u64).checked_mul(u64::from(base));
        value = Some(shifted.and_then(|value| value.checked_add(u64::from(digit))).ok_or(NotANumber::TooLarge)?);
    }
    value.ok_or(NotANumber::Empty)
}

#[cfg(test)]
mod tests {
    use super::{NotANumber, number};

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number("4096"), Ok(4096));
        assert_eq!(number("0xffff_8000_0000_0000"), Ok(0xFFFF_8000_0000_0000));
        assert_eq!(number("0XfF"), Ok(255));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn anything_else_is_told_apart() {
        assert_eq!(number(""), Err(NotANumber::Empty));
        assert_eq!(number("0x"), Err(NotANumber::Empty));
        assert_eq!(number("_"), Err(NotANumber::Empty));
        assert_eq!(number("ff"), Err(NotANumber::Digit('f', 10)));
        assert_eq!(number("0xfg"), Err(NotANumber::Digit('g', 16)));
        assert_eq!(number("-1"), Err(NotANumber::Digit('-', 10)));
        assert_eq!(number("18446744073709551616"), Err(NotANumber::TooLarge));
        assert_eq!(number("0x10000000000000000"), Err(NotANumber::TooLarge));
    }
}
