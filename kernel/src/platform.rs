//! What the kernel asks of the machine it runs on.

use mm::{
    Access, Cache, Controls, FaultCode, Features, KernelMap, MapError, Memory, Mmu, PhysAddr, Trial, VirtAddr, Width,
};

/// The machine below the kernel. `boot` implements it with `arch`; the kernel itself never sees either.
pub trait Platform: Sync {
    /// Writes to every console there is.
    fn write(&self, bytes: &[u8]);

    /// Has what is typed kept until it is [read](Self::read), whatever the kernel does meanwhile, from here on.
    fn listen(&self);

    /// A byte that was typed, if there is one, and where. Does not wait.
    fn read(&self) -> Option<(u8, Input)>;

    /// In how many places something is missing among what was read so far, because it could not be kept.
    fn overruns(&self) -> u32;

    /// Spends a moment doing nothing, as cheaply as the CPU can.
    fn pause(&self);

    /// The part of this CPU that remembers translations.
    fn mmu(&self) -> &dyn Mmu;

    /// The control registers, as they are now.
    fn registers(&self) -> Registers;

    /// What CPUID says.
    fn cpu(&self) -> CpuFacts;

    /// The time-stamp counter: cycles of the CPU's, or of a clock that is about as fast. `None` on a CPU without one.
    fn cycles(&self) -> Option<u64>;

    /// The byte heap: bytes in use, and bytes it has.
    fn heap(&self) -> (usize, usize);

    /// Runs on `to` from now on instead of `from`, in whatever mode `to` is for; `memory.window` is moved to
    /// where `to` has its aperture. Tells whether every register that a function must preserve was preserved.
    ///
    /// # Errors
    /// Why the page on which the mode is switched could not be mapped in both trees. Nothing has changed then.
    fn enter(&self, from: &mut KernelMap, to: &mut KernelMap, memory: &mut Memory) -> Result<bool, MapError>;

    /// Does what the CPU does not allow. Returns if this one does, or if there is no such thing on it.
    fn fault(&self, fault: Fault);

    /// Writes the low bytes of `value` to physical memory. The kernel asks only for what nobody has, and for what the
    /// person at the prompt insists on, who may break anything by it.
    ///
    /// # Errors
    /// As [`KernelMap::poke`].
    fn poke(
        &self,
        map: &mut KernelMap,
        memory: &mut Memory,
        at: PhysAddr,
        cache: Cache,
        width: Width,
        value: u64,
    ) -> Result<(), MapError>;

    /// Lays a page that accesses can be tried on in `map`.
    ///
    /// # Errors
    /// [`MapError::NoMemory`]. Nothing has changed then.
    fn lay_trial(&self, map: &mut KernelMap, memory: &mut Memory, features: &Features) -> Result<Trial, MapError>;

    /// Tries an access to the page of `trial`, with EFLAGS.AC set if `ac`. `None` if its tree is not the live one.
    ///
    /// # Errors
    /// The error code of the page fault that it ends in.
    fn attempt(&self, trial: &Trial, access: Access, ac: bool) -> Option<Result<(), FaultCode>>;

    /// Runs `tries` with WP, NXE, SMEP and SMAP as `controls` has them, and then puts them back. Tells whether it did: not
    /// if one is wanted that this CPU does not have, nor with NXE off on tables that rely on it. `map` is the live tree.
    fn with_controls(&self, map: &mut KernelMap, controls: &Controls, tries: &mut dyn FnMut(&mut KernelMap)) -> bool;

    /// Restarts the machine, in this way first if one is known.
    fn reboot(&self, way: Option<Reset>) -> !;

    /// Turns the machine off, in this way first if one is known. Returns if it is still on.
    fn power_off(&self, way: Option<Sleep>);

    /// Leaves the emulator through isa-debug-exit. Returns on a machine without one.
    fn exit(&self, passed: bool);
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
