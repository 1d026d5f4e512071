//! `bench`: what paging and frames cost on this machine, in cycles.
//!
//! Each figure is the least of a few rounds, without what reading the counter costs: the least is what the work takes when
//! nothing comes between. Everything is done in pages of the user half, or in tables made for it, and undone.

mod cpus;

use core::fmt::{self, Write};

use mm::{Access, AccessKind, Frames, KernelMap, MapError, MapRequest, Memory, OwnedFrames, PAGE_SIZE, PageFlags};
use mm::{PageRange, Paging, Rights, VirtAddr};

use crate::console::Console;
use crate::{CallFailure, Machine, Platform, modes};

/// How often everything is measured.
const ROUNDS: usize = 9;

/// How often a short thing is done in a round: once, it would be over before the counter is read.
const TIMES: u64 = 64;

/// Where pages are mapped: a multiple of every page size in the user region of every mode.
const HERE: VirtAddr = VirtAddr(0x4000_0000);

/// The pages at both ends of what is used there, of which two tables of level 1 are made up at most. They are mapped all
/// the time, so that no measurement has a table in it that comes or goes.
const ENDS: [u64; 2] = [0, 1023];

/// Why something was not measured.
enum Why {
    Refused(MapError),
    OneMode,
    NotReached,
    Call(CallFailure),
}

impl From<CallFailure> for Why {
    fn from(failure: CallFailure) -> Self {
        Why::Call(failure)
    }
}

impl From<MapError> for Why {
    fn from(error: MapError) -> Self {
        Why::Refused(error)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Why::Refused(error) => error.fmt(f),
            Why::OneMode => f.write_str("this CPU has one mode only"),
            Why::Call(failure) => failure.fmt(f),
            Why::NotReached => f.write_str("the page cannot be reached here"),
        }
    }
}

/// What there is to measure beside what one CPU does alone.
pub const CPUS: &str = "cpus";

/// Measures what `what` says, and prints it.
pub fn run(console: &mut Console, machine: &mut Machine, what: Option<&str>) -> fmt::Result {
    match what {
        None => alone(console, machine),
        Some(CPUS) => cpus::run(console, machine),
        Some(other) => writeln!(console, "bench: '{other}' is nothing to measure; there is {CPUS}"),
    }
}

/// Measures everything on this CPU.
fn alone(console: &mut Console, machine: &mut Machine) -> fmt::Result {
    if machine.platform.cycles().is_none() {
        return writeln!(console, "bench: this CPU has no time-stamp counter to measure with");
    }
    writeln!(console, "bench: cycles of the time-stamp counter, the least of {ROUNDS} rounds")?;
    for (calls, count, names) in [
        (TIMES, 1, ["map a page", "protect a page", "translate", "unmap a page"]),
        (1, 512, ["map 512 pages", "protect 512 pages", "", "unmap 512 pages"]),
    ] {
        let cycles = pages(machine, calls, count);
        for (at, name) in names.into_iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            tell(console, name, cycles.as_ref().map(|cycles| cycles[at]))?;
        }
    }
    tell(console, "take and give a frame", frame_pair(machine).as_ref().copied())?;
    tell(console, "page fault and back", page_fault(machine).as_ref().copied())?;
    let lift = lift(machine);
    tell(console, "lift, there", lift.as_ref().map(|(there, _)| *there))?;
    tell(console, "lift, back", lift.as_ref().map(|(_, back)| *back))
}

fn tell(console: &mut Console, what: &str, cycles: Result<u64, &Why>) -> fmt::Result {
    match cycles {
        Ok(cycles) => writeln!(console, "{what:24} {cycles:>10}"),
        Err(why) => writeln!(console, "{what:24} not measured: {why}"),
    }
}

/// The counter, and what reading it twice costs.
struct Clock {
    platform: &'static dyn Platform,
    empty: u64,
}

impl Clock {
    fn new(platform: &'static dyn Platform) -> Self {
        let mut clock = Self { platform, empty: 0 };
        let mut empty = u64::MAX;
        for _ in 0..ROUNDS {
            empty = empty.min(clock.time(|| ()).1);
        }
        clock.empty = empty;
        clock
    }

    fn now(&self) -> u64 {
        self.platform.cycles().unwrap_or(0)
    }

    /// What `work` comes to, and how long it took.
    fn time<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        let start = self.now();
        let result = work();
        (result, self.now().wrapping_sub(start).saturating_sub(self.empty))
    }
}

/// What a call costs that maps, protects or unmaps `count` pages, flushes included, if there are so many `calls`, one behind
/// the other; and one that translates an address among them. In this order: map, protect, translate, unmap.
fn pages(machine: &mut Machine, calls: u64, count: u64) -> Result<[u64; 4], Why> {
    let memory = &mut *machine.memory.lock();
    let order = (calls * count).next_power_of_two().trailing_zeros() as u8;
    let frames = memory.take(order, Frames::ANYWHERE)?;
    let result = ends(&mut machine.map, memory, &frames)
        .map_err(Why::from)
        .and_then(|()| rounds(&mut machine.map, memory, machine.platform, &frames, calls, count));
    let cleared = machine.map.clear_user(memory, PageRange::new(HERE, ENDS[1] + 1)).and_then(|stale| {
        stale.flush(memory, machine.platform.mmu());
        machine.map.trim_user(memory)
    });
    cleared?.flush(memory, machine.platform.mmu());
    memory.put(frames);
    result
}

