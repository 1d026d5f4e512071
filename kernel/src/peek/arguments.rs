//! What is said behind `peek` and `poke`: `[phys|virt] ADDR NUMBER... [force]`.

use core::fmt;

use mm::Width;

use crate::prompt::words::{self, NotANumber};

/// The two kinds of address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// As page tables yield it.
    Physical,
    /// As page tables are asked.
    Virtual,
}

/// The arguments, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arguments {
    /// What the address means; virtual if it is not said.
    pub space: Space,
    /// The address.
    pub address: u64,
    /// The two numbers behind it, as far as they are there.
    pub numbers: [Option<u64>; 2],
    /// Whether it is to be done whatever comes of it.
    pub force: bool,
}

/// What is wrong with the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong<'a> {
    /// There is no address.
    NoAddress,
    /// There is no value.
    NoValue,
    /// This word is no number.
    NoNumber(&'a str, NotANumber),
    /// This word is too much.
    TooMuch(&'a str),
    /// No access is so wide.
    Width(u64),
    /// The address is no multiple of the width.
    Misaligned(Width),
    /// The value does not fit into the width.
    TooLarge(Width),
    /// No bytes, or more than are shown at once.
    Count(u64, u64),
}

impl Arguments {
    /// Reads `given`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse<'a>(given: &[&'a str]) -> Result<Self, Wrong<'a>> {
        let (space, given) = match given {
            ["phys", rest @ ..] => (Space::Physical, rest),
            ["virt", rest @ ..] => (Space::Virtual, rest),
            _ => (Space::Virtual, given),
        };
        let (force, given) = match given {
            [rest @ .., "force"] => (true, rest),
            _ => (false, given),
        };
        let number = |word: &'a str| words::number(word).map_err(|reason| Wrong::NoNumber(word, reason));
        let [address, rest @ ..] = given else { return Err(Wrong::NoAddress) };
        let address = number(address)?;
        if let Some(word) = rest.get(2) {
            return Err(Wrong::TooMuch(word));
        }
        let mut numbers = [None; 2];
        for (slot, word) in numbers.iter_mut().zip(rest) {
            *slot = Some(number(word)?);
        }
        Ok(Self { space, address, numbers, force })
    }

    /// How wide the accesses are: the second number, or a byte.
    ///
    /// # Errors
    /// If there is no such width, or the address is no multiple of it.
    pub fn width(&self) -> Result<Width, Wrong<'static>> {
        let bytes = self.numbers[1].unwrap_or(1);
        let width = Width::of(bytes).ok_or(Wrong::Width(bytes))?;
        if self.address.is_multiple_of(bytes) { Ok(width) } else { Err(Wrong::Misaligned(width)) }
    }

    /// The value to be written: the first number.
    ///
    /// # Errors
    /// If there is none, or it is wider than `width`.
    pub fn value(&self, width: Width) -> Result<u64, Wrong<'static>> {
        let value = self.numbers[0].ok_or(Wrong::NoValue)?;
        let bits = width.bytes() as u32 * 8;
        if value.checked_shr(bits).unwrap_or(0) == 0 { Ok(value) } else { Err(Wrong::TooLarge(width)) }
    }
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Wrong::NoAddress => f.write_str("ADDR is missing"),
            Wrong::NoValue => f.write_str("VALUE is missing"),
            Wrong::NoNumber(word, reason) => write!(f, "'{word}' is no number: {reason}"),
            Wrong::TooMuch(word) => write!(f, "'{word}' is too much"),
            Wrong::Width(width) => write!(f, "WIDTH is 1, 2, 4 or 8 bytes, not {width}"),
            Wrong::Misaligned(width) => write!(f, "the address is no multiple of {}", width.bytes()),
            Wrong::TooLarge(width) => write!(f, "the value does not fit into WIDTH, which is {}", width.bytes()),
            Wrong::Count(most, count) => write!(f, "COUNT is 1 to {most} bytes, not {count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use mm::Width;

    use super::{Arguments, Space, Wrong};

    #[test]
    fn the_address_stands_between_two_words_that_may_be_left_out() {
        let whole = Arguments::parse(&["phys", "0x1000", "64", "4", "force"]).unwrap();
        let numbers = [Some(64), Some(4)];
        assert_eq!(whole, Arguments { space: Space::Physical, address: 0x1000, numbers, force: true });
        let least = Arguments::parse(&["4096"]).unwrap();
        assert_eq!(least, Arguments { space: Space::Virtual, address: 4096, numbers: [None; 2], force: false });
        assert!(Arguments::parse(&["virt", "1", "force"]).unwrap().force);
    }

    #[test]
    fn whatever_is_wrong_is_said() {
        for none in [&["phys"][..], &["force"], &["virt", "force"], &[]] {
            assert_eq!(Arguments::parse(none), Err(Wrong::NoAddress), "{none:?}");
        }
        assert!(matches!(Arguments::parse(&["phys", "x"]), Err(Wrong::NoNumber("x", _))));
        assert!(matches!(Arguments::parse(&["1", "force", "2"]), Err(Wrong::NoNumber("force", _))));
        assert_eq!(Arguments::parse(&["1", "2", "4", "8"]), Err(Wrong::TooMuch("8")));
        let width = |words: &[&'static str]| Arguments::parse(words).unwrap().width();
        assert_eq!((width(&["1"]), width(&["8", "1", "8"])), (Ok(Width::One), Ok(Width::Eight)));
        assert_eq!((width(&["8", "1", "3"]), width(&["8", "1", "0"])), (Err(Wrong::Width(3)), Err(Wrong::Width(0))));
        assert_eq!(width(&["6", "1", "4"]), Err(Wrong::Misaligned(Width::Four)));
        let value = |words: &[&'static str], width| Arguments::parse(words).unwrap().value(width);
        assert_eq!(value(&["8"], Width::One), Err(Wrong::NoValue));
        assert_eq!(value(&["8", "255"], Width::One), Ok(255));
        assert_eq!(value(&["8", "256"], Width::One), Err(Wrong::TooLarge(Width::One)));
        assert_eq!(value(&["8", "0xffffffffffffffff"], Width::Eight), Ok(u64::MAX));
    }
}
