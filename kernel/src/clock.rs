//! What the time is told by.
//!
//! The CPU's own counter, the TSC, is the clock, and something else says how fast it counts: the HPET that ACPI's tables
//! name, else ACPI's power management timer, else the PC's timer. [`find`] picks the first of them that can be believed, on
//! the way up; [`measure`] measures, once the kernel is up. A CPU without a TSC is left the timer's interrupts, a hundred a
//! second, from when the prompt comes up.

use core::fmt::{self, Write};

use acpi::{Fadt, Fault, PmTimer, Register, Space};
use log::{debug, warn};

use crate::console::Console;
use crate::registers::{self, Misplaced};
use crate::tables::Reader;
use crate::{Machine, Reference, Unfit};

/// Bytes of an HPET's registers that are used: those of the counter, and of the first timer.
const HPET_BYTES: u64 = 0x110;

/// The least I/O port that the power management timer can have: those below belong to the devices of the ISA bus.
const LEAST_PORT: u16 = 0x400;

/// What the time is told by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// What the CPU's counter is measured by, and how often that counts in a second.
    reference: Option<(Reference, u64)>,
    /// How often the CPU's counter counts in a second.
    counts: Option<u64>,
}

/// Why a counter that the tables name is not used.
enum Refused {
    /// It has no address, or one of a kind that it cannot have.
    Nowhere,
    /// It is said to be at this port.
    Port(u64),
    /// Its register is said to have so many bytes.
    Bytes(u8),
    /// Its registers cannot be mapped.
    Misplaced(Misplaced),
    /// It is there and no good.
    Unfit(Unfit),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Refused::Nowhere => f.write_str("the tables do not say where it is"),
            Refused::Misplaced(misplaced) => misplaced.fmt(f),
            Refused::Port(port) => write!(f, "it should be at port {port:#x}, where it cannot be"),
            Refused::Bytes(bytes) => write!(f, "it should have {bytes} bytes; it has 4"),
            Refused::Unfit(Unfit::Period(period)) => {
                write!(f, "it says that it counts once in {period} femtoseconds, which cannot be")
            }
            Refused::Unfit(Unfit::Still) => f.write_str("it does not count"),
        }
    }
}

/// Picks what other counters are to be measured by, and short waits go by. What cannot be used is told with the reason.
pub fn find(machine: &mut Machine) {
    machine.clock.reference = attempt(machine, "HPET", hpet)
        .or_else(|| attempt(machine, "PM timer", pm_timer))
        .or_else(|| attempt(machine, "PIT", |machine| Ok(prepared(machine, Reference::Pit).map(Some)?)));
    if machine.platform.time().counted.is_none() {
        debug!("clock: this CPU has no TSC; the timer's interrupts are all there is");
    } else if machine.clock.reference.is_none() {
        warn!("clock: nothing tells how fast the TSC counts");
    }
}

/// Starts the tick of this CPU, once interrupts are on. Only where there is none that is written to the consoles: the prompt is
/// what comes after the ready line.
pub fn start_tick(machine: &mut Machine) {
    let tick = machine.platform.start_tick();
    if !tick.lines_kept {
        crate::lines::left(machine);
    }
    let rate = machine.platform.time().ticks_per_second;
    match tick.by {
        Some(name) => debug!("clock: the first CPU's tick comes from the {name}, {rate} a second"),
        None => warn!(
            "clock: no timer interrupts the first CPU; its threads do not take turns, and time stands still there"
        ),
    }
}

/// What a counter is made of its tables: itself and its rate, nothing if there is none, or why not.
type Attempt = Result<Option<(Reference, u64)>, Refused>;

fn attempt(machine: &mut Machine, name: &str, make: fn(&mut Machine) -> Attempt) -> Option<(Reference, u64)> {
    make(machine).unwrap_or_else(|refused| {
        warn!("clock: the {name} is not used: {refused}");
        None
    })
}

impl From<Unfit> for Refused {
    fn from(unfit: Unfit) -> Self {
        Refused::Unfit(unfit)
    }
}

fn prepared(machine: &Machine, reference: Reference) -> Result<(Reference, u64), Unfit> {
    machine.platform.prepare(reference).map(|counts| (reference, counts))
}

/// What a table says, if there is one that is right. What is wrong with the others is told when the machine is turned off
/// or restarted: for a clock it is enough that there are more ways.
fn read<T>(name: &str, table: Result<T, Fault>) -> Option<T> {
    table
        .inspect_err(|fault| match fault {
            Fault::Missing(_) => debug!("clock: {fault}"),
            _ => warn!("clock: the {name} is not used: {fault}"),
        })
        .ok()
}

