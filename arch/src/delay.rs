//! Waiting for some microseconds, by counter 2 of the 8254, which raises no interrupt: for what the hardware wants waited for
//! before there is any other clock.

use x86::io::{inb, outb};

use crate::interrupts;

/// The ports of counter 2 and of the control word, and the one with the counter's gate and output.
const COUNTER: u16 = 0x42;
const CONTROL: u16 = 0x43;
const GATE: u16 = 0x61;

/// Counter 2, low byte and then high byte, counting down once.
const ONCE: u8 = 0xB0;

/// At the gate: count; be heard; the count has come to its end.
const COUNT: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OVER: u8 = 1 << 5;

/// The counter's rate in hertz.
const RATE: u64 = 1_193_182;

/// The longest wait that the counter's 16 bits can time, in microseconds.
const LONGEST: u32 = 50_000;

/// Looking at the port takes a microsecond at most. Where the counter does not count (there is none), as many looks end the
/// wait.
const LOOKS: u32 = 20;

/// Waits `microseconds` or a little longer.
pub fn microseconds(microseconds: u32) {
    let mut left = microseconds;
    while left > 0 {
        let part = left.min(LONGEST);
        wait(part);
        left -= part;
    }
}

fn wait(microseconds: u32) {
    let [low, high, ..] = (u64::from(microseconds) * RATE / 1_000_000 + 1).to_le_bytes();
    interrupts::without(|| {
        // SAFETY: the counter drives nothing but the speaker, which is kept silent; its other uses are over.
        unsafe {
            outb(GATE, inb(GATE) & !SPEAKER | COUNT);
            outb(CONTROL, ONCE);
            outb(COUNTER, low);
            outb(COUNTER, high);
            for _ in 0..microseconds.saturating_mul(LOOKS) {
                if inb(GATE) & OVER != 0 {
                    return;
                }
            }
        }
    });
}
