//! The PS/2 keyboard, and the controller that it hangs on (an 8042, or what passes for one: many a firmware makes a USB
//! keyboard look like this).
//!
//! Once [`listen`] was called the controller interrupts, and its scancodes move to a ring, so that nothing is lost while the
//! kernel is busy: the controller itself keeps one, an emulated one sixteen. What they mean is found out when they are
//! [read](read()).
//!
//! Nothing here waits for ever. A controller that is not there reads as all ones, and one that is stuck never says that it is
//! ready; each wait ends after some 50 milliseconds.

use keys::{Bytes, Layout, Translator};
use sched::{Class, lock};
use spin::Mutex;
use x86::io::{inb, outb};

use crate::ring::Ring;
use crate::{interrupts, lines, preempt};

/// The controller's data port, and the port of its status (read) and its commands (written).
const DATA: u16 = 0x60;
const CONTROL: u16 = 0x64;

/// In the status: a byte has come; there is no room for one yet; the byte that has come is the mouse's.
const FULL: u8 = 1 << 0;
const BUSY: u8 = 1 << 1;
const MOUSE: u8 = 1 << 5;

/// A status that no controller gives: nothing is there.
const ABSENT: u8 = 0xFF;

/// Commands to the controller.
const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const DISABLE: u8 = 0xAD;
const ENABLE: u8 = 0xAE;

/// In its configuration: it interrupts for the keyboard; for the mouse; the keyboard is shut out; the mouse is; scancodes are
/// translated to set 1.
const INTERRUPTS: u8 = 1 << 0;
const MOUSE_INTERRUPTS: u8 = 1 << 1;
const KEYBOARD_OFF: u8 = 1 << 4;
const MOUSE_OFF: u8 = 1 << 5;
const TRANSLATION: u8 = 1 << 6;

/// A command to the keyboard, to report what is typed; its answer to every command; and its answer to one that it has not understood.
const REPORT: u8 = 0xF4;
const DONE: u8 = 0xFA;
const RESEND: u8 = 0xFE;

/// The keyboard's line of the ISA bus.
pub(crate) const LINE: u8 = 1;

/// How many scancodes are kept: those of a hundred keys, pressed and let go.
const ROOM: usize = 256;

/// How many bytes a controller can have, at most, that is not stuck. The real ones have one.
const MOST: usize = 64;

/// How often the controller and the keyboard are asked for what they have not answered as they should.
const TRIES: u32 = 3;

/// How often the status is looked at in vain. A look and the access to port 0x80 beside it take two microseconds, together
/// 50 ms; where the firmware plays the controller, each is a trip into it and takes longer.
const PATIENCE: u32 = 25_000;

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// No controller.
    Nothing,
    /// A controller that does not take commands, perhaps one that firmware plays. Its keyboard may work all the same.
    Deaf,
    /// A controller, and no keyboard that answers. One may be plugged in.
    Controller,
    /// A keyboard.
    Keyboard,
}

struct Keyboard {
    codes: Ring<ROOM>,
    /// Whether there is a controller.
    present: bool,
    /// Whether scancodes came for which there was no room.
    lost: bool,
    translator: Translator,
    /// What is left to give of the last key.
    rest: Bytes,
}

/// Locked with interrupts off only, so that the interrupt finds it free.
static KEYBOARD: Mutex<Keyboard> = Mutex::new(Keyboard {
    codes: Ring::new(),
    present: false,
    lost: false,
    translator: Translator::new(Layout::Us),
    rest: Bytes::NONE,
});

/// Looks for a controller and a keyboard, and sets them up; its keys mean what they do in `layout`. Until then the other
/// functions do nothing.
pub fn init(layout: Layout) -> Found {
    with(|keyboard| {
        keyboard.translator.set_layout(layout);
        let found = keyboard.set_up();
        keyboard.present = found != Found::Nothing;
        found
    })
}

/// Has what is typed kept, from when interrupts are on.
pub fn listen() {
    if with(|keyboard| keyboard.present) {
        lines::unmask(LINE);
        // An I/O APIC takes no note of a line that has risen before, and it falls only when what has come is taken.
        with(Keyboard::fetch);
    }
}

/// The next byte that was typed, if there is one. Does not wait.
pub fn read() -> Option<u8> {
    with(|keyboard| {
        if keyboard.codes.len() == 0 {
            // Before `listen`, and on a machine on which no interrupt comes through.
            keyboard.fetch();
        }
        loop {
            if let Some(byte) = keyboard.rest.next() {
                return Some(byte);
            }
            match keyboard.codes.pop() {
                Some(code) => keyboard.rest = keyboard.translator.take(code),
                None if keyboard.lost => {
                    keyboard.lost = false;
                    keyboard.translator.lose();
                }
                None => return None,
            }
        }
    })
}

/// What the controller's interrupt asks for.
pub(crate) fn interrupt() {
    with(Keyboard::fetch);
    preempt::input();
}

fn with<R>(work: impl FnOnce(&mut Keyboard) -> R) -> R {
    interrupts::without(|| {
        let _mark = lock::mark(Class::Keyboard);
        work(&mut KEYBOARD.lock())
    })
}

