//! Which mode to run in: the one decision that this kernel makes when it boots and others when they are built.

use core::fmt;

use crate::{Features, Limits, PagingRoutines};

/// The two modes of one architecture.
pub struct Family {
    /// The mode that the CPU has in any case.
    pub base: &'static PagingRoutines,
    /// The mode with eXtended Physical Addressing.
    pub xpa: &'static PagingRoutines,
    /// What the extension is called in CPUID.
    pub xpa_name: &'static str,
    /// Whether the CPU has it.
    pub has_xpa: fn(&Features) -> bool,
}

/// What the command line says about the mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// NOXPA: stay in the base mode.
    pub no_xpa: bool,
}

/// Whether the mode is the extended one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Xpa {
    /// It is.
    On,
    /// The CPU could, the command line said no.
    Off,
    /// The CPU cannot.
    Unsupported,
}

/// A mode, bound to what this CPU can do in it.
#[derive(Clone, Copy)]
pub struct Paging {
    /// How its tables are changed.
    pub routines: &'static PagingRoutines,
    /// What the CPU takes away.
    pub limits: Limits,
}

/// What was chosen, and why.
#[derive(Clone, Copy)]
pub struct Selection {
    /// The mode.
    pub paging: Paging,
    /// Whether it is the extended one.
    pub xpa: Xpa,
    /// Why, without the mode's name: `NOXPA on the command line`.
    pub reason: Reason,
}

/// Why a mode was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason {
    extension: &'static str,
    xpa: Xpa,
}

/// Picks the mode. Pure: the same features and options always give the same answer.
///
/// NOXPA on a CPU without the extension changes nothing, so the reason given is then the CPU's lack.
pub fn select(family: &Family, features: &Features, options: Options) -> Selection {
    let xpa = match ((family.has_xpa)(features), options.no_xpa) {
        (false, _) => Xpa::Unsupported,
        (true, true) => Xpa::Off,
        (true, false) => Xpa::On,
    };
    let routines = if xpa == Xpa::On { family.xpa } else { family.base };
    Selection { paging: Paging::new(routines, features), xpa, reason: Reason { extension: family.xpa_name, xpa } }
}

impl Paging {
    /// The mode of `routines` on a CPU with `features`.
    pub fn new(routines: &'static PagingRoutines, features: &Features) -> Self {
        Self { routines, limits: Limits::new(&routines.info, features) }
    }
}

impl fmt::Display for Xpa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Xpa::On => "on",
            Xpa::Off => "off",
            Xpa::Unsupported => "unsupported",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.xpa {
            Xpa::On => write!(f, "{} in CPUID", self.extension),
            Xpa::Off => f.write_str("NOXPA on the command line"),
            Xpa::Unsupported => write!(f, "no {} in CPUID", self.extension),
        }
    }
}
