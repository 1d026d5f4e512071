//! A line as it is typed, and the terminal that shows it.
//!
//! The terminal is told as little as can be: typing at the line's end sends back what was typed and nothing else, so that
//! scripts find it, and everything else is made of letters, blanks and backspaces, which every terminal knows. (On one
//! that is narrower than the line, the cursor does not climb back to the row above; the line itself is right all the same.)

use core::fmt::{self, Write};

use super::history::History;
use super::keys::Key;

/// The longest line, in letters.
pub const LONGEST: usize = 240;

const BELL: char = '\x07';

/// A line that is being typed. Only printable ASCII gets in: no command needs more.
pub struct Editor {
    bytes: [u8; LONGEST],
    length: usize,
    /// The letter under the cursor; as many as there are if it stands behind the last.
    cursor: usize,
    /// How many letters came for which there was no room.
    beyond: usize,
    history: History,
    /// What was being typed before one went back in history.
    draft: [u8; LONGEST],
    draft_length: usize,
}

/// What a key did to the line, beside what the terminal shows already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It goes on.
    Typing,
    /// The whole line was given up.
    Dropped,
    /// The word before the cursor is to be completed.
    Complete,
    /// The screen is to be cleared, and the line shown anew.
    ClearScreen,
    /// The line is complete.
    Done,
    /// The line has ended, and had so many letters: more than there is room for. What is kept of it is not what
    /// was typed, so nobody should act on it.
    TooLong(usize),
}

impl Editor {
    /// An empty line, and nothing before it.
    pub const fn new() -> Self {
        Self {
            bytes: [0; LONGEST],
            length: 0,
            cursor: 0,
            beyond: 0,
            history: History::new(),
            draft: [0; LONGEST],
            draft_length: 0,
        }
    }

    /// Begins a new line.
    pub const fn clear(&mut self) {
        self.length = 0;
        self.cursor = 0;
        self.beyond = 0;
        self.history.rewind();
    }

    /// Remembers the line.
    pub fn remember(&mut self) {
        self.history.add(&self.bytes[..self.length]);
    }

    /// The line so far.
    pub fn line(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// What stands before the cursor.
    pub fn before_cursor(&self) -> &str {
        &self.line()[..self.cursor]
    }

    /// Takes a key, and has the terminal show what it did.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn take(&mut self, key: Key, terminal: &mut dyn Write) -> Result<Event, fmt::Error> {
        if self.beyond > 0 {
            return self.take_beyond(key, terminal);
        }
        let (cursor, length) = (self.cursor, self.length);
        match key {
            Key::Letter(letter) if length < LONGEST => {
                let letter = [letter];
                self.change(cursor, cursor, core::str::from_utf8(&letter).unwrap_or_default(), terminal)?;
            }
            Key::Letter(_) => {
                self.beyond = 1;
                terminal.write_char(BELL)?;
            }
            Key::Backspace if cursor > 0 => self.change(cursor - 1, cursor, "", terminal)?,
            Key::Delete if cursor < length => self.change(cursor, cursor + 1, "", terminal)?,
            Key::KillLeft => self.change(0, cursor, "", terminal)?,
            Key::KillRight => self.change(cursor, length, "", terminal)?,
            Key::KillWord => {
                let word = self.before_cursor().trim_end();
                let start = word.rfind(' ').map_or(0, |blank| blank + 1);
                self.change(start, cursor, "", terminal)?;
            }
            Key::Left => self.go(cursor.saturating_sub(1), terminal)?,
            Key::Right => self.go(length.min(cursor + 1), terminal)?,
            Key::Home => self.go(0, terminal)?,
            Key::End => self.go(length, terminal)?,
            Key::Up => self.recall(History::older, terminal)?,
            Key::Down => self.recall(History::newer, terminal)?,
            Key::Backspace | Key::Delete => {}
            Key::Tab => return Ok(Event::Complete),
            Key::ClearScreen => return Ok(Event::ClearScreen),
            Key::Interrupt => return Ok(self.give_up()),
            Key::Enter => {
                self.go(length, terminal)?;
                return Ok(Event::Done);
            }
        }
        Ok(Event::Typing)
    }

    /// Takes a key where more was typed than there is room for: nothing but an end of some kind is of use then.
    fn take_beyond(&mut self, key: Key, terminal: &mut dyn Write) -> Result<Event, fmt::Error> {
        match key {
            Key::Letter(_) => self.beyond = self.beyond.saturating_add(1),
            Key::Backspace => self.beyond -= 1,
            Key::KillLeft => {
                self.beyond = 0;
                self.change(0, self.length, "", terminal)?;
            }
            Key::Interrupt => return Ok(self.give_up()),
            Key::Enter => return Ok(Event::TooLong(self.length.saturating_add(self.beyond))),
            _ => terminal.write_char(BELL)?,
        }
        Ok(Event::Typing)
    }

