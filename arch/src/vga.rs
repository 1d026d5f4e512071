//! The VGA's text screen: 80 by 25 letters.
//!
//! What is on the screen is kept here too, because reading the card's memory is many times slower than writing it,
//! and so that the text is still there when the card's memory gets another address.

use spin::{Mutex, MutexGuard};
use x86::io::outb;

/// Letters in a line.
const WIDTH: usize = 80;

/// Lines.
const HEIGHT: usize = 25;

/// A blank, light grey on black.
const BLANK: u16 = 0x0700 | b' ' as u16;

/// Where the card's text memory lies.
pub const PHYSICAL: mm::PhysAddr = mm::PhysAddr(0xB8000);

/// How long that memory is, in bytes.
pub const BYTES: u64 = (WIDTH * HEIGHT * 2) as u64;

/// The CRT controller's index port; its data port is the next.
const CRTC: u16 = 0x3D4;

/// How often the screen is tried for while somebody else has it.
const TRIES: u32 = 1 << 20;

struct Screen {
    /// The card's memory; nothing before there is a card.
    memory: Option<*mut u16>,
    letters: [u16; WIDTH * HEIGHT],
    /// Where the next letter goes.
    at: usize,
    /// Continuation bytes of a UTF-8 sequence that are still to come; a letter that the card does not have is one
    /// question mark, not three.
    skip: u8,
    /// The control sequence that is under way.
    sequence: Sequence,
}

/// How far a control sequence has come (ECMA-48, 5.4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    None,
    Escape,
    Parameters,
}

// SAFETY: the pointer is to a card that every CPU sees at the same address.
unsafe impl Send for Screen {}

static SCREEN: Mutex<Screen> =
    Mutex::new(Screen { memory: None, letters: [BLANK; WIDTH * HEIGHT], at: 0, skip: 0, sequence: Sequence::None });

/// From now on shows the text at `memory`: what was written so far, and what follows. Nothing is shown before.
///
/// # Safety
/// [`BYTES`] bytes of the card's text memory must be mapped there, writable and not write-back, and stay so until
/// this is called again or [`detach`] is. `memory` must be 2-aligned.
pub unsafe fn attach(memory: *mut u8) {
    let Some(mut screen) = lock() else { return };
    screen.memory = Some(memory.cast());
    screen.show(0);
}

/// Shows nothing from now on: there is no card, or it does not show text.
pub fn detach() {
    if let Some(mut screen) = lock() {
        screen.memory = None;
    }
}

/// Writes text. Line feed, carriage return, tabulator and backspace do what they do on a terminal, and so do two control
/// sequences, whatever their parameters are: `ESC [ H` (the cursor to the upper left corner) and `ESC [ J` (everything
/// blank). Others are swallowed.
pub fn write(bytes: &[u8]) {
    let Some(mut screen) = lock() else { return };
    let changed = bytes.iter().fold(false, |changed, byte| screen.put(*byte) | changed);
    if changed {
        // Once for all the lines, and only what counts in the end.
        screen.show(0);
    }
    screen.move_cursor();
}

/// Takes the screen away from whoever has it, so that a panic inside [`write()`] can still be reported.
///
/// # Safety
/// Whoever had it must not go on.
pub unsafe fn seize() {
    // SAFETY: the caller's promise: the guard that exists is never used again.
    unsafe { SCREEN.force_unlock() };
}

/// The screen, unless somebody who may never go on has it.
fn lock() -> Option<MutexGuard<'static, Screen>> {
    (0..TRIES).find_map(|_| SCREEN.try_lock())
}

impl Screen {
    /// Takes one byte and tells whether everything has changed.
    fn put(&mut self, byte: u8) -> bool {
        match (core::mem::replace(&mut self.sequence, Sequence::None), byte) {
            (_, 0x1B) => {
                self.sequence = Sequence::Escape;
                return false;
            }
            (Sequence::Escape, b'[') | (Sequence::Parameters, b' '..=b'?') => {
                self.sequence = Sequence::Parameters;
                return false;
            }
            (Sequence::Parameters, b'H') => {
                self.at = 0;
                return false;
            }
            (Sequence::Parameters, b'J') => {
                self.letters.fill(BLANK);
                return true;
            }
            (Sequence::Parameters, b'@'..=b'~') => return false,
            _ => {}
        }
        let column = self.at % WIDTH;
        match byte {
            b'\n' => self.at += WIDTH - column,
            b'\r' => self.at -= column,
            b'\t' => self.at += 8 - column % 8,
            0x08 => self.at = self.at.saturating_sub(1),
            b' '..=b'~' => self.letter(byte),
            0x80..0xC0 if self.skip > 0 => self.skip -= 1,
            0x80.. => {
                self.skip = (byte.leading_ones() as u8).clamp(1, 4) - 1;
                self.letter(b'?');
            }
            _ => {}
        }
        if self.at < WIDTH * HEIGHT {
            return false;
        }
        self.letters.copy_within(WIDTH.., 0);
        self.letters[WIDTH * (HEIGHT - 1)..].fill(BLANK);
        self.at -= WIDTH;
        true
    }

    fn letter(&mut self, letter: u8) {
        self.letters[self.at] = BLANK & 0xFF00 | u16::from(letter);
        self.show_one(self.at);
        self.at += 1;
    }

    /// Copies the letters from `first` on to the card.
    fn show(&self, first: usize) {
        for at in first..self.letters.len() {
            self.show_one(at);
        }
    }

    fn show_one(&self, at: usize) {
        if let Some(memory) = self.memory {
            // SAFETY: `at` is on the screen, and the whole screen is mapped there: `attach`'s caller's promise.
            unsafe { memory.add(at).write_volatile(self.letters[at]) };
        }
    }

    /// Puts the blinking cursor where the next letter goes.
    fn move_cursor(&self) {
        if self.memory.is_none() {
            return;
        }
        // SAFETY: the CRT controller of the card that was said to be there; registers 14 and 15 are the cursor's place.
        unsafe {
            outb(CRTC, 14);
            outb(CRTC + 1, (self.at >> 8) as u8);
            outb(CRTC, 15);
            outb(CRTC + 1, self.at as u8);
        }
    }
}