fn hpet(machine: &mut Machine) -> Attempt {
    let lists = machine.boot.acpi;
    if lists.is_empty() {
        return Ok(None);
    }
    let table = acpi::hpet(&mut Reader(machine), lists, &mut |fault| debug!("acpi: {fault}"));
    let Some(register) = read("HPET", table) else { return Ok(None) };
    let register = register.filter(|register| register.space == Space::Memory).ok_or(Refused::Nowhere)?;
    let at = register.address;
    let registers = registers::map(machine, "hpet", at, HPET_BYTES, 8).map_err(Refused::Misplaced)?;
    Ok(Some(prepared(machine, Reference::Hpet { registers })?))
}

/// Tries the port of each field that the table has for it, the newer first.
fn pm_timer(machine: &mut Machine) -> Attempt {
    let lists = machine.boot.acpi;
    if lists.is_empty() {
        return Ok(None);
    }
    let table = Fadt::read(&mut Reader(machine), lists, &mut |fault| debug!("acpi: {fault}"));
    let Some(PmTimer { registers, bytes }) = read("PM timer", table).and_then(|fadt| fadt.pm_timer) else {
        return Ok(None);
    };
    if bytes != 4 {
        return Err(Refused::Bytes(bytes));
    }
    let [new, old] = registers;
    match (new, old) {
        (Some(new), Some(old)) => pm_timer_at(machine, new).or_else(|refused| {
            warn!("clock: the PM timer of the newer field is not used: {refused}");
            pm_timer_at(machine, old)
        }),
        (Some(register), None) | (None, Some(register)) => pm_timer_at(machine, register),
        (None, None) => Err(Refused::Port(0)),
    }
}

fn pm_timer_at(machine: &Machine, register: Register) -> Attempt {
    if register.space != Space::Port {
        return Err(Refused::Nowhere);
    }
    match register.port() {
        Some(port) if port >= LEAST_PORT => Ok(Some(prepared(machine, Reference::PmTimer { port })?)),
        _ => Err(Refused::Port(register.address)),
    }
}

/// Measures the CPU's counter. Nothing is written to the consoles: the prompt is what comes after the ready line.
#[inline(never)] // tools/bench-boot stops here: the ready line is out.
pub fn measure(machine: &mut Machine) {
    let Some((reference, counts)) = machine.clock.reference.filter(|_| machine.platform.time().counted.is_some())
    else {
        return;
    };
    machine.clock.counts = machine.platform.measure(reference, counts).filter(|counts| *counts > 0);
    match machine.clock.counts {
        Some(counts) => debug!("clock: the TSC counts {counts} times a second, says the {}", name(reference)),
        None => debug!("clock: the {} stood still", name(reference)),
    }
}

const fn name(reference: Reference) -> &'static str {
    match reference {
        Reference::Hpet { .. } => "HPET",
        Reference::PmTimer { .. } => "PM timer",
        Reference::Pit => "PIT",
    }
}

/// Writes how long the kernel has run, and how that is known.
pub fn uptime(console: &mut Console, machine: &Machine) -> fmt::Result {
    let time = machine.platform.time();
    if let (Some(counted), Some(counts), Some((reference, rate))) =
        (time.counted, machine.clock.counts, machine.clock.reference)
    {
        writeln!(console, "up:         {} since the kernel began", Seconds(counted, counts))?;
        writeln!(console, "clock:      TSC, {}", Megahertz(counts))?;
        writeln!(console, "calibrated: by the {}, {}", name(reference), Megahertz(rate))?;
        let promise = if time.steady { "promises" } else { "does not promise" };
        return writeln!(console, "steady:     the CPU {promise} to count at one rate");
    }
    writeln!(console, "up:         {} since the prompt came up", Seconds(time.ticks, time.ticks_per_second))?;
    writeln!(console, "clock:      the timer's interrupts, {} a second", time.ticks_per_second)?;
    let why = if time.counted.is_none() { "this CPU has no TSC" } else { "nothing tells how fast the TSC counts" };
    writeln!(console, "calibrated: no; {why}")
}

/// So many counts, so many a second, as seconds.
struct Seconds(u64, u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Seconds(counted, counts) = *self;
        let rest = u128::from(counted % counts) * 1000 / u128::from(counts);
        write!(f, "{}.{rest:03} s", counted / counts)
    }
}

/// So many counts a second.
struct Megahertz(u64);

impl fmt::Display for Megahertz {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{:03} MHz", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::{Megahertz, Seconds};

    #[test]
    fn times_and_rates_are_told_to_the_thousandth() {
        assert_eq!(Seconds(0, 1).to_string(), "0.000 s");
        assert_eq!(Seconds(1_234, 100).to_string(), "12.340 s");
        assert_eq!(Seconds(u64::MAX, u64::MAX).to_string(), "1.000 s");
        assert_eq!(Seconds(u64::MAX - 1, u64::MAX).to_string(), "0.999 s");
        assert_eq!(Megahertz(3_579_545).to_string(), "3.579 MHz");
        assert_eq!(Megahertz(2_900_000_000).to_string(), "2900.000 MHz");
    }
}
