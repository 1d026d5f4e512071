//! The lines that were entered before.

use super::line::LONGEST;

/// How many are remembered.
const LINES: usize = 32;

/// The last lines that were entered, and how far back one has gone.
pub struct History {
    lines: [[u8; LONGEST]; LINES],
    lengths: [u8; LINES],
    /// How many were ever added.
    added: usize,
    /// How many lines back one has gone; 0 is the line that is being typed.
    back: usize,
}

// A length fits into its byte.
const _: () = assert!(LONGEST <= u8::MAX as usize);

impl History {
    /// Nothing was entered.
    pub const fn new() -> Self {
        Self { lines: [[0; LONGEST]; LINES], lengths: [0; LINES], added: 0, back: 0 }
    }

    /// Remembers a line that was entered, unless it is blank or the same as the last, and comes back to the newest.
    pub fn add(&mut self, line: &[u8]) {
        self.back = 0;
        if line.trim_ascii().is_empty() || self.line(1) == Some(line) {
            return;
        }
        let Some(room) = self.lines[self.added % LINES].get_mut(..line.len()) else { return };
        room.copy_from_slice(line);
        self.lengths[self.added % LINES] = line.len() as u8;
        self.added += 1;
    }

    /// The line `back` lines before the one that is being typed.
    fn line(&self, back: usize) -> Option<&[u8]> {
        let oldest = self.added.min(LINES);
        let at = self.added.checked_sub(back).filter(|_| (1..=oldest).contains(&back))? % LINES;
        Some(&self.lines[at][..usize::from(self.lengths[at])])
    }

    /// Goes a line back; `None` if there is none.
    pub fn older(&mut self) -> Option<&[u8]> {
        if self.back == self.added.min(LINES) {
            return None;
        }
        self.back += 1;
        self.line(self.back)
    }

    /// Goes a line forth: an empty one is the line that is being typed. `None` if one is there already.
    pub fn newer(&mut self) -> Option<&[u8]> {
        self.back = self.back.checked_sub(1)?;
        Some(self.line(self.back).unwrap_or_default())
    }

    /// Whether one is at the line that is being typed.
    pub const fn at_newest(&self) -> bool {
        self.back == 0
    }

    /// Comes back to the line that is being typed.
    pub const fn rewind(&mut self) {
        self.back = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{History, LINES};

    #[test]
    fn one_goes_back_to_the_oldest_and_forth_to_the_newest() {
        let mut history = History::new();
        assert!(history.older().is_none() && history.newer().is_none());
        for line in ["one", "two", "two", " ", "", "three"] {
            history.add(line.as_bytes());
        }
        assert_eq!(history.older(), Some(&b"three"[..]));
        assert_eq!(history.older(), Some(&b"two"[..]));
        assert_eq!(history.older(), Some(&b"one"[..]));
        assert_eq!(history.older(), None);
        assert_eq!(history.newer(), Some(&b"two"[..]));
        assert_eq!(history.newer(), Some(&b"three"[..]));
        assert_eq!(history.newer(), Some(&b""[..]));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let mut history = History::new();
        for number in 0..LINES + 5 {
            history.add(number.to_string().as_bytes());
        }
        let mut count = 0;
        let mut last = Vec::new();
        while let Some(line) = history.older() {
            last = line.to_vec();
            count += 1;
        }
        assert_eq!((count, &last[..]), (LINES, &b"5"[..]));
    }
}
