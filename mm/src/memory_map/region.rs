//! A part of physical memory, and what it is.

use core::fmt;

use crate::{FrameRun, PhysAddr};

/// What a region is, in order of restrictiveness: where two regions overlap, the greater kind wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub enum Kind {
    /// RAM that nobody has claimed.
    #[default]
    Usable,
    /// RAM that holds the books of the frame allocator.
    Metadata,
    /// RAM that holds the kernel.
    Image,
    /// RAM that holds a file that the loader loaded beside the kernel.
    Module,
    /// RAM that holds what the loader said.
    BootInfo,
    /// RAM that holds ACPI tables and is free once they have been read.
    AcpiReclaimable,
    /// RAM that the firmware keeps across sleep; it is never ours.
    AcpiNvs,
    /// Anything else that is not to be touched as memory: firmware, devices, kinds that nobody here knows.
    Reserved,
    /// RAM that is broken.
    Bad,
}

impl Kind {
    /// Whether it is RAM that the kernel may read and write through a write-back mapping.
    pub const fn is_ram(self) -> bool {
        !matches!(self, Kind::AcpiNvs | Kind::Reserved | Kind::Bad)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Kind::Usable => "usable",
            Kind::Metadata => "frame metadata",
            Kind::Image => "kernel image",
            Kind::Module => "module",
            Kind::BootInfo => "boot information",
            Kind::AcpiReclaimable => "ACPI reclaimable",
            Kind::AcpiNvs => "ACPI NVS",
            Kind::Reserved => "reserved",
            Kind::Bad => "bad",
        })
    }
}

/// A part of physical memory: the bytes `start .. end`. In a [`MemoryMap`](crate::MemoryMap) both are multiples of 4096.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Region {
    /// The first byte.
    pub start: PhysAddr,
    /// The byte after the last one.
    pub end: PhysAddr,
    /// What it is.
    pub kind: Kind,
}

impl Region {
    /// Its size in bytes.
    pub const fn bytes(&self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Its frames.
    pub const fn frames(&self) -> FrameRun {
        FrameRun::between(self.start.frame(), self.end.frame())
    }
}
