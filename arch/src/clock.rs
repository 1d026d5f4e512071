//! Telling the time: the CPU's counter (TSC), and the counters whose rate is known that it is measured by.
//!
//! Nothing here waits for ever: a counter that stands still is looked at so many times and no more.

use core::ptr;

use spin::Once;
use x86::io::{inb, inl, outb};

use crate::{cpu, cpuid};

/// A counter whose rate is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The high precision event timer, whose registers are mapped here.
    Hpet(*mut u32),
    /// ACPI's power management timer, at this port.
    PmTimer(u16),
    /// Counter 0 of the 8254, as long as nobody else uses it.
    Pit,
}

/// Why a counter cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It says that it counts once in so many femtoseconds, which cannot be.
    Period(u32),
    /// It does not count.
    Still,
}

/// An HPET's registers, by their distance from the first in words of four bytes: its abilities, of which the upper word is
/// its period in femtoseconds; its configuration; its counter (IA-PC HPET Specification 1.0a, 2.3).
mod hpet {
    pub const ABILITIES: usize = 0;
    pub const PERIOD: usize = 1;
    pub const CONFIGURATION: usize = 4;
    pub const COUNTER: usize = 60;

    /// In the abilities: the revision, which is never 0.
    pub const REVISION: u32 = 0xFF;

    /// In the configuration: the counter runs; two timers have taken the lines of the PIT and of the clock with the battery.
    pub const RUNS: u32 = 1 << 0;
    pub const TAKES_LINES: u32 = 1 << 1;

    /// Periods that can be, in femtoseconds: the longest of the specification, and a nanosecond.
    pub const PERIODS: core::ops::RangeInclusive<u32> = 1_000_000..=100_000_000;
}

/// Femtoseconds in a second.
const FEMTOSECONDS: u64 = 1_000_000_000_000_000;

/// How often ACPI's power management timer counts in a second, and the bits of it that every one has (ACPI Specification
/// 6.5, 4.8.3.3).
const PM_TIMER_COUNTS: u64 = 3_579_545;
const PM_TIMER_MASK: u32 = 0x00FF_FFFF;

/// How often the 8254 counts in a second; the ports of counter 0 and of the control word; counter 0, low byte and then high
/// byte, as a rate generator; and the command that holds its count until it is read.
const PIT_COUNTS: u64 = 1_193_182;
const PIT_COUNTER: u16 = 0x40;
const PIT_CONTROL: u16 = 0x43;
const PIT_RATE: u8 = 0x34;
const PIT_HOLD: u8 = 0x00;

/// How often a counter is looked at to see whether it counts at all. The slowest counts every 0.8 microseconds, a look takes
/// about as long.
const LOOKS: u32 = 1000;

/// How often a counter is looked at during one measurement, at most; a look takes at least a tenth of a microsecond.
const MOST_LOOKS: u32 = 1 << 20;

/// How many measurements are made, and the part of a second that each takes.
const MEASUREMENTS: u32 = 3;
const PART: u64 = 100;

/// What the TSC was when [`begin`] was called.
static BEGUN: Once<u64> = Once::new();

/// The time is counted from here on.
pub fn begin() {
    if let Some(now) = cpu::cycles() {
        BEGUN.call_once(|| now);
    }
}

/// What the TSC has counted since [`begin`], or nothing if the CPU has none.
pub fn counted() -> Option<u64> {
    Some(cpu::cycles()?.saturating_sub(*BEGUN.get()?))
}

/// Whether the CPU promises that the TSC counts at one rate, whatever is done to save power (SDM vol. 3B, 18.17.1).
pub fn is_steady() -> bool {
    let power = cpuid::read().and_then(|cpuid| cpuid.get_advanced_power_mgmt_info());
    power.is_some_and(|power| power.has_invariant_tsc())
}

