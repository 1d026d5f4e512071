//! The PS/2 keyboard, looked at now and then: enough to type at a prompt on a machine without a serial line.
//!
//! It sends what a terminal sends: a letter a key, control codes, and ANSI sequences for the keys that have no letter.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use x86::io::inb;

/// The keyboard controller's data port and its status port.
const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;

/// In the status: a byte is there; it is the mouse's.
const FULL: u8 = 1 << 0;
const MOUSE: u8 = 1 << 5;

/// A status that no controller gives: nothing is there.
const ABSENT: u8 = 0xFF;

/// US letters by scancode (set 1, to which every controller translates), without and with shift; 0 is no letter.
const PLAIN: &[u8; 58] = b"\0\x1B1234567890-=\x08\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
const SHIFTED: &[u8; 58] = b"\0\x1B!@#$%^&*()_+\x08\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

/// The scancodes of the two shift keys and of control, and the bit that says that a key was let go.
const LEFT_SHIFT: u8 = 0x2A;
const RIGHT_SHIFT: u8 = 0x36;
const CONTROL: u8 = 0x1D;
const RELEASED: u8 = 0x80;

/// What a sequence begins with.
const ESCAPE: u8 = 0x1B;

/// What comes before the scancode of a key that the first keyboards did not have.
const EXTENDED: u8 = 0xE0;

/// The other enter key, which sends what the first does behind [`EXTENDED`], and the slash of the keypad.
const ENTER: u8 = 0x1C;
const SLASH: u8 = 0x35;

static SHIFT: AtomicBool = AtomicBool::new(false);
static CONTROLLED: AtomicBool = AtomicBool::new(false);

/// Whether the last byte was [`EXTENDED`].
static PREFIXED: AtomicBool = AtomicBool::new(false);

/// What is left to give of a key's sequence: up to three bytes, the next one lowest.
static REST: AtomicU32 = AtomicU32::new(0);

/// The next byte that was typed, if there is one. Does not wait.
pub fn read() -> Option<u8> {
    let rest = REST.load(Ordering::Relaxed);
    if rest != 0 {
        REST.store(rest >> 8, Ordering::Relaxed);
        return Some(rest as u8);
    }
    let code = scancode()?;
    if code == EXTENDED {
        PREFIXED.store(true, Ordering::Relaxed);
        return None;
    }
    let extended = PREFIXED.swap(false, Ordering::Relaxed);
    let pressed = code & RELEASED == 0;
    match code & !RELEASED {
        CONTROL => CONTROLLED.store(pressed, Ordering::Relaxed),
        // Behind the prefix these are no keys: keyboards wrap them round the arrows.
        LEFT_SHIFT | RIGHT_SHIFT if extended => {}
        LEFT_SHIFT | RIGHT_SHIFT => SHIFT.store(pressed, Ordering::Relaxed),
        key if !pressed || extended && !matches!(key, ENTER | SLASH) => {
            let sequence = sequence(key).filter(|_| pressed)?;
            REST.store(sequence.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte)), Ordering::Relaxed);
            return Some(ESCAPE);
        }
        key => {
            let letters = if SHIFT.load(Ordering::Relaxed) { SHIFTED } else { PLAIN };
            let letter = letters.get(usize::from(key)).copied().filter(|letter| *letter != 0)?;
            let control = CONTROLLED.load(Ordering::Relaxed) && letter.is_ascii_alphabetic();
            return Some(if control { letter & 0x1F } else { letter });
        }
    }
    None
}

/// What follows [`ESCAPE`] when an extended key is pressed (ECMA-48, 5.4; Home, End and Delete as a VT220 sends them).
const fn sequence(key: u8) -> Option<&'static [u8]> {
    match key {
        0x48 => Some(b"[A"),
        0x50 => Some(b"[B"),
        0x4D => Some(b"[C"),
        0x4B => Some(b"[D"),
        0x47 => Some(b"[H"),
        0x4F => Some(b"[F"),
        0x53 => Some(b"[3~"),
        _ => None,
    }
}

/// The next scancode, if there is one.
fn scancode() -> Option<u8> {
    // SAFETY: reading the status has no effect, and the data port is read only when it holds a byte for us.
    let (status, code) = unsafe {
        let status = inb(STATUS);
        if status == ABSENT || status & FULL == 0 {
            return None;
        }
        (status, inb(DATA))
    };
    (status & MOUSE == 0).then_some(code)
}
