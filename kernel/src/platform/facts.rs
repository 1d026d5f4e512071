//! What the machine tells of itself, and what it is asked for, in words.

use core::fmt;

use mm::{MapError, VirtAddr};

/// A CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuState {
    /// Its number; 0 is the one that booted.
    pub index: usize,
    /// The number of its local APIC.
    pub apic: u32,
    /// What it is doing, in a word.
    pub doing: &'static str,
    /// Whether it runs.
    pub online: bool,
    /// How many requests of other CPUs it has answered.
    pub answers: u32,
    /// What interrupts it a hundred times in a second, in words.
    pub timer: &'static str,
    /// How often that has interrupted.
    pub beats: u32,
    /// What it does with address spaces.
    pub spaces: CpuSpaces,
}

/// What a CPU does with the address spaces that it leaves, and how often it went to one. Both counts wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuSpaces {
    /// What it keeps their translations by, in words; `None` if it drops them.
    pub kept_by: Option<&'static str>,
    /// How often it went to another one.
    pub entered: u32,
    /// How often all that it had kept of that one was still good.
    pub warm: u32,
}

/// How a line of the ISA bus reaches an I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineRoute {
    /// The line, 0 to 15.
    pub line: u8,
    /// The number of the I/O APIC, in the order in which they were opened.
    pub io_apic: usize,
    /// Its pin.
    pub pin: u32,
    /// The line is active when low instead of when high.
    pub active_low: bool,
    /// It interrupts by level instead of by edge.
    pub by_level: bool,
}

/// What came of starting CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Started {
    /// How many have numbers that their APICs cannot be reached by.
    pub unnamed: usize,
    /// Why not all of the others got stacks, if they did not.
    pub short: Option<MapError>,
    /// How many got stacks, and were asked to start.
    pub asked: usize,
    /// How many of them began.
    pub taken: usize,
    /// How many of those lack what the page tables rely on.
    pub refused: usize,
}

/// Why no other CPU could be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartFailure {
    /// No page below 640 KiB is free, where they would have to begin.
    NoPage,
    /// The stacks of the first could not be mapped.
    Stacks(MapError),
    /// The page where they would have to begin could not be mapped.
    Tables(MapError),
}

impl From<MapError> for StartFailure {
    fn from(error: MapError) -> Self {
        StartFailure::Tables(error)
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            StartFailure::NoPage => f.write_str("no page below 640 KiB is free, where they would have to begin"),
            StartFailure::Stacks(error) => write!(f, "no stacks: {error}"),
            StartFailure::Tables(error) => write!(f, "the page where they would have to begin: {error}"),
        }
    }
}

/// Why work for all CPUs ran on none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallFailure {
    /// The CPU of this number did not come in time.
    Late(usize),
    /// Work of the CPU of this number for all CPUs did not end in time.
    Busy(usize),
    /// It was given up.
    GivenUp,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CallFailure::Late(cpu) => write!(f, "CPU {cpu} did not take part in time"),
            CallFailure::Busy(cpu) => write!(f, "CPU {cpu} did not end its call of all CPUs in time"),
            CallFailure::GivenUp => f.write_str("given up while not all CPUs took part"),
        }
    }
}

/// What restarts a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// This value in an I/O port.
    Port {
        /// The port.
        port: u16,
        /// The value.
        value: u8,
    },
    /// This value in the configuration space of a PCI device on bus 0.
    Pci {
        /// The device, 0 to 31.
        device: u8,
        /// Its function, 0 to 7.
        function: u8,
        /// The register's offset in bytes.
        offset: u8,
        /// The value.
        value: u8,
    },
}

/// What turns a machine off (ACPI Specification 6.5, 4.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sleep {
    /// The port and the value that take the machine over from the firmware, if it has it.
    pub enable: Option<(u16, u8)>,
    /// The ports of the control registers, PM1a and PM1b.
    pub control: [Option<u16>; 2],
    /// What to write to each, SLP_TYPa and SLP_TYPb.
    pub types: [u8; 2],
}

/// What a CPU does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// To read where nothing can be read.
    Read(VirtAddr),
    /// To write to the kernel's text.
    WriteText,
    /// To execute the kernel's data.
    ExecuteData,
    /// To use more stack than there is.
    OverflowStack,
    /// To divide by zero.
    Divide,
    /// To execute what is no instruction.
    Opcode,
    /// To have an exception when there is no stack to deliver it on.
    Double,
}

/// Where something is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The serial line: a person with a terminal, or a script.
    Serial,
    /// The keyboard: a person in front of the screen.
    Keyboard,
}

/// How long the kernel has run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// What the CPU has counted since the kernel began; nothing if it has no counter (TSC).
    pub counted: Option<u64>,
    /// Whether the CPU promises to count at one rate, whatever it does to save power.
    pub steady: bool,
    /// How often the timer has interrupted since the prompt came up.
    pub ticks: u64,
    /// How often it does in a second.
    pub ticks_per_second: u64,
}

/// The timer that interrupts the first CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick {
    /// Its name; `None` if nothing interrupts.
    pub by: Option<&'static str>,
    /// The controllers that served the devices' lines before serve still. If not, the 8259s do, as the timer did not come through the
    /// I/O APICs.
    pub lines_kept: bool,
}

/// A counter whose rate is known, to measure others by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The high precision event timer.
    Hpet {
        /// Where its registers are mapped, for good.
        registers: VirtAddr,
    },
    /// ACPI's power management timer.
    PmTimer {
        /// Its I/O port.
        port: u16,
    },
    /// The PC's own timer. It cannot be used any more once the timer interrupts.
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

/// The registers that say how memory is translated. Those that a CPU does not have are 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// IA32_EFER.
    pub efer: u64,
}

/// What CPUID says about the CPU, in words.
#[derive(Clone, Copy, Debug)]
pub struct CpuFacts {
    /// `GenuineIntel`; empty without CPUID.
    pub vendor: [u8; 12],
    /// The processor's name, padded with zeros; empty where CPUID has none.
    pub brand: [u8; 48],
    /// Family, model and stepping.
    pub signature: (u32, u32, u32),
    /// The features that concern paging, by their names, and whether the CPU has them.
    pub features: &'static [(&'static str, bool)],
}