/// Sets the counter up and looks whether it counts. Tells how often it does in a second.
///
/// # Errors
/// Why it cannot be used.
///
/// # Safety
/// An HPET's registers must be mapped at its address, uncached and for good, and what is there must be read without harm.
/// The port of a PM timer must be read without harm, too.
pub unsafe fn prepare(reference: Reference) -> Result<u64, Unfit> {
    let counts = match reference {
        Reference::Hpet(registers) => {
            // SAFETY: by this function's contract. Nothing is written before what was read looks like an HPET.
            unsafe {
                let period = registers.add(hpet::PERIOD).read_volatile();
                let revision = registers.add(hpet::ABILITIES).read_volatile() & hpet::REVISION;
                if !hpet::PERIODS.contains(&period) || revision == 0 {
                    return Err(Unfit::Period(period));
                }
                // It runs, and the PIT keeps its line.
                let configuration = registers.add(hpet::CONFIGURATION);
                configuration.write_volatile(configuration.read_volatile() & !hpet::TAKES_LINES | hpet::RUNS);
                FEMTOSECONDS / u64::from(period)
            }
        }
        Reference::PmTimer(_) => PM_TIMER_COUNTS,
        Reference::Pit => {
            // SAFETY: the timer's ports on every PC. It counts down from 65536 and may pull its line, which is masked.
            unsafe {
                outb(PIT_CONTROL, PIT_RATE);
                outb(PIT_COUNTER, 0);
                outb(PIT_COUNTER, 0);
            }
            PIT_COUNTS
        }
    };
    // SAFETY: by this function's contract.
    let first = unsafe { reference.read() };
    // SAFETY: likewise.
    let counts_at_all = (0..LOOKS).any(|_| unsafe { reference.read() } != first);
    if counts_at_all { Ok(counts) } else { Err(Unfit::Still) }
}

/// Measures how often the TSC counts in a second, by a counter that counts so often. Takes about 30 milliseconds. `None` if
/// there is no TSC, or the counter stands still.
///
/// # Safety
/// [`prepare`] must have found the counter good.
pub unsafe fn measure(reference: Reference, counts: u64) -> Option<u64> {
    // The one whose ends are known best: whatever comes between two reads of the TSC, as the firmware may, makes an end
    // uncertain and is seen by it.
    let measurements = (0..MEASUREMENTS).filter_map(|_| {
        // SAFETY: by this function's contract.
        unsafe { measure_once(reference, counts) }
    });
    measurements.min_by_key(|(_, uncertain)| *uncertain).map(|(counts, _)| counts)
}

/// How often the TSC counts in a second, and by how much its counts at both ends are uncertain.
///
/// # Safety
/// As [`measure`].
unsafe fn measure_once(reference: Reference, counts: u64) -> Option<(u64, u64)> {
    let look = || {
        let before = cpu::cycles()?;
        // SAFETY: by this function's contract.
        let counter = unsafe { reference.read() };
        Some((counter, before, cpu::cycles()?.saturating_sub(before)))
    };
    let (first, begin, uncertain) = look()?;
    for _ in 0..MOST_LOOKS {
        let (counter, end, uncertain_end) = look()?;
        let passed = u64::from(reference.passed(first, counter));
        if passed >= counts / PART {
            let counted = end.saturating_sub(begin);
            return Some((counted.checked_mul(counts)? / passed, uncertain + uncertain_end));
        }
    }
    None
}

impl Reference {
    /// What the counter shows.
    ///
    /// # Safety
    /// As [`prepare`].
    unsafe fn read(self) -> u32 {
        match self {
            // SAFETY: by this function's contract.
            Reference::Hpet(registers) => unsafe { ptr::read_volatile(registers.add(hpet::COUNTER)) },
            // SAFETY: likewise.
            Reference::PmTimer(port) => unsafe { inl(port) & PM_TIMER_MASK },
            // SAFETY: the timer's ports; holding a count and reading it changes nothing.
            Reference::Pit => unsafe {
                outb(PIT_CONTROL, PIT_HOLD);
                let low = inb(PIT_COUNTER);
                u32::from(u16::from_le_bytes([low, inb(PIT_COUNTER)]))
            },
        }
    }

    /// How often it has counted between two values that it has shown, less than one round apart.
    const fn passed(self, first: u32, second: u32) -> u32 {
        match self {
            Reference::Hpet(_) => second.wrapping_sub(first),
            Reference::PmTimer(_) => second.wrapping_sub(first) & PM_TIMER_MASK,
            // It counts down.
            Reference::Pit => first.wrapping_sub(second) & 0xFFFF,
        }
    }
}
