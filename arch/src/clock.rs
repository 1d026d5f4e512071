//! Telling the time: the CPU's counter (TSC), and the counters whose rate is known that it is measured by.
//!
//! Nothing here waits for ever: a counter that stands still is looked at so many times and no more.

use spin::Once;
use x86::io::{inb, inl, outb};

use crate::{cpu, cpuid, hpet};

/// A counter whose rate is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The high precision event timer, whose registers are mapped at this address.
    Hpet(usize),
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

/// How many measurements count, how many are made at most, and the part of a second that each takes.
const MEASUREMENTS: usize = 3;
const TRIES: usize = 12;
const PART: u64 = 100;

/// A measurement counts if its ends are uncertain by less than this part of it.
const CERTAIN: u64 = 200;

/// What the TSC was when [`begin`] was called.
static BEGUN: Once<u64> = Once::new();

/// The counter that was [prepared](prepare), and how often it counts in a second.
static PREPARED: Once<(Reference, u64)> = Once::new();

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

/// Sets the counter up and looks whether it counts. Tells how often it does in a second. The first that does is the one that
/// [short waits](crate::delay) go by.
///
/// # Errors
/// Why it cannot be used.
///
/// # Safety
/// An HPET's registers must be mapped at its address, uncached and for good, and what is there must be read without harm.
/// The port of a PM timer must be read without harm, too.
pub unsafe fn prepare(reference: Reference) -> Result<u64, Unfit> {
    let counts = match reference {
        // SAFETY: by this function's contract.
        Reference::Hpet(registers) => unsafe { hpet::start(registers).map_err(Unfit::Period)? },
        Reference::PmTimer(_) => PM_TIMER_COUNTS,
        Reference::Pit => {
            start_pit();
            PIT_COUNTS
        }
    };
    // SAFETY: by this function's contract.
    if unsafe { reference.counts() } {
        PREPARED.call_once(|| (reference, counts));
        Ok(counts)
    } else {
        Err(Unfit::Still)
    }
}

/// The counter that was prepared, and how often it counts in a second.
pub(crate) fn prepared() -> Option<(Reference, u64)> {
    PREPARED.get().copied()
}

/// Whether there is a PIT that counts. Counter 0 begins anew.
pub(crate) fn pit_counts() -> bool {
    start_pit();
    // SAFETY: the PIT needs nothing.
    unsafe { Reference::Pit.counts() }
}

/// Has counter 0 of the PIT count down from 65536, again and again.
fn start_pit() {
    // SAFETY: the timer's ports on every PC. It may pull its line, which is masked.
    unsafe {
        outb(PIT_CONTROL, PIT_RATE);
        outb(PIT_COUNTER, 0);
        outb(PIT_COUNTER, 0);
    }
}

/// Measures how often the TSC counts in a second, by a counter that counts so often. Takes about 30 milliseconds. `None` if
/// there is no TSC, or the counter stands still.
///
/// # Safety
/// [`prepare`] must have found the counter good.
pub unsafe fn measure(reference: Reference, counts: u64) -> Option<u64> {
    // SAFETY: by this function's contract.
    unsafe { measure_by(reference, counts, &cpu::cycles) }
}

/// Measures how often something counts in a second by the counter that was prepared; `look` shows its count, if it has one. Takes
/// about 30 milliseconds.
pub(crate) fn rate_of(look: &dyn Fn() -> Option<u64>) -> Option<u64> {
    let (reference, counts) = prepared()?;
    if reference == Reference::Pit {
        // It may have been given another round since.
        start_pit();
    }
    // SAFETY: it was prepared.
    unsafe { measure_by(reference, counts, look) }
}

/// # Safety
/// As [`measure`].
unsafe fn measure_by(reference: Reference, counts: u64, look: &dyn Fn() -> Option<u64>) -> Option<u64> {
    let mut good = [0; MEASUREMENTS];
    let (mut count, mut best) = (0, (u64::MAX, 0));
    for _ in 0..TRIES {
        // SAFETY: by this function's contract.
        let (rate, uncertain) = unsafe { measure_once(reference, counts, look)? };
        best = best.min((uncertain, rate));
        // Whatever holds the CPU between two looks at the same end, as the firmware or a busy host may, makes it uncertain.
        if uncertain < rate / PART / CERTAIN {
            good[count] = rate;
            count += 1;
        }
        if count == MEASUREMENTS {
            // And what holds it between the ends, for longer than the reference takes for a round, makes the rate too high.
            good.sort_unstable();
            return Some(good[MEASUREMENTS / 2]);
        }
    }
    Some(best.1)
}

/// How often `look` counts in a second, and by how much its counts at both ends are uncertain.
///
/// # Safety
/// As [`measure`].
unsafe fn measure_once(reference: Reference, counts: u64, look: &dyn Fn() -> Option<u64>) -> Option<(u64, u64)> {
    let look = || {
        let before = look()?;
        // SAFETY: by this function's contract.
        let counter = unsafe { reference.read() };
        Some((counter, before, look()?.saturating_sub(before)))
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
    /// Whether it counts.
    ///
    /// # Safety
    /// As [`prepare`].
    unsafe fn counts(self) -> bool {
        // SAFETY: by this function's contract.
        let first = unsafe { self.read() };
        // SAFETY: likewise.
        (0..LOOKS).any(|_| unsafe { self.read() } != first)
    }

    /// What the counter shows.
    ///
    /// # Safety
    /// As [`prepare`].
    pub(crate) unsafe fn read(self) -> u32 {
        match self {
            // SAFETY: by this function's contract.
            Reference::Hpet(registers) => unsafe { hpet::counter(registers) },
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
    pub(crate) const fn passed(self, first: u32, second: u32) -> u32 {
        match self {
            Reference::Hpet(_) => second.wrapping_sub(first),
            Reference::PmTimer(_) => second.wrapping_sub(first) & PM_TIMER_MASK,
            // It counts down.
            Reference::Pit => first.wrapping_sub(second) & 0xFFFF,
        }
    }
}
