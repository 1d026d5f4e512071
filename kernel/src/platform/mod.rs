//! What the kernel asks of the machine it runs on.

mod facts;

pub use facts::{
    CallFailure, CpuFacts, CpuSpaces, CpuState, Fault, Input, LineRoute, Reference, Registers, Reset, Sleep,
    StartFailure, Started, Tick, Time, Unfit,
};

use mm::{
    Access, AddressSpace, Cache, Controls, FaultCode, Features, KernelMap, MapError, Memory, Mmu, PhysAddr, Trial,
    VirtAddr, Width,
};

use crate::threads::Contexts;
use crate::{Alone, Memories};

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

    /// How a CPU goes from one thread to another. `None` where there is but one thread.
    fn contexts(&self) -> Option<&'static dyn Contexts> {
        None
    }

    /// The part of the CPUs that remembers translations: of all that run.
    fn mmu(&self) -> &dyn Mmu;

    /// The part of this CPU that remembers translations: for what no other CPU can have used.
    fn mmu_here(&self) -> &dyn Mmu;

    /// The word at `at`, aligned and among the programs' addresses, as the CPU that runs this translates it; `None` if it ends in
    /// a page fault.
    fn look(&self, at: VirtAddr) -> Option<usize>;

    /// The control registers, as they are now.
    fn registers(&self) -> Registers;

    /// What CPUID says.
    fn cpu(&self) -> CpuFacts;

    /// The time-stamp counter: cycles of the CPU's, or of a clock that is about as fast. `None` on a CPU without one.
    fn cycles(&self) -> Option<u64>;

    /// Opens this CPU's local APIC, by which it reaches the others, and tells its number; `None` if there is none.
    ///
    /// # Errors
    /// Why its registers could not be mapped.
    fn open_apic(&self, map: &mut KernelMap, memory: &mut Memory) -> Result<Option<u32>, MapError>;

    /// What kind of local APICs the CPUs are reached by, in a word.
    fn apic(&self) -> &'static str;

    /// The lines of the ISA bus by which devices interrupt, and the devices' names.
    fn lines(&self) -> &'static [(u8, &'static str)];

    /// How often the line of this number has interrupted, whatever brought that to the CPU.
    fn interrupts(&self, line: u8) -> u32;

    /// Opens the I/O APIC whose registers are mapped at `registers`, uncached and for good, and tells how many pins it has. It has the
    /// next number of its own, from 0 on.
    ///
    /// # Errors
    /// What its version reads, if it is none.
    fn open_io_apic(&self, registers: VirtAddr) -> Result<u32, u32>;

    /// Has I/O APICs bring the interrupts of devices from here on, instead of the 8259s. Tells whether they do: not if they cannot name
    /// this CPU, or a line is left without a route.
    fn route_lines(&self, routes: &[LineRoute]) -> bool;

    /// With interrupts on: starts the timer that interrupts this CPU a hundred times in a second, whichever is there and comes through.
    /// Where it does not come through the I/O APICs that serve, the 8259s serve again.
    fn start_tick(&self) -> Tick;

    /// Starts the CPUs whose APICs have these numbers, each once and none that runs already, and waits until they are up or it
    /// has taken too long. They come to the live mode, and have what `features` says or are left out. [`open_apic`] has told
    /// this CPU's number.
    ///
    /// [`open_apic`]: Self::open_apic
    ///
    /// # Errors
    /// Why none could be started. Nothing has changed then.
    fn start_cpus(
        &self,
        apics: &[u32],
        map: &mut KernelMap,
        memory: &'static Memories,
        features: &Features,
    ) -> Result<Started, StartFailure>;

    /// Tells of each CPU, this one included, in the order of their numbers.
    fn each_cpu(&self, tell: &mut dyn FnMut(CpuState));

    /// Runs `work` on every other CPU that is online, with its number, and `meanwhile` on this one. Either all of them run it, at the
    /// same time, or none. Returns when all have finished, with the number of the others. `give_up` is called now and then while
    /// this CPU waits: before all others have come, `true` ends the call.
    ///
    /// # Errors
    /// Why no CPU ran the work, `meanwhile` included.
    fn on_others(
        &self,
        work: &(dyn Fn(usize) + Sync),
        meanwhile: &mut dyn FnMut(),
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<usize, CallFailure>;

    /// How often CPUs had to be asked to forget translations since the start, and how many were asked in all.
    fn shootdowns(&self) -> (usize, usize);

    /// How long the kernel has run, as far as the CPU and the timer know.
    fn time(&self) -> Time;

    /// Prepares a counter of the machine's to measure the CPU's by. Tells how often it counts in a second.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn prepare(&self, reference: Reference) -> Result<u64, Unfit>;

    /// Measures how often the CPU's counter counts in a second by one that was prepared and counts so often. Takes about 30
    /// milliseconds. `None` if the CPU has no counter, or the other stands still.
    fn measure(&self, reference: Reference, counts: u64) -> Option<u64>;

    /// The byte heap: bytes in use, and bytes it has.
    fn heap(&self) -> (usize, usize);

    /// Runs on `to` from now on instead of `from`, in whatever mode `to` is for; the windows of all CPUs' memories are moved to
    /// where `to` has its aperture. Tells whether every register that a function must preserve was preserved.
    ///
    /// # Errors
    /// Why the page on which the mode is switched could not be mapped in both trees. Nothing has changed then.
    fn enter(&self, from: &mut KernelMap, to: &mut KernelMap, memory: &mut Alone) -> Result<bool, MapError>;

    /// Makes an address space with nothing in its user half, for [threads](crate::threads::spawn_in) to run in.
    ///
    /// # Errors
    /// [`MapError::NoMemory`]; [`MapError::TooMany`] if there are as many as there can be; [`MapError::NotOffered`] where there are none.
    fn new_space(&self, map: &mut KernelMap, memory: &mut Memory) -> Result<AddressSpace, MapError> {
        let _ = (map, memory);
        Err(MapError::NotOffered)
    }

    /// Gives a space back in which no thread runs any more: the CPUs on which it is live leave it first.
    fn free_space(&self, map: &mut KernelMap, memory: &mut Memory, space: AddressSpace) {
        let _ = (map, memory, space);
    }

    /// The part of those CPUs that remembers translations on which `space` is live.
    fn mmu_in(&self, space: &AddressSpace) -> &dyn Mmu {
        let _ = space;
        self.mmu()
    }

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
