//! One keyboard: what its scancodes mean, one after the other.

use core::mem;

use pc_keyboard::layouts::AnyLayout;
use pc_keyboard::{DecodedKey, EventDecoder, HandleControl, KeyCode, KeyEvent, KeyState, ScancodeSet, ScancodeSet1};

use crate::Layout;

/// What comes before the scancode of a key that the first keyboards did not have, and before that of the pause key.
const PREFIXES: [u8; 2] = [0xE0, 0xE1];

/// What a keyboard sends when it lost scancodes: the first in set 2, the second in set 1.
const OVERRUNS: [u8; 2] = [0x00, 0xFF];

/// The keys that only Japanese keyboards have, by scancode: `pc-keyboard` knows their letters, but not their scancodes in set 1.
const JAPANESE: [(u8, KeyCode); 5] = [
    (0x70, KeyCode::Oem11),
    (0x73, KeyCode::Oem12),
    (0x79, KeyCode::Oem10),
    (0x7B, KeyCode::Oem9),
    (0x7D, KeyCode::Oem13),
];

/// The bit of a scancode that says that the key was let go.
const RELEASED: u8 = 0x80;

/// The keys that change what others mean for as long as they are down.
const HELD: [KeyCode; 7] = [
    KeyCode::LShift,
    KeyCode::RShift,
    KeyCode::LControl,
    KeyCode::RControl,
    KeyCode::LAlt,
    KeyCode::RAltGr,
    KeyCode::RControl2,
];

/// Bytes that one key sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bytes {
    bytes: [u8; 4],
    left: u8,
}

impl Bytes {
    /// None.
    pub const NONE: Self = Self { bytes: [0; 4], left: 0 };

    /// At most four.
    fn of(bytes: &[u8]) -> Self {
        let mut all = Self::NONE;
        // The last ones, so that the next to be given is always `left` before the end.
        for (slot, byte) in all.bytes.iter_mut().rev().zip(bytes.iter().rev()) {
            *slot = *byte;
            all.left += 1;
        }
        all
    }
}

impl Iterator for Bytes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.bytes.len().checked_sub(usize::from(self.left))?)?;
        self.left -= 1;
        Some(byte)
    }
}

/// What is known of a keyboard: which keys are held down, what is locked, how far a scancode of several bytes has come.
pub struct Translator {
    codes: ScancodeSet1,
    /// Whether the last byte was a prefix.
    prefixed: bool,
    events: EventDecoder<AnyLayout>,
}

impl Translator {
    /// A keyboard on which no key is down, caps are not locked and numbers are, as firmware leaves one.
    pub const fn new(layout: Layout) -> Self {
        Self {
            codes: ScancodeSet1::new(),
            prefixed: false,
            events: EventDecoder::new(layout.letters(), HandleControl::MapLettersToUnicode),
        }
    }

    /// Has the keys mean what they do in `layout` from here on.
    pub fn set_layout(&mut self, layout: Layout) {
        self.events.change_layout(layout.letters());
    }

    /// Takes a scancode, or one byte of a longer one, and tells what the key that it completes sends.
    ///
    /// What is no key's, or comes where it should not, means nothing: the next scancode counts as if it had not been. (A
    /// key whose release was lost is down until it is pressed and released again.)
    pub fn take(&mut self, code: u8) -> Bytes {
        if OVERRUNS.contains(&code) {
            self.lose();
            return Bytes::NONE;
        }
        let is_prefix = PREFIXES.contains(&code);
        if is_prefix {
            // No scancode goes on with a prefix: what was begun before it stays unfinished.
            self.codes = ScancodeSet1::new();
        }
        let prefixed = mem::replace(&mut self.prefixed, is_prefix);
        let event = match self.codes.advance_state(code) {
            Ok(event) => event,
            Err(_) if prefixed => None,
            Err(_) => japanese(code),
        };
        let Some(event) = event else { return Bytes::NONE };
        match self.events.process_keyevent(event) {
            Some(DecodedKey::Unicode(letter)) => letters(letter),
            Some(DecodedKey::RawKey(key)) => Bytes::of(sequence(key)),
            None => Bytes::NONE,
        }
    }

    /// Scancodes were lost, perhaps in the middle of one. The key that stays down for good because its release was among
    /// them would make every other useless, so that none is down from here on.
    pub fn lose(&mut self) {
        self.codes = ScancodeSet1::new();
        self.prefixed = false;
        for key in HELD {
            let _ = self.events.process_keyevent(KeyEvent::new(key, KeyState::Up));
        }
    }
}

/// What happens to a key of [`JAPANESE`].
fn japanese(code: u8) -> Option<KeyEvent> {
    let (_, key) = JAPANESE.iter().find(|(known, _)| *known == code & !RELEASED)?;
    let state = if code & RELEASED == 0 { KeyState::Down } else { KeyState::Up };
    Some(KeyEvent::new(*key, state))
}

/// What a letter sends.
fn letters(letter: char) -> Bytes {
    match letter {
        // The key that removes what is under the cursor: to a terminal this letter is the other one, backspace.
        '\x7F' => Bytes::of(b"\x1B[3~"),
        _ => Bytes::of(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// What a key without a letter sends: nothing, if terminals have no such key.
const fn sequence(key: KeyCode) -> &'static [u8] {
    match key {
        KeyCode::ArrowUp => b"\x1B[A",
        KeyCode::ArrowDown => b"\x1B[B",
        KeyCode::ArrowRight => b"\x1B[C",
        KeyCode::ArrowLeft => b"\x1B[D",
        KeyCode::Home => b"\x1B[H",
        KeyCode::End => b"\x1B[F",
        _ => b"",
    }
}
