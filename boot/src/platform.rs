//! The machine, as the kernel asks for it: [`kernel::Platform`] by way of `arch`.

use arch::{
    apic, clock, cpu, cpus as others, fault, interrupts, keyboard, lines, look, mode, power, probe, receive, screen,
    serial, timer, tlb,
};
use kernel::threads::Contexts;
use kernel::{
    Alone, CallFailure, CpuFacts, CpuState, Fault, Input, LineRoute, Memories, Platform, Reference, Registers, Reset,
    Sleep, StartFailure, Started, Tick, Time, Unfit,
};
use mm::{
    Access, AddressSpace, Cache, Controls, FaultCode, Features, KernelMap, MapError, Memory, Mmu, PhysAddr, Trial,
    VirtAddr, Width,
};
use sched::lock;

use crate::{cpus, heap, threads};

/// This PC.
pub struct Pc;

/// The one there is.
pub static PC: Pc = Pc;

static MMU: tlb::Cpus = tlb::Cpus;
static MMU_HERE: tlb::Here = tlb::Here;

impl Platform for Pc {
    fn write(&self, bytes: &[u8]) {
        serial::write(bytes);
        screen::write(bytes);
    }

    fn listen(&self) {
        receive::listen();
        keyboard::listen();
        // SAFETY: the IDT is loaded; the devices' handlers take a lock each, which is taken with interrupts off only.
        unsafe { interrupts::enable() };
    }

    fn read(&self) -> Option<(u8, Input)> {
        let serial = receive::read().map(|byte| (byte, Input::Serial));
        serial.or_else(|| keyboard::read().map(|byte| (byte, Input::Keyboard)))
    }

    fn overruns(&self) -> u32 {
        receive::overruns()
    }

    fn pause(&self) {
        interrupts::wait();
    }