    const fn give_up(&mut self) -> Event {
        self.clear();
        Event::Dropped
    }

    /// Puts `text` in at the cursor if there is room for all of it.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn insert(&mut self, text: &str, terminal: &mut dyn Write) -> fmt::Result {
        if self.length + text.len() > LONGEST {
            return terminal.write_char(BELL);
        }
        self.change(self.cursor, self.cursor, text, terminal)
    }

    /// Shows the line on a row of the terminal that has none of it yet.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn show(&self, terminal: &mut dyn Write) -> fmt::Result {
        terminal.write_str(self.line())?;
        back(terminal, self.length - self.cursor)
    }

    /// Moves the cursor: to the left by backspaces, to the right by writing once more what is there.
    fn go(&mut self, to: usize, terminal: &mut dyn Write) -> fmt::Result {
        back(terminal, self.cursor.saturating_sub(to))?;
        terminal.write_str(self.line().get(self.cursor..to).unwrap_or_default())?;
        self.cursor = to;
        Ok(())
    }

    /// Puts `text` in the place of the letters `from .. to`, and the cursor behind it. There is room for it.
    fn change(&mut self, from: usize, to: usize, text: &str, terminal: &mut dyn Write) -> fmt::Result {
        self.go(from, terminal)?;
        let behind = from + text.len();
        let length = self.length - (to - from) + text.len();
        self.bytes.copy_within(to..self.length, behind);
        self.bytes[from..behind].copy_from_slice(text.as_bytes());
        let gone = self.length.saturating_sub(length);
        self.length = length;
        self.cursor = behind;
        terminal.write_str(&self.line()[from..])?;
        (0..gone).try_for_each(|_| terminal.write_char(' '))?;
        back(terminal, length - behind + gone)
    }

    /// Puts the line in place that `which` finds in history.
    fn recall(&mut self, which: fn(&mut History) -> Option<&[u8]>, terminal: &mut dyn Write) -> fmt::Result {
        let was_newest = self.history.at_newest();
        let mut room = [0; LONGEST];
        let Some(mut length) = which(&mut self.history).map(|line| {
            room[..line.len()].copy_from_slice(line);
            line.len()
        }) else {
            return terminal.write_char(BELL);
        };
        if was_newest {
            (self.draft, self.draft_length) = (self.bytes, self.length);
        } else if self.history.at_newest() {
            (room, length) = (self.draft, self.draft_length);
        }
        self.change(0, self.length, core::str::from_utf8(&room[..length]).unwrap_or_default(), terminal)
    }
}

fn back(terminal: &mut dyn Write, count: usize) -> fmt::Result {
    (0..count).try_for_each(|_| terminal.write_char('\x08'))
}

#[cfg(test)]
mod tests {
    use super::{Editor, Event, LONGEST};
    use crate::prompt::keys::Decoder;

    /// An editor, and what somebody sees who looks at its terminal.
    struct Desk {
        editor: Editor,
        decoder: Decoder,
        row: Vec<char>,
        cursor: usize,
        sent: String,
    }

    impl Desk {
        fn new() -> Self {
            Self { editor: Editor::new(), decoder: Decoder::new(), row: vec![], cursor: 0, sent: String::new() }
        }

        /// Types, and compares what the terminal shows with what the editor holds after each byte.
        fn type_in(&mut self, text: &[u8]) -> Vec<Event> {
            let mut events = Vec::new();
            for byte in text {
                let Some(key) = self.decoder.take(*byte) else { continue };
                let mut sent = String::new();
                events.push(self.editor.take(key, &mut sent).unwrap());
                self.sent.push_str(&sent);
                for letter in sent.chars() {
                    match letter {
                        '\x07' => {}
                        '\x08' => self.cursor = self.cursor.checked_sub(1).expect("left of the line's begin"),
                        letter => {
                            self.row.resize(self.row.len().max(self.cursor + 1), ' ');
                            self.row[self.cursor] = letter;
                            self.cursor += 1;
                        }
                    }
                }
                match events.last() {
                    Some(Event::Done) => self.enter(),
                    Some(Event::TooLong(_) | Event::Dropped) => self.next(),
                    _ => {
                        let row: String = self.row.iter().collect();
                        assert_eq!((row.trim_end(), self.cursor), (self.editor.line().trim_end(), self.editor.cursor));
                    }
                }
            }
            events
        }

        fn enter(&mut self) {
            assert_eq!(self.cursor, self.editor.length, "the cursor is behind the line when it ends");
            self.editor.remember();
            self.next();
        }

        fn next(&mut self) {
            self.editor.clear();
            self.row.clear();
            self.cursor = 0;
        }
    }

