//! Non-maskable interrupts: the CPU cannot shut them out, but the chipset's gate before that pin can.

use core::sync::atomic::{AtomicBool, Ordering};

use x86::io::{inb, outb};

/// The real-time clock's index port, whose bit 7 shuts the gate, and its data port.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;

/// A register of the clock that reading does not change: D, battery state.
const REGISTER_D: u8 = 0x0D;

/// Whether the kernel has a handler for them.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Lets them through from here on: the IDT is loaded.
pub(crate) fn open() {
    WANTED.store(true, Ordering::Relaxed);
    gate(false);
}

/// Runs `f` with the gate shut.
pub(crate) fn without<R>(f: impl FnOnce() -> R) -> R {
    gate(true);
    let result = f();
    if WANTED.load(Ordering::Relaxed) {
        gate(false);
    }
    result
}

fn gate(shut: bool) {
    // SAFETY: the index port selects a register for the next access to the data port, and that access is made here,
    // because the clock may mistake the next one for it otherwise.
    unsafe {
        outb(INDEX, REGISTER_D | u8::from(shut) << 7);
        inb(DATA);
    }
}
