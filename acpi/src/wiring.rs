//! How the lines of the ISA bus reach the pins of I/O APICs (ACPI Specification 6.5, 5.2.12.5 and 5.2.13).
//!
//! Every pin of every I/O APIC has a number, its GSI. By itself a line has the GSI of its own number, interrupts by edge and is active
//! when high; an override says otherwise. A table that contradicts itself about one line is not believed about the others: where the
//! 8259s are there, they do without it.

use core::fmt;

use crate::madt::{Entry, IoApic, Override};

/// How many lines the ISA bus has.
pub const LINES: usize = 16;

/// The most I/O APICs that are kept. The lines of the ISA bus are on the first that firmware lists.
pub const MOST: usize = 8;

/// The most pins that the GSIs of a machine can be of, so that none is taken for one that is not.
const LAST_GSI: u32 = 0xFFFF;

/// How a line is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wire {
    /// The number of the pin among all.
    pub gsi: u32,
    /// Active when low instead of when high.
    pub active_low: bool,
    /// By level instead of by edge.
    pub by_level: bool,
}

/// What the entries of a table say about lines and I/O APICs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiring {
    /// By line, where an override says so.
    overridden: [Option<Wire>; LINES],
    io_apics: [Option<IoApic>; MOST],
    /// How many more are listed.
    more: usize,
    /// The first thing that is wrong.
    wrong: Option<Crossed>,
}

/// What is wrong with lines and I/O APICs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crossed {
    /// A bus and line of which there cannot be an override.
    NoLine(u8, u8),
    /// A line has flags that mean nothing.
    Flags(u8, u16),
    /// A line should have a GSI that cannot be.
    NoGsi(u8, u32),
    /// There are two overrides of a line, to these GSIs, and they are not the same.
    Twice(u8, u32, u32),
    /// A line should have a GSI that another has.
    Shared(u8, u8, u32),
}

impl fmt::Display for Crossed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Crossed::NoLine(bus, line) => write!(f, "an override is for line {line} of bus {bus}, which cannot be"),
            Crossed::Flags(line, flags) => {
                write!(f, "the override of line {line} has the flags {flags:#x}, which mean nothing")
            }
            Crossed::NoGsi(line, gsi) => write!(f, "the override of line {line} names GSI {gsi}, which cannot be"),
            Crossed::Twice(line, one, other) => {
                write!(f, "line {line} has two overrides that differ, to GSI {one} and to GSI {other}")
            }
            Crossed::Shared(line, other, gsi) => write!(f, "lines {line} and {other} should both be GSI {gsi}"),
        }
    }
}

impl Wiring {
    /// Takes note of an entry of the table.
    pub fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Processor(_) => {}
            Entry::IoApic(apic) => match self.io_apics.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(apic),
                None => self.more += 1,
            },
            Entry::Override(said) => {
                if let Err(crossed) = self.override_line(said) {
                    self.wrong.get_or_insert(crossed);
                }
            }
        }
    }

    fn override_line(&mut self, Override { bus, line, to, flags }: Override) -> Result<(), Crossed> {
        let place =
            self.overridden.get_mut(usize::from(line)).filter(|_| bus == 0).ok_or(Crossed::NoLine(bus, line))?;
        // Each is 0 for as the bus has it, 1 for what the ISA bus has, or 3.
        let (polarity, trigger) = (flags & 3, flags >> 2 & 3);
        if polarity == 2 || trigger == 2 || flags >> 4 != 0 {
            return Err(Crossed::Flags(line, flags));
        }
        if to > LAST_GSI {
            return Err(Crossed::NoGsi(line, to));
        }
        let wire = Wire { gsi: to, active_low: polarity == 3, by_level: trigger == 3 };
        match place.replace(wire) {
            Some(before) if before != wire => Err(Crossed::Twice(line, before.gsi, to)),
            _ => Ok(()),
        }
    }

    /// The I/O APICs, in the table's order.
    pub fn io_apics(&self) -> impl Iterator<Item = IoApic> {
        self.io_apics.into_iter().flatten()
    }

    /// How many I/O APICs are listed beyond those that are kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// How `line`, 0 to 15, is connected.
    ///
    /// # Errors
    /// What is wrong with this line, or with an override of any.
    pub fn wire(&self, line: u8) -> Result<Wire, Crossed> {
        if let Some(crossed) = self.wrong {
            return Err(crossed);
        }
        let own = self.overridden.get(usize::from(line)).ok_or(Crossed::NoLine(0, line))?;
        let wire = own.unwrap_or(Wire { gsi: line.into(), active_low: false, by_level: false });
        // A line that has no override loses its pin to one that has, as line 2 does: that is the second 8259, which is not there
        // then. So two are one only where this line is in use.
        let other = (0u8..)
            .zip(&self.overridden)
            .find(|(other, its)| *other != line && its.is_some_and(|its| its.gsi == wire.gsi));
        match other {
            Some((other, _)) => Err(Crossed::Shared(line, other, wire.gsi)),
            None => Ok(wire),
        }
    }
}

/// The GSIs of an I/O APIC's pins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pins {
    /// That of its first.
    pub base: u32,
    /// How many it has.
    pub count: u32,
}

