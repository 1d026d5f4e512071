//! The tick of the first CPU, a hundred times in a second, by the first of these that is seen to interrupt: the PIT, whose rate is fixed;
//! the HPET in its place, which tells its rate; the timer of the local APIC, which has to be measured. The PIT is clock-gated on
//! laptops since 2020.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use x86::io::outb;

use crate::clock::{self, Reference};
use crate::lines::{self, Trial};
use crate::{delay, hpet, local_timer, preempt};

/// The PIT's ports of counter 0 and of the control word.
const COUNTER: u16 = 0x40;
const CONTROL: u16 = 0x43;

/// Counter 0, low byte and then high byte, as a rate generator.
const RATE: u8 = 0x34;

/// The PIT counts 1 193 182 times in a second, and interrupts a hundred times.
const DIVISOR: u16 = (1_193_182u32 / BEATS_PER_SECOND) as u16;

/// How often the tick comes in a second.
pub const BEATS_PER_SECOND: u32 = 100;

/// The PIT's line of the ISA bus.
pub(crate) const LINE: u8 = 0;

/// How long the first tick is waited for, in milliseconds: of a timer that counts, and of one that does not seem to. The first is
/// long because the host of an emulator may be busy.
const PATIENCE: u32 = 500;
const LITTLE_PATIENCE: u32 = 50;

/// What makes the tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Source {
    /// Nothing.
    None = 0,
    /// The PIT.
    Pit,
    /// The HPET.
    Hpet,
    /// The local APIC's timer.
    Local,
}

static SOURCE: AtomicU8 = AtomicU8::new(Source::None as u8);

static BEATS: AtomicU32 = AtomicU32::new(0);

/// Starts the tick, with interrupts on and I/O APICs or the 8259s in [service](lines::route). Returns what makes it, and whether the
/// same controllers serve as before: the PIT and the HPET come through them, and where they do not come through I/O APICs the 8259s
/// are tried.
pub fn start() -> (Source, bool) {
    let mut kept = true;
    let source = if start_pit(&mut kept) {
        Source::Pit
    } else if start_hpet(&mut kept) {
        Source::Hpet
    } else if local_timer::start_first() && beats_soon(PATIENCE) {
        Source::Local
    } else {
        Source::None
    };
    SOURCE.store(source as u8, Ordering::Relaxed);
    (source, kept)
}

fn start_pit(kept: &mut bool) -> bool {
    let counts = clock::pit_counts();
    let [low, high] = DIVISOR.to_le_bytes();
    // SAFETY: the timer's ports on every PC; nobody else uses counter 0, and its interrupt has a handler.
    unsafe {
        outb(CONTROL, RATE);
        outb(COUNTER, low);
        outb(COUNTER, high);
    }
    lines::unmask(LINE);
    // One that does not seem to count may interrupt all the same, but says nothing about the controllers if it does not.
    if counts { comes_through(kept) } else { beats_soon(LITTLE_PATIENCE) }
}

fn start_hpet(kept: &mut bool) -> bool {
    let Some((Reference::Hpet(registers), counts)) = clock::prepared() else { return false };
    let Ok(period) = u32::try_from(counts / u64::from(BEATS_PER_SECOND)) else { return false };
    // SAFETY: the HPET was started, and the line has a handler.
    if unsafe { hpet::take_line(registers, period) } && comes_through(kept) {
        return true;
    }
    // SAFETY: as above.
    unsafe { hpet::give_line(registers) };
    false
}

/// Whether a timer that is at the line comes through, and, if so, by the controllers that served before.
fn comes_through(kept: &mut bool) -> bool {
    let trial = lines::try_out(|| beats_soon(PATIENCE));
    *kept &= trial != Trial::Other;
    trial != Trial::None
}

/// Whether a tick comes within so many milliseconds.
fn beats_soon(milliseconds: u32) -> bool {
    const MICROSECONDS: u32 = 100;
    let before = count();
    (0..milliseconds * 1000 / MICROSECONDS).any(|_| {
        delay::microseconds(MICROSECONDS);
        count() != before
    })
}

/// Whether there is a tick: not on a machine without a timer, or without a way from it to the CPU.
pub fn beats() -> bool {
    source() != Source::None
}

/// What makes the tick.
pub fn source() -> Source {
    match SOURCE.load(Ordering::Relaxed) {
        0 => Source::None,
        1 => Source::Pit,
        2 => Source::Hpet,
        _ => Source::Local,
    }
}

/// How often the tick has come. After more than a year it begins anew.
pub fn count() -> u32 {
    BEATS.load(Ordering::Relaxed)
}

/// Counts a tick.
pub(crate) fn beat() {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

/// What the interrupt of the PIT's line asks for.
pub(crate) fn interrupt() {
    beat();
    preempt::tick();
}
