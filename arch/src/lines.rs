//! The lines of the ISA bus by which devices interrupt, and what brings them to the CPU: the two 8259s, or I/O APICs.
//!
//! The 8259s serve from the beginning. Once [`route`] was told how the lines reach I/O APICs, those serve instead, and the 8259s are
//! silent and shut out. The interrupts are different ones ([`vectors`](crate::vectors)), so each is ended at the controller that
//! brought it.

use core::sync::atomic::{AtomicU32, Ordering};

use sched::{Class, lock};
use spin::Mutex;

use crate::io_apic::{IoApic, Pin};
use crate::{apic, interrupts, keyboard, pic, receive, timer, vectors};

/// A line in use: its number, and the device.
pub const USED: [(u8, &str); 3] = [(timer::LINE, "timer"), (keyboard::LINE, "keyboard"), (receive::LINE, "COM1")];

/// How a line reaches an I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The line, 0 to 15.
    pub line: u8,
    /// The number of the I/O APIC, in the order in which they were [opened](open).
    pub io_apic: usize,
    /// Its pin.
    pub pin: u32,
    /// The line is active when low instead of when high.
    pub active_low: bool,
    /// It interrupts by level instead of by edge.
    pub by_level: bool,
}

/// The most I/O APICs that can be opened.
const MOST: usize = 8;

/// Who serves, and which lines are let through.
struct Lines {
    io_apics: [Option<IoApic>; MOST],
    /// By line; all are none while the 8259s serve.
    routes: [Option<Route>; vectors::LINES as usize],
    /// The number of the local APIC to which they lead.
    to: u8,
    /// A bit for each line.
    unmasked: u16,
}

/// Locked with interrupts off only.
static LINES: Mutex<Lines> =
    Mutex::new(Lines { io_apics: [None; MOST], routes: [None; vectors::LINES as usize], to: 0, unmasked: 0 });

/// Opens the I/O APIC whose registers are mapped at `registers`, and silences its pins. Tells how many it has. Its number is how many
/// were opened before, of which there may be 7.
///
/// # Errors
/// What its version reads, if it is none.
///
/// # Safety
/// As [`IoApic::open`].
pub unsafe fn open(registers: usize) -> Result<u32, u32> {
    // SAFETY: the caller's promise.
    let apic = unsafe { IoApic::open(registers)? };
    with(|lines| {
        if let Some(place) = lines.io_apics.iter_mut().find(|place| place.is_none()) {
            *place = Some(apic);
        }
    });
    Ok(apic.pins())
}

/// Has I/O APICs serve from here on, by these routes, with this CPU as the one that is interrupted. Tells whether they do: not where
/// they cannot name this CPU, or a line in [use](USED) has no route. Then the 8259s go on.
pub fn route(routes: impl Iterator<Item = Route>) -> bool {
    // They have eight bits for the CPU, all of them set for everyone.
    let Some(to) = apic::is_open().then(apic::id).and_then(|id| u8::try_from(id).ok()).filter(|id| *id != u8::MAX)
    else {
        return false;
    };
    with(|lines| {
        let mut by_line = [None; vectors::LINES as usize];
        for route in routes {
            if let (Some(place), Some(_)) = (by_line.get_mut(usize::from(route.line)), lines.io_apic(&route)) {
                *place = Some(route);
            }
        }
        if USED.iter().any(|(line, _)| by_line[usize::from(*line)].is_none()) {
            return false;
        }
        pic::mask_all();
        apic::let_pics_in(false);
        (lines.routes, lines.to) = (by_line, to);
        lines.set();
        true
    })
}

/// The way by which a timer's interrupts come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trial {
    /// By the controllers that served before.
    Same,
    /// By the 8259s, which serve again, and not by I/O APICs.
    Other,
    /// By neither. Those serve that did before.
    None,
}

/// With interrupts on and a timer running: finds the way by which it comes through; `seen` waits for it, and tells whether it came.
pub(crate) fn try_out(seen: impl Fn() -> bool) -> Trial {
    if seen() {
        return Trial::Same;
    }
    let routes = with(|lines| {
        let routes = core::mem::take(&mut lines.routes);
        routes.iter().flatten().for_each(|route| lines.mask(route));
        routes
    });
    if routes.iter().all(Option::is_none) {
        return Trial::None;
    }
    with(|lines| {
        apic::let_pics_in(true);
        lines.set();
    });
    if seen() {
        return Trial::Other;
    }
    with(|lines| {
        pic::mask_all();
        apic::let_pics_in(false);
        lines.routes = routes;
        lines.set();
    });
    Trial::None
}

/// Lets the interrupts of `line`, one of those in [use](USED), through.
pub(crate) fn unmask(line: u8) {
    with(|lines| {
        lines.unmasked |= 1 << line;
        lines.set();
    });
}

/// How often each line has interrupted.
static COUNTS: [AtomicU32; vectors::LINES as usize] = [const { AtomicU32::new(0) }; vectors::LINES as usize];

/// How often `line` has interrupted. After 2^32 times it begins anew.
pub fn count(line: u8) -> u32 {
    COUNTS.get(usize::from(line)).map_or(0, |count| count.load(Ordering::Relaxed))
}

/// Does what the device at `line` asks for, if there is one, and counts the interrupt.
pub(crate) fn interrupt(line: u8) {
    COUNTS[usize::from(line)].fetch_add(1, Ordering::Relaxed);
    match line {
        timer::LINE => timer::interrupt(),
        keyboard::LINE => keyboard::interrupt(),
        receive::LINE => receive::interrupt(),
        _ => {}
    }
}

fn with<R>(work: impl FnOnce(&mut Lines) -> R) -> R {
    interrupts::without(|| {
        let _mark = lock::mark(Class::Lines);
        work(&mut LINES.lock())
    })
}

impl Lines {
    /// Where `route` leads, if it has such a pin.
    fn io_apic(&self, route: &Route) -> Option<IoApic> {
        let apic = *self.io_apics.get(route.io_apic)?;
        apic.filter(|apic| route.pin < apic.pins())
    }

    /// Lets nothing through by `route`.
    fn mask(&self, route: &Route) {
        if let Some(apic) = self.io_apic(route) {
            apic.mask(route.pin);
        }
    }

    /// Lets through what is to be, by whoever serves.
    fn set(&self) {
        for line in (0..vectors::LINES).filter(|line| self.unmasked & 1 << line != 0) {
            let Some(route) = self.routes[usize::from(line)] else {
                pic::unmask(line);
                continue;
            };
            if let Some(apic) = self.io_apic(&route) {
                let Route { pin: number, active_low, by_level, .. } = route;
                apic.unmask(Pin { number, active_low, by_level, vector: vectors::IO_APICS + line, to: self.to });
            }
        }
    }
}