/// Maps a page at both ends, so that the tables are there.
fn ends(map: &mut KernelMap, memory: &mut Memory, frames: &OwnedFrames) -> Result<(), MapError> {
    ENDS.into_iter().try_for_each(|page| {
        let range = PageRange::new(HERE.offset(page * PAGE_SIZE), 1);
        map.map_user(memory, &MapRequest { range, first: frames.run().first, flags: PageFlags::new(Rights::WRITE) })
    })
}

fn rounds(
    map: &mut KernelMap,
    memory: &mut Memory,
    platform: &'static dyn Platform,
    frames: &OwnedFrames,
    calls: u64,
    count: u64,
) -> Result<[u64; 4], Why> {
    let clock = Clock::new(platform);
    let mmu = platform.mmu();
    // A page further than where a large page could be.
    let range = |call: u64| PageRange::new(HERE.offset((1 + call * count) * PAGE_SIZE), count);
    let first = |call: u64| frames.run().first.offset(call * count);
    let mut least = [u64::MAX; 4];
    for _ in 0..ROUNDS {
        let flags = PageFlags::new(Rights::WRITE);
        let (mapped, map_cycles) = clock.time(|| {
            (0..calls).try_for_each(|call| {
                map.map_user(memory, &MapRequest { range: range(call), first: first(call), flags })
            })
        });
        mapped?;
        let flags = PageFlags::new(Rights::empty());
        let (protected, protect_cycles) = clock.time(|| {
            (0..calls)
                .try_for_each(|call| map.protect_user(memory, range(call), flags).map(|stale| stale.flush(memory, mmu)))
        });
        protected?;
        let (found, translate_cycles) =
            clock.time(|| (0..calls).all(|call| map.tables().query(memory, range(call).start).is_some()));
        let (unmapped, unmap_cycles) = clock.time(|| {
            (0..calls)
                .try_for_each(|call| map.unmap_user(memory, range(call), None).map(|stale| stale.flush(memory, mmu)))
        });
        unmapped?;
        if !found {
            return Err(Why::NotReached);
        }
        for (least, cycles) in least.iter_mut().zip([map_cycles, protect_cycles, translate_cycles, unmap_cycles]) {
            *least = cycles.div_ceil(calls).min(*least);
        }
    }
    Ok(least)
}

/// What a frame costs that is taken and given back.
fn frame_pair(machine: &Machine) -> Result<u64, Why> {
    let memory = &mut *machine.memory.lock();
    let clock = Clock::new(machine.platform);
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let (pairs, cycles) = clock.time(|| {
            (0..TIMES).try_for_each(|_| {
                let frame = memory.take(0, Frames::ANYWHERE)?;
                memory.put(frame);
                Ok::<(), MapError>(())
            })
        });
        pairs?;
        least = least.min(cycles);
    }
    Ok(least.div_ceil(TIMES))
}

/// What it costs to read from a page that is not there: the exception, the way to the handler, and the way out of it.
fn page_fault(machine: &mut Machine) -> Result<u64, Why> {
    let memory = &mut *machine.memory.lock();
    let platform = machine.platform;
    let clock = Clock::new(platform);
    let mut trial = platform.lay_trial(&mut machine.map, memory, &machine.features)?;
    let access = Access { kind: AccessKind::Read, user: false };
    let mut least = Err(Why::NotReached);
    if machine.map.plant(memory, &mut trial, 1, 0) {
        platform.mmu().flush_page(trial.at());
        for _ in 0..ROUNDS {
            let (outcome, cycles) = clock.time(|| platform.attempt(&trial, access, false));
            if matches!(outcome, Some(Err(_))) {
                least = Ok(least.map_or(cycles, |least| cycles.min(least)));
            }
        }
    }
    machine.map.end_trial(memory, platform.mmu(), trial);
    least
}

/// What it costs to enter the other mode, on tables that are there, and to come back.
fn lift(machine: &mut Machine) -> Result<(u64, u64), Why> {
    let other = modes::other(machine).ok_or(Why::OneMode)?;
    // The heap is not used from here on: on x86_64 the aperture, in which it lies, moves with the mode.
    let memory = &mut machine.memory.alone();
    let platform = machine.platform;
    let clock = Clock::new(platform);
    let paging = Paging::new(other, &machine.features);
    let mut twin = machine.map.twin(memory, paging, machine.memory_map.ram_runs())?;
    let mut least = Ok((u64::MAX, u64::MAX));
    for _ in 0..ROUNDS {
        let (entered, there) = clock.time(|| platform.enter(&mut machine.map, &mut twin, memory));
        let (came_back, back) = match entered {
            Ok(_) => clock.time(|| platform.enter(&mut twin, &mut machine.map, memory)),
            Err(error) => (Err(error), 0),
        };
        if let Err(error) = came_back {
            least = Err(error.into());
            break;
        }
        least = least.map(|(least_there, least_back): (u64, u64)| (there.min(least_there), back.min(least_back)));
    }
    if twin.is_live() {
        // There is no way back: what is live is what the machine has from now on.
        core::mem::swap(&mut twin, &mut machine.map);
    }
    twin.free(memory, platform.mmu());
    least
}
