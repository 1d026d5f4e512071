//! Waiting for some microseconds, by the best counter there is: for what the hardware wants waited for.
//!
//! That is the one that was [prepared](crate::clock::prepare) to measure others by: the HPET, ACPI's power management timer, or the
//! 8254, of which counter 2 is used, which raises no interrupt. Where none of them counts there is the TSC, whose rate is not known then.

use x86::io::{inb, outb};

use crate::clock::{self, Reference};
use crate::{cpu, interrupts};

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

/// How often a counter is looked at for each microsecond, at most. A look takes longer than a hundredth of one, also where an emulator
/// counts a nanosecond for each instruction. Where the counter has stopped, as many looks end the wait.
const LOOKS: u64 = 200;

/// Cycles in a microsecond of the fastest TSC, rounded up.
const FASTEST: u64 = 8_000;

/// Waits `microseconds` or a little longer.
pub fn microseconds(microseconds: u32) {
    match clock::prepared() {
        Some((Reference::Pit, _)) => {
            let mut left = microseconds;
            while left > 0 {
                let part = left.min(LONGEST);
                wait_by_pit(part);
                left -= part;
            }
        }
        Some((reference, counts)) => wait_by(reference, counts, microseconds),
        None => wait_without(microseconds),
    }
}

/// Waits by a counter that was prepared.
fn wait_by(reference: Reference, counts: u64, microseconds: u32) {
    // The first count may be almost over.
    let wanted = (u64::from(microseconds) * counts).div_ceil(1_000_000) + 1;
    // SAFETY: it was prepared.
    let look = || unsafe { reference.read() };
    let (mut last, mut passed) = (look(), 0);
    for _ in 0..u64::from(microseconds) * LOOKS {
        let now = look();
        passed += u64::from(reference.passed(last, now));
        last = now;
        if passed >= wanted {
            return;
        }
    }
}

/// Waits by counter 2 of the 8254.
fn wait_by_pit(microseconds: u32) {
    let [low, high, ..] = (u64::from(microseconds) * RATE / 1_000_000 + 1).to_le_bytes();
    interrupts::without(|| {
        // SAFETY: the counter drives nothing but the speaker, which is kept silent; its other uses are over.
        unsafe {
            outb(GATE, inb(GATE) & !SPEAKER | COUNT);
            outb(CONTROL, ONCE);
            outb(COUNTER, low);
            outb(COUNTER, high);
            for _ in 0..u64::from(microseconds) * LOOKS {
                if inb(GATE) & OVER != 0 {
                    return;
                }
            }
        }
    });
}

/// Waits without a counter whose rate is known: by a TSC that is taken to be fast, or by as many looks at a port as take longer.
fn wait_without(microseconds: u32) {
    let wanted = u64::from(microseconds) * FASTEST;
    let begun = cpu::cycles();
    let passed = || cpu::cycles().zip(begun).map_or(0, |(now, begun)| now.wrapping_sub(begun));
    for _ in 0..u64::from(microseconds) * LOOKS {
        if passed() >= wanted {
            return;
        }
        // SAFETY: reading the port has no effect, and takes its time.
        unsafe { inb(GATE) };
    }
}
