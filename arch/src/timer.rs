//! The 8254 timer as a heartbeat: whoever waits for an interrupt is sure that one comes.

use core::sync::atomic::{AtomicU32, Ordering};

use x86::io::outb;

use crate::{lines, preempt};

/// The ports of counter 0 and of the control word.
const COUNTER: u16 = 0x40;
const CONTROL: u16 = 0x43;

/// Counter 0, low byte and then high byte, as a rate generator.
const RATE: u8 = 0x34;

/// The timer counts 1 193 182 times in a second, and interrupts a hundred times.
const DIVISOR: u16 = (1_193_182u32 / BEATS_PER_SECOND) as u16;

/// How often it interrupts in a second.
pub const BEATS_PER_SECOND: u32 = 100;

/// The timer's line of the ISA bus.
pub(crate) const LINE: u8 = 0;

static BEATS: AtomicU32 = AtomicU32::new(0);

/// Has the timer interrupt every ten milliseconds, from when interrupts are on.
pub fn start() {
    let [low, high] = DIVISOR.to_le_bytes();
    // SAFETY: the timer's ports on every PC; nobody else uses counter 0, and its interrupt has a handler.
    unsafe {
        outb(CONTROL, RATE);
        outb(COUNTER, low);
        outb(COUNTER, high);
    }
    lines::unmask(LINE);
}

/// Whether it has ever interrupted: not on a machine without the timer, or without a way from it to the CPU.
pub fn beats() -> bool {
    count() != 0
}

/// How often it has interrupted. After more than a year it begins anew.
pub fn count() -> u32 {
    BEATS.load(Ordering::Relaxed)
}

/// What the timer's interrupt asks for.
pub(crate) fn interrupt() {
    BEATS.fetch_add(1, Ordering::Relaxed);
    preempt::tick();
}
