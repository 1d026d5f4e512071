//! Starting the other CPUs: what each needs, made out of memory, and the page on which they begin.

use alloc::vec::Vec;

use crate::platform::PC;
use arch::{apic, cpus, local_timer, timer};
use kernel::{CpuMemory, CpuSpaces, CpuState, Memories, Platform, StartFailure, Started};
use log::warn;
use mm::{Cache, Features, Frame, KernelMap, MapError, Memory, OwnedFrames, PAGE_SIZE, PhysAddr, Stack};

/// Where a CPU can begin ends: it has 20 bits of address. Pages from 0xA0 on are not RAM, and 0xA0 to 0xBF no start-up vectors.
const REACH: Frame = Frame(0xA0);

/// Pages of each of a CPU's stacks, log2.
const STACK_ORDER: u8 = 2;

/// Pages of its memory, log2.
const MEMORY_ORDER: u8 = size_of::<CpuMemory>().div_ceil(PAGE_SIZE as usize).next_power_of_two().trailing_zeros() as u8;

const _: () = assert!(MEMORY_ORDER <= Stack::MAX_ORDER);

/// What is mapped for each CPU: its stacks, those of its threads, and its memory.
const _: () = assert!(cpus::start::STACKS_EACH + kernel::threads::STACKS_EACH_CPU + 1 == Stack::EACH_CPU);

/// How long CPUs are waited for, in milliseconds.
const PATIENCE: u32 = 1000;

/// Opens this CPU's APIC, if it has one, and tells its number.
///
/// # Errors
/// Why its registers could not be mapped.
pub fn open(map: &mut KernelMap, memory: &mut Memory) -> Result<Option<u32>, MapError> {
    let Some(kind) = apic::find() else { return Ok(None) };
    let registers = match kind {
        apic::Kind::Memory(at) => map.map_device(memory, "APIC", PhysAddr(at), PAGE_SIZE, Cache::Uncached)?.0,
        apic::Kind::Model => 0,
    };
    // SAFETY: mapped for good, and this is the CPU that booted.
    unsafe { apic::open_first(kind, registers as usize) };
    Ok(Some(apic::id()))
}

/// The stacks of a CPU, the one for everything first.
type Stacks = [Stack; cpus::start::STACKS_EACH];

/// Starts CPUs. See [`Platform::start_cpus`].
pub fn start(
    apics: &[u32],
    map: &mut KernelMap,
    memory: &'static Memories,
    features: &Features,
) -> Result<Started, StartFailure> {
    let mut named = Vec::new();
    named.try_reserve_exact(apics.len()).map_err(|_| StartFailure::Stacks(MapError::NoMemory))?;
    named.extend(apics.iter().copied().filter(|apic| apic::can_name(*apic)));
    let (unnamed, apics) = (apics.len() - named.len(), &named[..]);
    if apics.is_empty() {
        return Ok(Started { unnamed, ..Started::default() });
    }
    let (mut stacks, short) = provide(apics.len(), map, memory)?;
    let taken = memory.lock().take(0, REACH);
    let started = match taken {
        Ok(mut page) => {
            let started = start_on(&mut page, &apics[..stacks.len()], map, memory, features);
            memory.lock().put(page);
            started.map(|started| Started { unnamed, short, ..started })
        }
        Err(_) => Err(StartFailure::NoPage),
    };
    // A number that was taken is not taken again, nor is what belongs to it, though the CPU may have been left out.
    let used = started.as_ref().map_or(0, |started| started.taken);
    for stacks in stacks.drain(used..) {
        give_back(stacks, map, memory);
    }
    for index in 1..=used {
        if give_memory(index, map, memory).is_err() {
            warn!("cpus: there is no room for free frames of their own from CPU {index} on; they use the first one's");
            break;
        }
    }
    started
}

/// Gives the CPU number `index` a memory of its own. Like a stack it lies where it is in both modes, which the heap does not.
fn give_memory(index: usize, map: &mut KernelMap, memory: &Memories) -> Result<(), MapError> {
    let mut memory_here = memory.lock();
    let own = memory_here.another().ok_or(MapError::NotOffered)?;
    let place = map.map_stack(&mut memory_here, MEMORY_ORDER)?;
    let at = place.pages().start.0 as usize as *mut CpuMemory;
    // SAFETY: the pages are mapped for good, as nothing takes them back, are large enough and begin at a multiple of their size,
    // and are nobody else's.
    let own = unsafe {
        at.write(CpuMemory::new(own));
        &*at
    };
    drop(memory_here);
    memory.add(index, own);
    Ok(())
}

