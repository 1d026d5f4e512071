//! The screen: a terminal that is shown on the card's text memory or on a linear framebuffer, whichever there is.
//!
//! What is on it is kept by the crate [`screen`](::screen), which also decides what has to be drawn. Here are the memory
//! that it draws to and the lock around it.

use sched::lock::Guard;
use sched::{Class, Lock};
use screen::{Cell, Display, Geometry, Letters, Pixels, Screen, Surface, Unusable};
use x86::io::outb;

/// Where the card's text memory lies.
pub const TEXT: mm::PhysAddr = mm::PhysAddr(0xB8000);

/// How long that memory is, in bytes.
pub const TEXT_BYTES: u64 = 32 << 10;

/// The CRT controller's index port; its data port is the next.
const CRTC: u16 = 0x3D4;

static SCREEN: Lock<Screen<Glass>> = Lock::new(Class::Screen, Screen::new());

/// What the screen is made of.
#[allow(clippy::large_enum_variant, reason = "there is one, and a panic must not need a heap")]
enum Glass {
    Text(Letters<Mapped>),
    Pixels(Pixels<Mapped>),
}

/// Memory of a card, mapped.
struct Mapped {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the pointer is to a card that every CPU sees at the same address.
unsafe impl Send for Mapped {}

impl Surface for Mapped {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if offset.checked_add(bytes.len()).is_some_and(|end| end <= self.bytes) {
            // SAFETY: it lies in the card's memory, which is mapped and which nobody else writes: the promise of those
            // who call `attach_text` and `attach_pixels`.
            unsafe { self.start.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }
}

impl Display for Glass {
    fn grid(&self) -> (usize, usize) {
        match self {
            Glass::Text(letters) => letters.grid(),
            Glass::Pixels(pixels) => pixels.grid(),
        }
    }

    fn clear(&mut self) {
        match self {
            Glass::Text(letters) => letters.clear(),
            Glass::Pixels(pixels) => pixels.clear(),
        }
    }

    fn draw(&mut self, column: usize, line: usize, cell: Cell) {
        match self {
            Glass::Text(letters) => letters.draw(column, line, cell),
            Glass::Pixels(pixels) => pixels.draw(column, line, cell),
        }
    }

    fn cursor(&mut self, column: usize, line: usize) {
        match self {
            Glass::Text(letters) => letters.cursor(column, line),
            Glass::Pixels(pixels) => pixels.cursor(column, line),
        }
    }
}

/// From now on shows the text on the card's text screen at `memory`, of `columns` by `lines` letters: what was written so
/// far, and what follows.
///
/// # Safety
/// [`TEXT_BYTES`] bytes of the card's text memory must be mapped there, writable and not write-back, and stay so until the
/// screen is attached elsewhere or [`detach`] is called.
pub unsafe fn attach_text(memory: *mut u8, columns: usize, lines: usize) {
    let Some(mut screen) = lock() else { return };
    let memory = Mapped { start: memory, bytes: TEXT_BYTES as usize };
    screen.attach(Glass::Text(Letters::new(memory, columns, lines, place_cursor)));
}

/// From now on shows the text on the framebuffer at `memory`, as [`attach_text`] does.
///
/// # Errors
/// What is wrong with `geometry`.
///
/// # Safety
/// The framebuffer must be mapped there with all its lines, writable and not write-back, and stay so until the screen is
/// attached elsewhere or [`detach`] is called.
pub unsafe fn attach_pixels(memory: *mut u8, geometry: Geometry) -> Result<(), Unusable> {
    let memory = Mapped { start: memory, bytes: geometry.bytes() as usize };
    let pixels = Pixels::new(memory, geometry)?;
    if let Some(mut screen) = lock() {
        screen.attach(Glass::Pixels(pixels));
    }
    Ok(())
}

/// Shows nothing from now on; what is written is kept until the screen is attached again.
pub fn detach() {
    if let Some(mut screen) = lock() {
        screen.detach();
    }
}

/// Writes text, and control sequences as a terminal takes them.
pub fn write(bytes: &[u8]) {
    if let Some(mut screen) = lock() {
        screen.write(bytes);
    }
}

/// Begins a page, as [`Screen::begin_page`] does.
pub fn begin_page() {
    if let Some(mut screen) = lock() {
        screen.begin_page();
    }
}

/// Ends the page, and tells whether text was left out.
pub fn end_page() -> bool {
    lock().is_some_and(|mut screen| screen.end_page())
}

/// Takes the screen away from whoever has it, so that a panic inside [`write()`] can still be reported.
///
/// # Safety
/// Whoever had it must not go on.
pub unsafe fn seize() {
    // SAFETY: the caller's promise: the guard that exists is never used again.
    unsafe { SCREEN.raw().force_unlock() };
    SCREEN.disown();
}

/// The screen, unless somebody on this CPU has it: he will not go on before this does.
fn lock() -> Option<Guard<'static, Screen<Glass>>> {
    SCREEN.lock_unless_held_here()
}

/// Puts the card's blinking cursor on the letter with this number.
fn place_cursor(at: usize) {
    // SAFETY: the CRT controller of the card that was said to be there; registers 14 and 15 are the cursor's place.
    unsafe {
        outb(CRTC, 14);
        outb(CRTC + 1, (at >> 8) as u8);
        outb(CRTC, 15);
        outb(CRTC + 1, at as u8);
    }
}
