//! What brings the interrupts of the PC's devices to the CPU: I/O APICs where the firmware lists them and they can be believed, else
//! the 8259s, which have served from the beginning.

use core::fmt::{self, Write};

use acpi::{Crossed, IoApic, MOST, Pins, Wiring};
use log::{debug, info, warn};

use crate::console::Console;
use crate::registers::{self, Misplaced};
use crate::{LineRoute, Machine, Platform};

/// What the address of an I/O APIC is a multiple of: those that can be moved are so by this much.
const UNIT: u64 = 0x100;

/// The bytes of its registers.
const BYTES: u64 = 0x20;

/// As many lines as the ISA bus has.
const LINES: usize = 16;

/// What serves the devices' lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// The I/O APICs, by their numbers here; none while the 8259s serve.
    open: [Option<(IoApic, Pins)>; MOST],
    /// The GSI of each line that leads to one of them.
    gsis: [Option<u32>; LINES],
    /// The timer did not come through them, and the 8259s serve again.
    tried: bool,
}

/// Why the 8259s go on serving.
enum Refused {
    /// Nothing else is listed.
    None,
    /// The table contradicts itself.
    Crossed(Crossed),
    /// Pins of these two have the same numbers.
    Overlap(u8, u8),
    /// No I/O APIC has the pin of this number, which a device's line should have.
    NoPin(u8, &'static str, u32),
    /// They cannot name the CPU.
    Unreachable,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Refused::None => f.write_str("no I/O APIC is listed"),
            Refused::Crossed(crossed) => crossed.fmt(f),
            Refused::Overlap(one, other) => write!(f, "I/O APICs {one} and {other} have the same GSIs"),
            Refused::NoPin(line, device, gsi) => {
                write!(f, "no I/O APIC has GSI {gsi}, at which line {line} ({device}) should be")
            }
            Refused::Unreachable => f.write_str("I/O APICs cannot name this CPU"),
        }
    }
}

/// Why an I/O APIC is not used.
enum Unfit {
    Misplaced(Misplaced),
    /// It is said to be at this address, and its version reads like this.
    Absent(u64, u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unfit::Misplaced(misplaced) => misplaced.fmt(f),
            Unfit::Absent(at, version) => {
                write!(f, "it should be at {at:#x}, where there is none: its version reads {version:#x}")
            }
        }
    }
}

/// Has I/O APICs serve, if all lines in use reach one. Else it is said why not. The local APIC is open.
pub fn route(machine: &mut Machine, wiring: &Wiring) {
    match attempt(machine, wiring) {
        Ok(lines) => machine.lines = lines,
        Err(Refused::None) => info!("lines: no I/O APIC is listed; the 8259s serve"),
        Err(refused) => warn!("lines: the 8259s serve: {refused}"),
    }
}

fn attempt(machine: &mut Machine, wiring: &Wiring) -> Result<Lines, Refused> {
    if wiring.more() > 0 {
        warn!("lines: {} I/O APICs more are listed than Strata uses", wiring.more());
    }
    if wiring.io_apics().next().is_none() {
        return Err(Refused::None);
    }
    let platform = machine.platform;
    // Before anything is touched.
    let used = platform.lines();
    used.iter().try_for_each(|(line, _)| wiring.wire(*line).map(|_| ())).map_err(Refused::Crossed)?;
    let mut lines = Lines::default();
    let mut count = 0;
    for apic in wiring.io_apics() {
        match open(machine, apic) {
            Ok(pins) => {
                if let Some((other, _)) = lines.open().find(|(_, others)| others.overlap(&pins)) {
                    return Err(Refused::Overlap(other.id, apic.id));
                }
                lines.open[count] = Some((apic, pins));
                count += 1;
            }
            Err(unfit) => warn!("lines: I/O APIC {} is not used: {unfit}", apic.id),
        }
    }
    let mut routes = [LineRoute::default(); LINES];
    for (route, (line, device)) in routes.iter_mut().zip(used) {
        let wire = wiring.wire(*line).map_err(Refused::Crossed)?;
        let pins = lines.open().map(|(_, pins)| pins);
        let (io_apic, pin) = acpi::pin(wire.gsi, pins).ok_or(Refused::NoPin(*line, device, wire.gsi))?;
        *route = LineRoute { line: *line, io_apic, pin, active_low: wire.active_low, by_level: wire.by_level };
        if let Some(place) = lines.gsis.get_mut(usize::from(*line)) {
            *place = Some(wire.gsi);
        }
        let level = if wire.active_low { "low" } else { "high" };
        let trigger = if wire.by_level { "by level" } else { "by edge" };
        debug!("lines: {device}, line {line}, is GSI {}, {trigger}, active {level}", wire.gsi);
    }
    if platform.route_lines(&routes[..used.len().min(LINES)]) { Ok(lines) } else { Err(Refused::Unreachable) }
}

fn open(machine: &mut Machine, apic: IoApic) -> Result<Pins, Unfit> {
    let registers = registers::map(machine, "io-apic", apic.address, BYTES, UNIT).map_err(Unfit::Misplaced)?;
    let count = machine.platform.open_io_apic(registers).map_err(|version| Unfit::Absent(apic.address, version))?;
    Ok(Pins { base: apic.base, count })
}

/// Takes note that the 8259s serve again, because the timer did not come through the I/O APICs. Nothing is written to the consoles:
/// the prompt is what comes after the ready line.
pub fn left(machine: &mut Machine) {
    machine.lines = Lines { tried: true, ..Lines::default() };
    debug!("lines: the 8259s serve: {NO_TIMER}");
}

const NO_TIMER: &str = "the timer does not come through the I/O APIC";

impl Lines {
    fn open(&self) -> impl Iterator<Item = (IoApic, Pins)> {
        self.open.into_iter().flatten()
    }

    /// Writes what serves, and how often each device has interrupted.
    pub fn show(&self, console: &mut Console, platform: &dyn Platform) -> fmt::Result {
        if self.open().next().is_none() {
            let (mark, why) = if self.tried { ("; ", NO_TIMER) } else { ("", "") };
            writeln!(console, "lines: 8259s{mark}{why}")?;
        }
        for (apic, pins) in self.open() {
            writeln!(console, "lines: I/O APIC {} at {:#x}, GSI {}-{}", apic.id, apic.address, pins.base, pins.last())?;
        }
        writeln!(console, "line  device    GSI  interrupts")?;
        platform.lines().iter().try_for_each(|(line, device)| {
            write!(console, "{line:<5} {device:<9} ")?;
            match self.gsis.get(usize::from(*line)).copied().flatten() {
                Some(gsi) => write!(console, "{gsi:<4} ")?,
                None => write!(console, "-    ")?,
            }
            writeln!(console, "{}", platform.interrupts(*line))
        })
    }
}
