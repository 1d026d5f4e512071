//! The high precision event timer: a counter whose rate it tells by itself, and a timer that can take the PIT's place (IA-PC HPET
//! Specification 1.0a).

use crate::delay;

/// Registers, by their distance from the first in words of four bytes: the abilities, of which the upper word is the period in
/// femtoseconds; the configuration; the counter; configuration and comparator of timer 0 (2.3).
const ABILITIES: usize = 0;
const PERIOD: usize = 1;
const CONFIGURATION: usize = 4;
const COUNTER: usize = 60;
const TIMER: usize = 64;
const COMPARATOR: usize = 66;

/// In the abilities: the revision, which is never 0; timers 0 and 1 can take the lines of the PIT and of the clock with the battery.
const REVISION: u32 = 0xFF;
const CAN_TAKE_LINES: u32 = 1 << 15;

/// In the configuration: the counter runs; two timers have taken those lines.
const RUNS: u32 = 1 << 0;
const TAKES_LINES: u32 = 1 << 1;

/// In a timer's configuration: it interrupts; again and again; it can do that; the next value for the comparator is the first at which
/// it does, and not the time between two; 32 bits are compared. By edge, and by its line, with all other bits clear (2.3.8).
const INTERRUPTS: u32 = 1 << 2;
const PERIODIC: u32 = 1 << 3;
const CAN_BE_PERIODIC: u32 = 1 << 4;
const FIRST: u32 = 1 << 6;
const SHORT: u32 = 1 << 8;

/// Periods that can be, in femtoseconds: a nanosecond, and the longest of the specification.
const PERIODS: core::ops::RangeInclusive<u32> = 1_000_000..=100_000_000;

/// Femtoseconds in a second.
const FEMTOSECONDS: u64 = 1_000_000_000_000_000;

/// Has the counter run, and tells how often it counts in a second. No timer takes the PIT's line.
///
/// # Errors
/// The period that it tells, if that cannot be.
///
/// # Safety
/// An HPET's registers are mapped at the address `registers`, uncached and for good, or what is there is read without harm.
pub(crate) unsafe fn start(registers: usize) -> Result<u64, u32> {
    let registers = registers as *mut u32;
    // SAFETY: the caller's promise. Nothing is written before what was read looks like an HPET.
    unsafe {
        let period = registers.add(PERIOD).read_volatile();
        let revision = registers.add(ABILITIES).read_volatile() & REVISION;
        if !PERIODS.contains(&period) || revision == 0 {
            return Err(period);
        }
        let configuration = registers.add(CONFIGURATION);
        configuration.write_volatile(configuration.read_volatile() & !TAKES_LINES | RUNS);
        Ok(FEMTOSECONDS / u64::from(period))
    }
}

/// The lower half of the counter.
///
/// # Safety
/// [`start`] has succeeded with these registers.
pub(crate) unsafe fn counter(registers: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (registers as *const u32).add(COUNTER).read_volatile() }
}

/// Has timer 0 interrupt each time that the counter has gone on by `counts`, on the PIT's line, which the PIT loses. Tells whether
/// it does: not every HPET can.
///
/// # Safety
/// As [`counter`], and the line has a handler.
pub(crate) unsafe fn take_line(registers: usize, counts: u32) -> bool {
    let registers = registers as *mut u32;
    // SAFETY: the caller's promise.
    unsafe {
        let (configuration, timer) = (registers.add(CONFIGURATION), registers.add(TIMER));
        if registers.add(ABILITIES).read_volatile() & CAN_TAKE_LINES == 0
            || timer.read_volatile() & CAN_BE_PERIODIC == 0
        {
            return false;
        }
        configuration.write_volatile(configuration.read_volatile() | TAKES_LINES | RUNS);
        timer.write_volatile(INTERRUPTS | PERIODIC | FIRST | SHORT);
        let comparator = registers.add(COMPARATOR);
        comparator.write_volatile(registers.add(COUNTER).read_volatile().wrapping_add(counts));
        // Some take a moment until the next value counts as the period.
        delay::microseconds(1);
        comparator.write_volatile(counts);
    }
    true
}

/// Has timer 0 not interrupt any more; the PIT has its line again.
///
/// # Safety
/// As [`counter`].
pub(crate) unsafe fn give_line(registers: usize) {
    let registers = registers as *mut u32;
    // SAFETY: the caller's promise.
    unsafe {
        registers.add(TIMER).write_volatile(0);
        let configuration = registers.add(CONFIGURATION);
        configuration.write_volatile(configuration.read_volatile() & !TAKES_LINES);
    }
}