impl Keyboard {
    /// Moves what the controller has to the ring.
    fn fetch(&mut self) {
        if !self.present {
            return;
        }
        for _ in 0..MOST {
            match take() {
                Some(Byte::Keyboard(code)) => self.keep(code),
                Some(Byte::Mouse) => {}
                None => return,
            }
        }
    }

    fn keep(&mut self, code: u8) {
        if self.codes.is_full() {
            self.lost = true;
        } else {
            self.codes.push(code);
        }
    }

    /// Brings the controller, in whatever state the firmware has left it, to one in which it reports the keyboard's
    /// scancodes, in set 1, and nothing else. What was typed before is kept, if it is in set 1.
    fn set_up(&mut self) -> Found {
        if status() == ABSENT {
            return Found::Nothing;
        }
        // Silent while it is set up, so that its answers are not mixed up with scancodes.
        let takes_commands = command(DISABLE);
        let mut typed = Typed { codes: [0; MOST], count: 0 };
        if !typed.drain() {
            return Found::Nothing;
        }
        let configuration = if takes_commands { typed.configuration() } else { None };
        if configuration.is_none_or(|configuration| configuration & TRANSLATION != 0) {
            typed.codes[..typed.count].iter().for_each(|code| self.keep(*code));
        }
        let configured = configuration.is_some_and(configure);
        let enabled = command(ENABLE);
        if !configured || !enabled {
            return Found::Deaf;
        }
        if (0..TRIES).any(|_| self.start()) { Found::Keyboard } else { Found::Controller }
    }

    /// Has the keyboard report what is typed. Tells whether one answers.
    fn start(&mut self) -> bool {
        if !send(DATA, REPORT) {
            return false;
        }
        // What was typed meanwhile comes first.
        for _ in 0..MOST {
            match answer() {
                Some(DONE) => return true,
                // It has not understood.
                Some(RESEND) | None => return false,
                Some(code) => self.keep(code),
            }
        }
        false
    }
}

/// Scancodes that came before the controller was set up.
struct Typed {
    codes: [u8; MOST],
    count: usize,
}

impl Typed {
    /// Takes all that the controller has. Tells whether it ran empty: one that does not is none.
    fn drain(&mut self) -> bool {
        for _ in 0..MOST {
            match take() {
                Some(Byte::Keyboard(code)) => self.push(code),
                Some(Byte::Mouse) => {}
                None => return true,
            }
        }
        false
    }

    fn push(&mut self, code: u8) {
        if let Some(place) = self.codes.get_mut(self.count) {
            *place = code;
            self.count += 1;
        }
    }

    /// The controller's configuration, if it tells the same twice: a scancode that was under way when the keyboard was shut out comes
    /// before the answer, and looks like one.
    fn configuration(&mut self) -> Option<u8> {
        (0..TRIES).find_map(|_| {
            let (first, second) = (ask()?, ask()?);
            if first == second {
                return Some(first);
            }
            self.push(first);
            self.drain();
            None
        })
    }
}

/// Asks the controller for its configuration.
fn ask() -> Option<u8> {
    if command(READ_CONFIGURATION) { answer() } else { None }
}

/// Changes the controller's configuration, which is this. Tells whether the controller took it.
fn configure(configuration: u8) -> bool {
    let on = INTERRUPTS | TRANSLATION;
    let off = MOUSE_INTERRUPTS | KEYBOARD_OFF;
    command(WRITE_CONFIGURATION) && send(DATA, (configuration | on | MOUSE_OFF) & !off)
}

/// A byte that the controller had.
enum Byte {
    Keyboard(u8),
    Mouse,
}

fn status() -> u8 {
    // SAFETY: reading the status has no effect.
    unsafe { inb(CONTROL) }
}

/// Takes a byte from the controller, if it has one.
fn take() -> Option<Byte> {
    let status = status();
    if status & FULL == 0 {
        return None;
    }
    // SAFETY: the controller has a byte, and it is for whoever has locked the keyboard.
    let byte = unsafe { inb(DATA) };
    Some(if status & MOUSE == 0 { Byte::Keyboard(byte) } else { Byte::Mouse })
}

/// Gives the controller a command. Tells whether it was ready for one.
fn command(command: u8) -> bool {
    send(CONTROL, command)
}

/// Writes a byte to one of the controller's ports when there is room. Tells whether there was.
fn send(port: u16, byte: u8) -> bool {
    let ready = patiently(|| (status() & BUSY == 0).then_some(())).is_some();
    if ready {
        // SAFETY: the controller is ready for it; of its commands only those above are given, and none of them resets the
        // machine or touches memory.
        unsafe { outb(port, byte) };
    }
    ready
}

/// The next byte that is not the mouse's, if one comes.
fn answer() -> Option<u8> {
    patiently(|| match take()? {
        Byte::Keyboard(byte) => Some(byte),
        Byte::Mouse => None,
    })
}

/// Tries `look` until it succeeds, or patience is over.
fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    (0..PATIENCE).find_map(|_| {
        let found = look();
        if found.is_none() {
            // SAFETY: port 0x80 takes the firmware's progress codes; reading it has no effect but to take its time.
            unsafe { inb(0x80) };
        }
        found
    })
}