    fn line(text: &[u8]) -> String {
        let mut desk = Desk::new();
        desk.type_in(text);
        desk.editor.line().into()
    }

    #[test]
    fn what_was_typed_and_not_erased_is_the_line() {
        assert_eq!(line(b"maps"), "maps");
        assert_eq!(line(b"mx\x08aps"), "maps");
        assert_eq!(line(b"\x7f\x7fmaps!\x7f"), "maps");
        assert_eq!(line(b"walk 1\x15maps"), "maps");
        assert_eq!(line(b"walk\x03maps"), "maps");
        assert_eq!(line(b"walk 0x1000\x17\x17maps"), "maps");
        assert_eq!(line(b"walk 0x1000 \x172"), "walk 2");
    }

    #[test]
    fn a_line_can_be_changed_anywhere() {
        assert_eq!(line(b"mps\x1b[D\x1b[Da"), "maps");
        assert_eq!(line(b"aps\x01m\x05!"), "maps!");
        assert_eq!(line(b"maaps\x1b[H\x1b[C\x1b[3~"), "maps");
        assert_eq!(line(b"xmaps\x01\x04"), "maps");
        assert_eq!(line(b"maps 12\x02\x02\x02\x0b"), "maps");
        assert_eq!(line(b"one two three\x02\x02\x02\x02\x02\x17"), "one three");
        assert_eq!(line(b"walk maps\x02\x02\x02\x02\x15"), "maps");
        assert_eq!(line(b"\x1b[D\x1b[C\x1b[C\x1b[Dmaps\x1b[C\x04"), "maps");
    }

    #[test]
    fn typing_at_the_end_sends_back_what_was_typed_and_nothing_else() {
        let mut desk = Desk::new();
        desk.type_in(b"walk 0x1000");
        assert_eq!(desk.sent, "walk 0x1000");
        desk.type_in(b"\x7f");
        assert_eq!(desk.sent, "walk 0x1000\x08 \x08");
    }

    #[test]
    fn lines_come_back_from_history_and_what_was_begun_after_them() {
        let mut desk = Desk::new();
        desk.type_in(b"maps\rwalk 0x1000\rcpu\rbegun");
        desk.type_in(b"\x1b[A\x1b[A");
        assert_eq!(desk.editor.line(), "walk 0x1000");
        desk.type_in(b"\x1b[B\x1b[B\x1b[B");
        assert_eq!(desk.editor.line(), "begun");
        desk.type_in(b"\x10\x10\x10\x10\x10");
        assert_eq!(desk.editor.line(), "maps");
        desk.type_in(b"!\r\x10");
        assert_eq!(desk.editor.line(), "maps!", "a line that was changed is a new one");
        desk.type_in(b"\x10\x10\x10\x10");
        assert_eq!(desk.editor.line(), "maps", "and the old one is as it was");
    }

    #[test]
    fn a_line_with_more_letters_than_there_is_room_for_says_how_many() {
        let last = |text: &[u8]| Desk::new().type_in(text).last().copied();
        let full = vec![b'x'; LONGEST];
        assert_eq!(line(&full).len(), LONGEST);
        assert_eq!(last(&[&full[..], b"\r"].concat()), Some(Event::Done));
        assert_eq!(last(&[&full[..], b"yz\n"].concat()), Some(Event::TooLong(LONGEST + 2)));
        assert_eq!(last(&[&full[..], b"\x01y\x02\x17\t\n"].concat()), Some(Event::TooLong(LONGEST + 1)));
        assert_eq!(last(&[&full[..], b"yz\x7f\x08\n"].concat()), Some(Event::Done), "taken back");
        assert_eq!(last(&[&full[..], b"yz\x15maps\n"].concat()), Some(Event::Done), "erased");
        assert_eq!(last(&[&full[..], b"yz\x03maps\n"].concat()), Some(Event::Done), "given up");
    }

    #[test]
    fn whatever_is_typed_the_terminal_shows_the_line() {
        // Keys by a small generator (Knuth's MMIX constants); `Desk` compares after each.
        let keys: [&[u8]; 16] = [
            b"a",
            b"b c",
            b" ",
            b"\x7f",
            b"\x1b[D",
            b"\x1b[D\x1b[D",
            b"\x1b[C",
            b"\x01",
            b"\x05",
            b"\x1b[3~",
            b"\x0b",
            b"\x17",
            b"\x15",
            b"\x10",
            b"\x0e",
            b"\r",
        ];
        let mut desk = Desk::new();
        let mut random = 1u64;
        for _ in 0..200_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Ends and kills are rarer than letters, so that lines get long.
            let pick = (random >> 59) as usize & 31;
            desk.type_in(keys.get(pick).copied().unwrap_or(if pick < 26 { b"xy" } else { b"\x1b[D" }));
        }
        assert!(desk.editor.history.older().is_some());
    }
}
