//! Everything that the kernel was handed when it started.

use mm::{Features, KernelMap, MemoryMap, Selection};

use crate::{Clock, Lines, Memories, Platform};

/// The running machine. Whoever holds it mutably is the only one who changes the tables or the mode.
pub struct Machine {
    /// What is below.
    pub platform: &'static dyn Platform,
    /// Physical memory, of which each CPU has its own part at hand. The heap grows out of it too, so it is not locked across anything that allocates bytes:
    /// the heap would not wait for it but fail. Whoever has it keeps his CPU, and does not sleep.
    pub memory: &'static Memories,
    /// The live tables.
    pub map: KernelMap,
    /// The mode that was chosen, and why.
    pub selection: Selection,
    /// What the choice was made from.
    pub features: Features,
    /// What the loader said about memory, put in order.
    pub memory_map: MemoryMap<'static>,
    /// What the time is told by.
    pub clock: Clock,
    /// What brings devices' interrupts.
    pub lines: Lines,
    /// What the loader said beside that.
    pub boot: BootFacts,
}

/// What the kernel wants to know of how it was booted.
#[derive(Clone, Copy, Debug)]
pub struct BootFacts {
    /// `i686` or `x86_64`.
    pub arch: &'static str,
    /// The command line, whole.
    pub command_line: &'static str,
    /// The loader's name.
    pub loader: &'static str,
    /// Where ACPI's tables are listed, if the loader knows or a BIOS has it where it should.
    pub acpi: acpi::Lists,
    /// Whether the command line asks for the self-tests.
    pub selftest: bool,
    /// How many CPUs may run at most, if the command line says so.
    pub max_cpus: Option<u32>,
}
