//! From bytes to keys: what a terminal sends when a key is pressed.
//!
//! The keys that have no letter come as ANSI sequences (ECMA-48, 5.4: `ESC [`, parameters, a letter) or, from a terminal
//! in its application mode, as `ESC O` and a letter. The PS/2 keyboard is made to send the same.

const ESCAPE: u8 = 0x1B;

/// A key, by what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// This printable ASCII letter.
    Letter(u8),
    /// The line is complete.
    Enter,
    /// The letter before the cursor goes.
    Backspace,
    /// The letter under the cursor goes.
    Delete,
    /// One letter to the left.
    Left,
    /// One letter to the right.
    Right,
    /// To the line's begin.
    Home,
    /// To the line's end.
    End,
    /// To the line before this one.
    Up,
    /// To the line after this one.
    Down,
    /// Complete the word.
    Tab,
    /// What is right of the cursor goes.
    KillRight,
    /// What is left of the cursor goes.
    KillLeft,
    /// The word left of the cursor goes.
    KillWord,
    /// The line is given up.
    Interrupt,
    /// The screen is cleared.
    ClearScreen,
}

/// How far a sequence has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none.
    Plain,
    /// The last byte was CR: an LF after it belongs to it.
    AfterCr,
    /// The last byte was ESC.
    Escape,
    /// `ESC O` has come.
    Application,
    /// `ESC [` has come, and this number.
    Sequence(u8),
}

/// Puts keys together from bytes.
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// Nothing was typed.
    pub const fn new() -> Self {
        Self { state: State::Plain }
    }

    /// Takes a byte; tells the key that it completes. Sequences that mean nothing here are swallowed whole.
    pub fn take(&mut self, byte: u8) -> Option<Key> {
        let state = core::mem::replace(&mut self.state, State::Plain);
        match (state, byte) {
            (State::AfterCr, b'\n') => None,
            (State::Escape, b'[') => self.go(State::Sequence(0)),
            (State::Escape, b'O') => self.go(State::Application),
            (State::Application, b'A'..=b'z') => named(byte),
            (State::Sequence(number), b'0'..=b'9') => {
                self.go(State::Sequence(number.saturating_mul(10).saturating_add(byte - b'0')))
            }
            // The rest of a sequence's parameters, of which only the first counts.
            (State::Sequence(number), b' '..=b'?') => self.go(State::Sequence(number)),
            (State::Sequence(number), b'~') => numbered(number),
            (State::Sequence(_), b'@'..=b'}') => named(byte),
            // A sequence that is broken off takes nothing with it.
            _ => self.plain(byte),
        }
    }

    const fn go(&mut self, state: State) -> Option<Key> {
        self.state = state;
        None
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        const fn control(letter: u8) -> u8 {
            letter & 0x1F
        }
        const CTRL_A: u8 = control(b'A');
        const CTRL_B: u8 = control(b'B');
        const CTRL_C: u8 = control(b'C');
        const CTRL_D: u8 = control(b'D');
        const CTRL_E: u8 = control(b'E');
        const CTRL_F: u8 = control(b'F');
        const CTRL_K: u8 = control(b'K');
        const CTRL_L: u8 = control(b'L');
        const CTRL_N: u8 = control(b'N');
        const CTRL_P: u8 = control(b'P');
        const CTRL_U: u8 = control(b'U');
        const CTRL_W: u8 = control(b'W');
        match byte {
            b' '..=b'~' => Some(Key::Letter(byte)),
            b'\r' => {
                self.state = State::AfterCr;
                Some(Key::Enter)
            }
            b'\n' => Some(Key::Enter),
            b'\t' => Some(Key::Tab),
            0x08 | 0x7F => Some(Key::Backspace),
            CTRL_A => Some(Key::Home),
            CTRL_B => Some(Key::Left),
            CTRL_C => Some(Key::Interrupt),
            CTRL_D => Some(Key::Delete),
            CTRL_E => Some(Key::End),
            CTRL_F => Some(Key::Right),
            CTRL_K => Some(Key::KillRight),
            CTRL_L => Some(Key::ClearScreen),
            CTRL_N => Some(Key::Down),
            CTRL_P => Some(Key::Up),
            CTRL_U => Some(Key::KillLeft),
            CTRL_W => Some(Key::KillWord),
            ESCAPE => self.go(State::Escape),
            _ => None,
        }
    }
}

/// The key that a sequence's last letter stands for.
const fn named(letter: u8) -> Option<Key> {
    match letter {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

/// The key that a sequence's number stands for; terminals do not agree on Home and End.
const fn numbered(number: u8) -> Option<Key> {
    match number {
        1 | 7 => Some(Key::Home),
        3 => Some(Key::Delete),
        4 | 8 => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Key};

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|byte| decoder.take(*byte)).collect()
    }

    #[test]
    fn keys_without_a_letter_come_as_sequences() {
        let arrows = [Key::Up, Key::Down, Key::Right, Key::Left];
        assert_eq!(keys(b"\x1b[A\x1b[B\x1b[C\x1b[D"), arrows);
        assert_eq!(keys(b"\x1bOA\x1bOB\x1bOC\x1bOD"), arrows);
        assert_eq!(keys(b"\x10\x0e\x06\x02"), arrows);
        assert_eq!(keys(b"\x1b[H\x1b[1~\x1b[7~\x1bOH\x01"), [Key::Home; 5]);
        assert_eq!(keys(b"\x1b[F\x1b[4~\x1b[8~\x1bOF\x05"), [Key::End; 5]);
        assert_eq!(keys(b"\x1b[3~\x04"), [Key::Delete; 2]);
        assert_eq!(keys(b"\x1b[1;5C"), [Key::Right], "with control held down");
    }

    #[test]
    fn what_means_nothing_is_swallowed_whole_and_takes_nothing_with_it() {
        let letters = |text: &[u8]| text.iter().map(|letter| Key::Letter(*letter)).collect::<Vec<_>>();
        assert_eq!(keys(b"a\x1b[15~b\x1b[99999999999~c\x1b[?25hd"), letters(b"abcd"));
        assert_eq!(keys(b"m\x1baps\x00\xff"), letters(b"maps"));
        assert_eq!(keys(b"\x1b\x1b[D"), [Key::Left]);
        assert_eq!(keys(b"\x1b\r\x1b[\r\x1b[1\r\x1bO\r"), [Key::Enter; 4]);
    }

    #[test]
    fn each_kind_of_line_end_ends_one_line() {
        for text in [&b"\r\r"[..], b"\n\n", b"\r\n\r\n", b"\r\n\n"] {
            assert_eq!(keys(text), [Key::Enter; 2], "{text:?}");
        }
    }
}