    fn contexts(&self) -> Option<&'static dyn Contexts> {
        Some(&threads::CONTEXTS)
    }

    fn mmu(&self) -> &dyn Mmu {
        &MMU
    }

    fn mmu_here(&self) -> &dyn Mmu {
        &MMU_HERE
    }

    fn look(&self, at: VirtAddr) -> Option<usize> {
        let programs = at.0 < arch::KERNEL_HALF && at.0.is_multiple_of(size_of::<usize>() as u64);
        // SAFETY: an aligned address below the kernel half is canonical, and devices are mapped in the kernel half only.
        programs.then(|| unsafe { look::word(at) }).flatten()
    }

    fn registers(&self) -> Registers {
        let live = mode::current();
        Registers { cr0: live.cr0, cr3: live.cr3, cr4: live.cr4, efer: live.efer }
    }

    fn cpu(&self) -> CpuFacts {
        let cpu = cpu::describe();
        CpuFacts {
            vendor: cpu.vendor,
            brand: cpu.brand,
            signature: (cpu.family, cpu.model, cpu.stepping),
            features: &cpu.features,
        }
    }

    fn cycles(&self) -> Option<u64> {
        cpu::cycles()
    }

    fn open_apic(&self, map: &mut KernelMap, memory: &mut Memory) -> Result<Option<u32>, MapError> {
        cpus::open(map, memory)
    }

    fn apic(&self) -> &'static str {
        match (apic::is_open(), apic::is_x2()) {
            (false, _) => "none",
            (true, false) => "xAPIC",
            (true, true) => "x2APIC",
        }
    }

    fn lines(&self) -> &'static [(u8, &'static str)] {
        &lines::USED
    }

    fn interrupts(&self, line: u8) -> u32 {
        lines::count(line)
    }

    fn open_io_apic(&self, registers: VirtAddr) -> Result<u32, u32> {
        // SAFETY: the kernel has mapped an I/O APIC where the tables say that one is, and where there is no RAM.
        unsafe { lines::open(registers.0 as usize) }
    }

    fn route_lines(&self, routes: &[LineRoute]) -> bool {
        lines::route(routes.iter().map(|route| lines::Route {
            line: route.line,
            io_apic: route.io_apic,
            pin: route.pin,
            active_low: route.active_low,
            by_level: route.by_level,
        }))
    }

    fn start_tick(&self) -> Tick {
        let (source, lines_kept) = timer::start();
        Tick { by: (source != timer::Source::None).then(|| cpus::tick()), lines_kept }
    }

    fn start_cpus(
        &self,
        apics: &[u32],
        map: &mut KernelMap,
        memory: &'static Memories,
        features: &Features,
    ) -> Result<Started, StartFailure> {
        cpus::start(apics, map, memory, features)
    }

    fn each_cpu(&self, tell: &mut dyn FnMut(CpuState)) {
        cpus::each(tell);
    }

    fn on_others(
        &self,
        work: &(dyn Fn(usize) + Sync),
        meanwhile: &mut dyn FnMut(),
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<usize, CallFailure> {
        others::work::on_others(work, meanwhile, give_up).map_err(|failure| match failure {
            others::work::Failure::Late(cpu) => CallFailure::Late(cpu),
            others::work::Failure::Busy(cpu) => CallFailure::Busy(cpu),
            others::work::Failure::GivenUp => CallFailure::GivenUp,
        })
    }

    fn shootdowns(&self) -> (usize, usize) {
        others::shootdown::statistics()
    }

    fn time(&self) -> Time {
        Time {
            counted: clock::counted(),
            steady: clock::is_steady(),
            ticks: u64::from(timer::count()),
            ticks_per_second: u64::from(timer::BEATS_PER_SECOND),
        }
    }

    fn prepare(&self, reference: Reference) -> Result<u64, Unfit> {
        // SAFETY: the kernel has mapped an HPET where the tables say that one is, and where there is no RAM; the port is
        // the tables', too, and none of the ISA bus'.
        let prepared = unsafe { clock::prepare(counter(reference)) };
        prepared.map_err(|unfit| match unfit {
            clock::Unfit::Period(period) => Unfit::Period(period),
            clock::Unfit::Still => Unfit::Still,
        })
    }

    fn measure(&self, reference: Reference, counts: u64) -> Option<u64> {
        // SAFETY: the kernel hands over what `prepare` found good.
        unsafe { clock::measure(counter(reference), counts) }
    }

    fn new_space(&self, map: &mut KernelMap, memory: &mut Memory) -> Result<AddressSpace, MapError> {
        let space = map.new_space(memory)?;
        // SAFETY: `map` is the live tree, whose kernel half it has and keeps; `free_space` retires it before it is gone.
        unsafe { others::space::register(space.number(), space.tables().root()) };
        Ok(space)
    }

    fn free_space(&self, map: &mut KernelMap, memory: &mut Memory, space: AddressSpace) {
        others::space::retire(space.number());
        // SAFETY: every CPU has left it, and drops what it knew of its user half before it uses the number again.
        unsafe { map.free_space(memory, space) };
    }

    fn mmu_in(&self, space: &AddressSpace) -> &dyn Mmu {
        &others::space::SPACES[space.number()]
    }

    fn heap(&self) -> (usize, usize) {
        heap::usage()
    }

    fn enter(&self, from: &mut KernelMap, to: &mut KernelMap, memory: &mut Alone) -> Result<bool, MapError> {
        // On x86_64 the heap is out of reach until the first mode is back: no other thread may run meanwhile.
        assert!(lock::held() > 0, "the mode changes while the CPU could leave the thread that changes it");
        let page = mode::trampoline();
        from.map_identity(memory, page)?;
        if let Err(error) = to.map_identity(memory, page) {
            from.unmap_identity(memory, page, &MMU)?;
            return Err(error);
        }
        // SAFETY: both trees are kernel maps: they map the image and the stacks on which this and the other CPUs run at the
        // same addresses, and now the page on which the mode is switched. The root comes from the window, below 4 GiB.
        let kept = unsafe { others::park::while_others_stand(|| enter(to, memory)) };
        // Not while they stand: one may have been stopped between taking its memory's lock and seeing that somebody is alone.
        // SAFETY: the mode is live on every CPU, and the first memory's window is there already.
        memory.each_other(|memory| unsafe { memory.follow_window(to.aperture()) });
        // SAFETY: every CPU's CR3 points to `to` now.
        unsafe {
            from.set_live(false);
            to.set_live(true);
        }
        to.unmap_identity(memory, page, &MMU)?;
        from.unmap_identity(memory, page, &MMU)?;
        Ok(kept)
    }

    fn fault(&self, kind: Fault) {
        match kind {
            // Where addresses have 32 bits there is nothing beyond them to read.
            Fault::Read(at) => usize::try_from(at.0).map_or((), fault::read),
            Fault::WriteText => fault::write_text(),
            Fault::ExecuteData => fault::execute_data(),
            Fault::OverflowStack => fault::overflow_stack(),
            Fault::Divide => fault::divide(),
            Fault::Opcode => fault::invalid_opcode(),
            Fault::Double => fault::double_fault(),
        }
    }

    fn poke(
        &self,
        map: &mut KernelMap,
        memory: &mut Memory,
        at: PhysAddr,
        cache: Cache,
        width: Width,
        value: u64,
    ) -> Result<(), MapError> {
        // SAFETY: the kernel asks for memory that nobody has, or passes on what a person insists on who was told what it is;
        // that this may break the kernel is then what was asked for.
        unsafe { map.poke(memory, &MMU, at, cache, width, value) }
    }

    fn lay_trial(&self, map: &mut KernelMap, memory: &mut Memory, features: &Features) -> Result<Trial, MapError> {
        // SAFETY: `arch` alone executes the bytes, and it expects them.
        unsafe { map.lay_trial(memory, &MMU, features, probe::CODE, probe::STUB) }
    }

    fn attempt(&self, trial: &Trial, access: Access, ac: bool) -> Option<Result<(), FaultCode>> {
        // SAFETY: trials are made above and nowhere else.
        unsafe { probe::attempt(trial, access, ac) }
    }

    fn with_controls(&self, map: &mut KernelMap, controls: &Controls, tries: &mut dyn FnMut(&mut KernelMap)) -> bool {
        if !map.is_live() || map.tables().paging().limits.no_execute && !controls.no_execute {
            return false;
        }
        // SAFETY: the live tree either has no NX bit, or the bit keeps its meaning.
        unsafe { probe::with_controls(controls, &mut || tries(map)) }
    }

    fn reboot(&self, way: Option<Reset>) -> ! {
        match way {
            Some(Reset::Port { port, value }) => power::reset_by_port(port, value),
            Some(Reset::Pci { device, function, offset, value }) => {
                power::reset_by_pci(device, function, offset, value);
            }
            None => {}
        }
        power::reboot()
    }

    fn power_off(&self, way: Option<Sleep>) {
        // If it is still on then, the prompt goes on, and wants to be interrupted.
        interrupts::without(|| {
            if let Some(Sleep { enable, control, types }) = way {
                power::sleep(enable, control, types);
            }
            power::power_off();
        });
    }

    fn exit(&self, passed: bool) {
        power::debug_exit(if passed { 0x10 } else { 0x11 });
    }
}

/// The counter in `arch`'s words.
fn counter(reference: Reference) -> clock::Reference {
    match reference {
        Reference::Hpet { registers } => clock::Reference::Hpet(registers.0 as usize),
        Reference::PmTimer { port } => clock::Reference::PmTimer(port),
        Reference::Pit => clock::Reference::Pit,
    }
}

/// Loads the tree `to` in its mode, and looks at memory through its aperture from then on. Tells whether all
/// registers that a function must preserve were preserved.
///
/// # Safety
/// The live tree and `to` both map the image, the stack and the page on which the mode is switched, at the same
/// addresses.
pub unsafe fn enter(to: &KernelMap, memory: &mut Memory) -> bool {
    let paging = to.tables().paging();
    let xpa = core::ptr::eq(paging.routines, mm::FAMILY.xpa);
    // SAFETY: by this function's contract.
    let kept = unsafe { mode::enter_checked(to.tables().root(), xpa) };
    // SAFETY: `to` is live from here on, frames come from the allocator, which was given RAM only, and the
    // allocator's metadata lies in RAM.
    unsafe { memory.move_window(to.aperture()) };
    mode::raise_missed();
    kept
}
