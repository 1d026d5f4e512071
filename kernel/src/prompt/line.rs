//! A line as it is typed.

/// The longest line, in letters.
pub const LONGEST: usize = 240;

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7F;
const CTRL_C: u8 = 0x03;
const CTRL_U: u8 = 0x15;

/// A line that is being typed. Only printable ASCII gets in: no command needs more.
pub struct Editor {
    bytes: [u8; LONGEST],
    length: usize,
    /// How many letters came for which there was no room.
    beyond: usize,
    /// Whether the last line ended with CR: an LF after it belongs to that end.
    after_cr: bool,
}

/// What a byte did to the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Nothing to be seen.
    Nothing,
    /// This letter was added.
    Typed(char),
    /// So many letters were taken off the end.
    Erased(usize),
    /// There is no room from this letter on: it was counted and not taken.
    Full,
    /// The whole line was given up.
    Dropped,
    /// The line is complete.
    Done,
    /// The line has ended, and had so many letters: more than there is room for. What is kept of it is not what
    /// was typed, so nobody should act on it.
    TooLong(usize),
}

impl Editor {
    /// An empty line.
    pub const fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0, beyond: 0, after_cr: false }
    }

    /// Begins a new line.
    pub const fn clear(&mut self) {
        self.length = 0;
        self.beyond = 0;
    }

    /// What the end of the line means.
    const fn end(&self) -> Event {
        if self.beyond > 0 { Event::TooLong(self.length + self.beyond) } else { Event::Done }
    }

    /// The line so far.
    pub fn line(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Takes what was typed.
    pub fn take(&mut self, byte: u8) -> Event {
        let after_cr = core::mem::take(&mut self.after_cr);
        match byte {
            b'\r' => {
                self.after_cr = true;
                self.end()
            }
            b'\n' if after_cr => Event::Nothing,
            b'\n' => self.end(),
            CTRL_C => {
                self.clear();
                Event::Dropped
            }
            CTRL_U => {
                let erased = self.length;
                self.clear();
                Event::Erased(erased)
            }
            BACKSPACE | DELETE if self.beyond > 0 => {
                self.beyond -= 1;
                Event::Nothing
            }
            BACKSPACE | DELETE if self.length > 0 => {
                self.length -= 1;
                Event::Erased(1)
            }
            b' '..=b'~' if self.length == LONGEST => {
                self.beyond = self.beyond.saturating_add(1);
                if self.beyond == 1 { Event::Full } else { Event::Nothing }
            }
            b' '..=b'~' => {
                self.bytes[self.length] = byte;
                self.length += 1;
                Event::Typed(char::from(byte))
            }
            _ => Event::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Editor, Event, LONGEST};

    fn typed(text: &[u8]) -> (String, Vec<Event>) {
        let mut editor = Editor::new();
        let events = text.iter().map(|byte| editor.take(*byte)).collect();
        (editor.line().into(), events)
    }

    #[test]
    fn what_was_typed_and_not_erased_is_the_line() {
        assert_eq!(typed(b"maps").0, "maps");
        assert_eq!(typed(b"mx\x08aps").0, "maps");
        assert_eq!(typed(b"\x7f\x7fmaps!\x7f").0, "maps");
        assert_eq!(typed(b"walk 1\x15maps").0, "maps");
        assert_eq!(typed(b"walk\x03maps").0, "maps");
        assert_eq!(typed(b"m\x1baps\x00\xff").0, "maps");
    }

    #[test]
    fn each_kind_of_line_end_ends_one_line() {
        let ends = |text: &[u8]| typed(text).1.iter().filter(|event| **event == Event::Done).count();
        assert_eq!((ends(b"a\rb\r"), ends(b"a\nb\n"), ends(b"a\r\nb\r\n"), ends(b"\r\n\n")), (2, 2, 2, 2));
    }

    #[test]
    fn a_line_with_more_letters_than_there_is_room_for_says_how_many() {
        let last = |text: &[u8]| typed(text).1.last().copied();
        let full = vec![b'x'; LONGEST];
        assert_eq!(typed(&full).0.len(), LONGEST);
        assert_eq!(last(&[&full[..], b"\r"].concat()), Some(Event::Done));
        assert_eq!(last(&[&full[..], b"y"].concat()), Some(Event::Full));
        assert_eq!(last(&[&full[..], b"yz"].concat()), Some(Event::Nothing));
        assert_eq!(last(&[&full[..], b"yz\n"].concat()), Some(Event::TooLong(LONGEST + 2)));
        assert_eq!(last(&[&full[..], b"yz\x7f\x08\n"].concat()), Some(Event::Done), "taken back");
        assert_eq!(last(&[&full[..], b"yz\x15maps\n"].concat()), Some(Event::Done), "erased");
        assert_eq!(last(&[&full[..], b"yz\x03maps\n"].concat()), Some(Event::Done), "given up");
    }
}