impl Pins {
    /// Whether one of them is one of `other` too.
    pub fn overlap(&self, other: &Self) -> bool {
        let end = |pins: &Self| u64::from(pins.base) + u64::from(pins.count);
        u64::from(self.base) < end(other) && u64::from(other.base) < end(self)
    }

    /// The last GSI.
    pub fn last(&self) -> u64 {
        u64::from(self.base) + u64::from(self.count.saturating_sub(1))
    }
}

/// Which of `io_apics` has the GSI, and at which pin.
pub fn pin(gsi: u32, io_apics: impl Iterator<Item = Pins>) -> Option<(usize, u32)> {
    io_apics.enumerate().find_map(|(at, pins)| {
        let pin = gsi.checked_sub(pins.base).filter(|pin| *pin < pins.count)?;
        Some((at, pin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wiring(overrides: &[(u8, u8, u32, u16)]) -> Wiring {
        let mut wiring = Wiring::default();
        for (bus, line, to, flags) in overrides.iter().copied() {
            wiring.take(Entry::Override(Override { bus, line, to, flags }));
        }
        wiring
    }

    fn edge(gsi: u32) -> Result<Wire, Crossed> {
        Ok(Wire { gsi, active_low: false, by_level: false })
    }

    #[test]
    fn lines_are_connected_as_the_bus_has_it_or_as_the_override_says() {
        let pc = wiring(&[(0, 0, 2, 0), (0, 9, 9, 0xD), (0, 1, 33, 0xF), (0, 4, 4, 0x5), (0, 3, 40, 0x7)]);
        assert_eq!(pc.wire(0), edge(2));
        assert_eq!(pc.wire(9), Ok(Wire { gsi: 9, active_low: false, by_level: true }));
        assert_eq!(pc.wire(1), Ok(Wire { gsi: 33, active_low: true, by_level: true }));
        assert_eq!(pc.wire(3), Ok(Wire { gsi: 40, active_low: true, by_level: false }));
        assert_eq!((pc.wire(4), pc.wire(12)), (edge(4), edge(12)));
        // The second 8259's line has lost its pin to the timer.
        assert_eq!(pc.wire(2), Err(Crossed::Shared(2, 0, 2)));
        assert_eq!(Wiring::default().wire(0), edge(0));
        assert_eq!(Wiring::default().wire(16), Err(Crossed::NoLine(0, 16)));
    }

    #[test]
    fn an_override_said_twice_is_one() {
        assert_eq!(wiring(&[(0, 0, 2, 0), (0, 0, 2, 0)]).wire(0), edge(2));
    }

    #[test]
    fn overrides_that_cannot_be_are_named_whatever_line_is_asked_for() {
        for (wrong, crossed) in [
            ((1, 9, 9, 0), Crossed::NoLine(1, 9)),
            ((0, 16, 9, 0), Crossed::NoLine(0, 16)),
            ((0, 255, 9, 0), Crossed::NoLine(0, 255)),
            ((0, 9, 9, 2), Crossed::Flags(9, 2)),
            ((0, 9, 9, 8), Crossed::Flags(9, 8)),
            ((0, 9, 9, 0x10), Crossed::Flags(9, 0x10)),
            ((0, 9, u32::MAX, 0), Crossed::NoGsi(9, u32::MAX)),
            ((0, 0, 3, 0), Crossed::Twice(0, 2, 3)),
            ((0, 0, 2, 0xF), Crossed::Twice(0, 2, 2)),
        ] {
            assert_eq!(wiring(&[(0, 0, 2, 0), wrong]).wire(1), Err(crossed), "{wrong:?}");
        }
    }

    #[test]
    fn two_lines_in_use_cannot_have_one_pin() {
        assert_eq!(wiring(&[(0, 0, 4, 0)]).wire(4), Err(Crossed::Shared(4, 0, 4)));
        assert_eq!(wiring(&[(0, 0, 7, 0), (0, 1, 7, 0)]).wire(0), Err(Crossed::Shared(0, 1, 7)));
    }

    #[test]
    fn io_apics_beyond_the_room_are_counted() {
        let mut wiring = Wiring::default();
        let apic = |n: u32| IoApic { id: n as u8, address: 0xFEC0_0000 + u64::from(n), base: 24 * n };
        (0..10).for_each(|n| wiring.take(Entry::IoApic(apic(n))));
        assert!(wiring.io_apics().eq((0..8).map(apic)));
        assert_eq!(wiring.more(), 2);
    }

    #[test]
    fn a_gsi_is_a_pin_of_the_one_that_has_it() {
        let pins = [Pins { base: 24, count: 8 }, Pins { base: 0, count: 24 }, Pins { base: u32::MAX, count: 240 }];
        let find = |gsi| pin(gsi, pins.iter().copied());
        assert_eq!((find(0), find(23)), (Some((1, 0)), Some((1, 23))));
        assert_eq!((find(24), find(31), find(32)), (Some((0, 0)), Some((0, 7)), None));
        assert_eq!(find(u32::MAX), Some((2, 0)));
        assert!(!pins[0].overlap(&pins[1]) && !pins[1].overlap(&pins[0]) && !pins[2].overlap(&pins[0]));
        assert!(pins[0].overlap(&Pins { base: 31, count: 1 }) && pins[0].overlap(&Pins { base: 0, count: 25 }));
        assert_eq!((pins[0].last(), pins[2].last()), (31, 0xFFFF_FFFF + 239));
    }
}