/// Starts CPUs that have been provided for, on the page `page`.
fn start_on(
    page: &mut OwnedFrames,
    apics: &[u32],
    map: &mut KernelMap,
    memory: &'static Memories,
    features: &Features,
) -> Result<Started, StartFailure> {
    let mmu = PC.mmu();
    let frame = page.run().first;
    {
        let memory = &mut memory.lock();
        map.with_frame(memory, mmu, page, 0, |bytes| cpus::start::lay(bytes, frame, features))?;
        map.map_identity(memory, frame)?;
    }
    // SAFETY: the page was laid and mapped above, and each CPU has been provided for; they do not run: the firmware's table lists
    // each CPU once, and the kernel has taken out the one that runs. The APIC is open, as the kernel knows its number.
    unsafe { cpus::start::run(apics, frame, features, PATIENCE, other) };
    let memory = &mut memory.lock();
    let outcome = map.with_frame(memory, mmu, page, 0, cpus::start::outcome);
    map.unmap_identity(memory, frame, mmu)?;
    let (taken, refused) = outcome?;
    Ok(Started { asked: apics.len(), taken: taken as usize, refused: refused as usize, ..Started::default() })
}

/// What a CPU does that is up: it takes part in threads.
fn other(index: usize) -> ! {
    let top = cpus::start::stack_of(index);
    // What the CPU has of its own lies behind it on the last page.
    let end = top.next_multiple_of(PAGE_SIZE as usize);
    // In this order: threads would be started on a CPU without a timer, and never run.
    if local_timer::start() && kernel::threads::take_part(end - ((PAGE_SIZE as usize) << STACK_ORDER)..end) {
        kernel::threads::idle();
    }
    cpus::idle()
}

/// Maps the stacks of `count` CPUs, or of fewer, and says why then.
fn provide(
    count: usize,
    map: &mut KernelMap,
    memory: &Memories,
) -> Result<(Vec<Stacks>, Option<MapError>), StartFailure> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| StartFailure::Stacks(MapError::NoMemory))?;
    let mut short = None;
    while all.len() < count && short.is_none() {
        match map_stacks(map, &mut memory.lock()) {
            Ok(stacks) => all.push(stacks),
            Err(error) => short = Some(error),
        }
    }
    if let (true, Some(error)) = (all.is_empty(), short) {
        return Err(StartFailure::Stacks(error));
    }
    for (number, stacks) in all.iter().enumerate() {
        // SAFETY: the stacks are mapped and go to nobody else while the number can be taken; no CPU was started.
        unsafe { cpus::start::provide(number, &stacks.each_ref().map(|stack| stack.top().0 as usize)) };
    }
    Ok((all, short))
}

fn map_stacks(map: &mut KernelMap, memory: &mut Memory) -> Result<Stacks, MapError> {
    let mut stacks = [const { None }; cpus::start::STACKS_EACH];
    let mapped = stacks.iter_mut().try_for_each(|stack| {
        *stack = Some(map.map_stack(memory, STACK_ORDER)?);
        Ok(())
    });
    if let Err(error) = mapped {
        stacks.into_iter().flatten().for_each(|stack| map.unmap_stack(memory, PC.mmu(), stack));
        return Err(error);
    }
    Ok(stacks.map(|stack| stack.expect("all are there")))
}

fn give_back(stacks: Stacks, map: &mut KernelMap, memory: &Memories) {
    let memory = &mut memory.lock();
    stacks.into_iter().for_each(|stack| map.unmap_stack(memory, PC.mmu(), stack));
}

/// What makes the first CPU's tick, in words.
pub fn tick() -> &'static str {
    match timer::source() {
        timer::Source::None => "-",
        timer::Source::Pit => "PIT",
        timer::Source::Hpet => "HPET",
        timer::Source::Local => local_timer(0),
    }
}

fn local_timer(index: usize) -> &'static str {
    match local_timer::kind_of(index) {
        local_timer::Kind::Off => "-",
        local_timer::Kind::Count => "APIC",
        local_timer::Kind::Deadline => "TSC deadline",
    }
}

/// Tells of each CPU.
pub fn each(tell: &mut dyn FnMut(CpuState)) {
    for cpu in cpus::all() {
        let doing = match cpu.state {
            cpus::State::Absent => continue,
            cpus::State::Starting => "starting",
            cpus::State::Unfit => "left out",
            cpus::State::Online => "online",
            cpus::State::Parked => "parked",
            cpus::State::Stopped => "stopped",
        };
        let online = cpu.state == cpus::State::Online;
        let beats = if cpu.index == 0 { timer::count() } else { local_timer::beats_of(cpu.index) };
        let timer = if cpu.index == 0 { tick() } else { local_timer(cpu.index) };
        let known = cpus::space::known_of(cpu.index);
        let kept_by = known.keeps.then_some(if known.invpcid { "PCID and INVPCID" } else { "PCID" });
        let spaces = CpuSpaces { kept_by, entered: known.entered, warm: known.warm };
        tell(CpuState { index: cpu.index, apic: cpu.apic, doing, online, answers: cpu.answers, timer, beats, spaces });
    }
}
