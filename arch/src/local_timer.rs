//! The local APIC's timer: the tick of every CPU but the first, a hundred times in a second (SDM vol. 3A, 11.5.4). It is the first one's
//! [too](crate::timer) where nothing better interrupts.
//!
//! Where the CPU offers it, and promises that its TSC counts at one rate, the timer is told a value of the TSC at which to interrupt, each
//! time anew; else it counts down a clock of its own, again and again.

use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use x86::msr::{self, IA32_TSC_DEADLINE};

use crate::apic::{self, register};
use crate::percpu::{self, MAX};
use crate::{clock, cpu, cpuid, timer, vectors};

/// Divide the clock by 16.
const BY_16: u32 = 3;

/// In the timer's register of the local vector table: begin anew when the count has come to its end; interrupt at a value of the TSC.
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 1 << 18;

/// How often it interrupts in a second.
const BEATS_PER_SECOND: u64 = timer::BEATS_PER_SECOND as u64;

/// What the timers' clock and the TSC count from one interrupt to the next; 0 until it was measured, and where the TSC is not to be used.
static COUNTS: AtomicU32 = AtomicU32::new(0);
static CYCLES: AtomicU32 = AtomicU32::new(0);

/// How a CPU's timer interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Not at all.
    Off = 0,
    /// By counting down a clock.
    Count,
    /// At a value of the TSC.
    Deadline,
}

/// Each written by its CPU.
static KINDS: [AtomicU8; MAX] = [const { AtomicU8::new(Kind::Off as u8) }; MAX];

/// How often each has interrupted.
static BEATS: [AtomicU32; MAX] = [const { AtomicU32::new(0) }; MAX];

/// How often the timer of the CPU number `index` has interrupted. After more than a year it begins anew.
pub fn beats_of(index: usize) -> u32 {
    BEATS[index].load(Ordering::Relaxed)
}

/// How the timer of the CPU number `index` interrupts.
pub fn kind_of(index: usize) -> Kind {
    match KINDS[index].load(Ordering::Relaxed) {
        0 => Kind::Off,
        1 => Kind::Count,
        _ => Kind::Deadline,
    }
}

/// Measures how fast the timers and the TSC count, on the first CPU, whose APIC is open: all have the same clocks.
pub(crate) fn measure() {
    // SAFETY: the APIC is open; the timer is masked.
    unsafe {
        apic::write(register::TIMER_DIVISOR, BY_16);
        apic::write(register::TIMER_START, u32::MAX);
    }
    // SAFETY: as above. It counts down for more than a minute.
    let counts = clock::rate_of(&|| Some(u64::from(u32::MAX - unsafe { apic::read(register::TIMER_NOW) })));
    // SAFETY: as above.
    unsafe { apic::write(register::TIMER_START, 0) };
    let in_a_period = |rate: Option<u64>| u32::try_from(rate.unwrap_or(0) / BEATS_PER_SECOND).unwrap_or(0);
    COUNTS.store(in_a_period(counts), Ordering::Relaxed);
    if clock::is_steady() {
        CYCLES.store(in_a_period(clock::rate_of(&cpu::cycles)), Ordering::Relaxed);
    }
}

/// Has the first CPU's timer interrupt it. Tells whether it does.
pub(crate) fn start_first() -> bool {
    if apic::is_open() && COUNTS.load(Ordering::Relaxed) == 0 {
        measure();
    }
    start()
}

/// Has this CPU's timer interrupt it every ten milliseconds. Tells whether it does: not where timers do not count.
pub fn start() -> bool {
    let counts = COUNTS.load(Ordering::Relaxed);
    if !apic::is_open() {
        return false;
    }
    let offered =
        cpuid::read().and_then(|cpuid| cpuid.get_feature_info()).is_some_and(|basic| basic.has_tsc_deadline());
    let kind = match (offered && CYCLES.load(Ordering::Relaxed) != 0, counts) {
        (true, _) => Kind::Deadline,
        (false, 0) => return false,
        (false, _) => Kind::Count,
    };
    KINDS[percpu::index()].store(kind as u8, Ordering::Relaxed);
    // SAFETY: the APIC is open, and the interrupt has a handler; CPUID offers what is used.
    unsafe {
        if kind == Kind::Deadline {
            apic::write(register::TIMER, DEADLINE | u32::from(vectors::TIMER));
            // A register in memory may be written later than a model-specific one (SDM vol. 3A, 11.5.4.1).
            asm!("mfence", options(nostack, preserves_flags));
            set_deadline();
        } else {
            apic::write(register::TIMER_DIVISOR, BY_16);
            apic::write(register::TIMER, PERIODIC | u32::from(vectors::TIMER));
            apic::write(register::TIMER_START, counts);
        }
    }
    true
}

/// The timer has interrupted: counts that, and has it do so again.
pub(crate) fn interrupt() {
    let own = percpu::index();
    BEATS[own].fetch_add(1, Ordering::Relaxed);
    if own == 0 {
        timer::beat();
    }
    if kind_of(own) == Kind::Deadline {
        // SAFETY: this CPU's timer was started so.
        unsafe { set_deadline() };
    }
}

/// Has the timer interrupt at the next multiple of the period: however late this is called, the timer does not go slow.
///
/// # Safety
/// The CPU has the register, and CYCLES was measured.
unsafe fn set_deadline() {
    let period = u64::from(CYCLES.load(Ordering::Relaxed).max(1));
    let now = cpu::cycles().unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe { msr::wrmsr(IA32_TSC_DEADLINE, now - now % period + period) };
}
