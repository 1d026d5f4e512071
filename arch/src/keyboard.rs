//! The PS/2 keyboard, looked at now and then: enough to type at a prompt on a machine without a serial line.

use core::sync::atomic::{AtomicBool, Ordering};

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

static SHIFT: AtomicBool = AtomicBool::new(false);
static CONTROLLED: AtomicBool = AtomicBool::new(false);

/// The next letter that was typed, if there is one. Does not wait.
pub fn read() -> Option<u8> {
    // SAFETY: reading the status has no effect, and the data port is read only when it holds a byte for us.
    let code = unsafe {
        let status = inb(STATUS);
        if status == ABSENT || status & FULL == 0 {
            return None;
        }
        let code = inb(DATA);
        if status & MOUSE != 0 {
            return None;
        }
        code
    };
    let pressed = code & RELEASED == 0;
    match code & !RELEASED {
        LEFT_SHIFT | RIGHT_SHIFT => SHIFT.store(pressed, Ordering::Relaxed),
        CONTROL => CONTROLLED.store(pressed, Ordering::Relaxed),
        key if pressed => {
            let letters = if SHIFT.load(Ordering::Relaxed) { SHIFTED } else { PLAIN };
            let letter = letters.get(usize::from(key)).copied().filter(|letter| *letter != 0)?;
            let control = CONTROLLED.load(Ordering::Relaxed) && letter.is_ascii_alphabetic();
            return Some(if control { letter & 0x1F } else { letter });
        }
        _ => {}
    }
    None
}
