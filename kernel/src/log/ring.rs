//! The log's memory: a ring of lines, of which the oldest make room for the newest.

use core::fmt::{self, Write};

use log::Level;

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 500;

/// What stands before a line's text: its level, and its length in two bytes.
const HEAD: usize = 3;

/// What is put behind a line of which the end was cut off.
const CUT: &str = "...";

/// `SIZE` bytes of lines.
pub struct Ring<const SIZE: usize> {
    bytes: [u8; SIZE],
    /// Where the oldest line begins, and how many bytes lie between it and the end of the newest.
    first: usize,
    used: usize,
    /// How many lines had to make room.
    dropped: u64,
}

/// A line of the log.
pub struct Line {
    /// How grave it is.
    pub level: Level,
    text: Text,
}

impl Line {
    /// What it says.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }
}

impl<const SIZE: usize> Ring<SIZE> {
    /// No line.
    pub const fn new() -> Self {
        // Any line has to fit.
        assert!(SIZE >= HEAD + LONGEST);
        Self { bytes: [0; SIZE], first: 0, used: 0, dropped: 0 }
    }

    /// How many lines are no longer there.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds a line; what is longer than [`LONGEST`] is cut off, and says so.
    pub fn add(&mut self, level: Level, says: fmt::Arguments) {
        let mut text = Text::new();
        if text.write_fmt(says).is_err() {
            text.cut();
        }
        while self.used + HEAD + text.length > SIZE {
            self.used -= HEAD + self.length_at(0);
            self.first = (self.first + HEAD + self.length_at(0)) % SIZE;
            self.dropped += 1;
        }
        let [low, high] = (text.length as u16).to_le_bytes();
        for byte in [level as u8, low, high].iter().chain(&text.bytes[..text.length]) {
            self.bytes[(self.first + self.used) % SIZE] = *byte;
            self.used += 1;
        }
    }

    /// The line that begins `at` bytes behind the oldest, and where the next one begins.
    pub fn line(&self, at: usize) -> Option<(Line, usize)> {
        if at >= self.used {
            return None;
        }
        let mut text = Text::new();
        text.length = self.length_at(at);
        for (index, byte) in text.bytes[..text.length].iter_mut().enumerate() {
            *byte = self.byte(at + HEAD + index);
        }
        let level = Level::iter().find(|level| *level as u8 == self.byte(at))?;
        let next = at + HEAD + text.length;
        Some((Line { level, text }, next))
    }

    fn length_at(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(at + 1), self.byte(at + 2)]))
    }

    const fn byte(&self, at: usize) -> u8 {
        self.bytes[(self.first + at) % SIZE]
    }
}

struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Puts [`CUT`] in the place of the last letters.
    fn cut(&mut self) {
        self.length = self.as_str().floor_char_boundary(LONGEST - CUT.len());
        // There is room now.
        let _ = self.write_str(CUT);
    }
}

impl fmt::Write for Text {
    /// Takes as many letters as there is room for, and fails if those are not all.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let fits = text.floor_char_boundary(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::{LONGEST, Ring};

    fn lines<const SIZE: usize>(ring: &Ring<SIZE>) -> Vec<(Level, String)> {
        let mut at = 0;
        core::iter::from_fn(|| {
            let (line, next) = ring.line(at)?;
            at = next;
            Some((line.level, line.text().to_string()))
        })
        .collect()
    }

    #[test]
    fn lines_come_back_with_their_levels_in_their_order() {
        let mut ring = Ring::<1000>::new();
        ring.add(Level::Info, format_args!("first"));
        ring.add(Level::Error, format_args!(""));
        ring.add(Level::Debug, format_args!("thïrd {}", 3));
        let expected = [(Level::Info, "first".into()), (Level::Error, String::new()), (Level::Debug, "thïrd 3".into())];
        assert_eq!(lines(&ring), expected);
        assert_eq!(ring.dropped(), 0);
    }

    #[test]
    fn the_oldest_lines_make_room_and_are_counted() {
        let mut ring = Ring::<600>::new();
        for number in 0..1000 {
            ring.add(Level::Warn, format_args!("line {number} {}", "x".repeat(number % 97)));
            let kept = lines(&ring);
            assert_eq!(kept.len() as u64 + ring.dropped(), number as u64 + 1);
            for (line, at) in kept.iter().rev().zip((0..=number).rev()) {
                assert_eq!(line.1, format!("line {at} {}", "x".repeat(at % 97)));
            }
        }
        assert!(ring.dropped() > 900);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so() {
        let mut ring = Ring::<1200>::new();
        ring.add(Level::Info, format_args!("{}", "x".repeat(LONGEST)));
        ring.add(Level::Info, format_args!("{}", "ä".repeat(LONGEST)));
        let kept = lines(&ring);
        assert_eq!(kept[0].1, "x".repeat(LONGEST));
        assert!(kept[1].1.ends_with("ä...") && kept[1].1.len() <= LONGEST, "{}", kept[1].1);
    }
}
