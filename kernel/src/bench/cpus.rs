//! `bench cpus`: what frames and tables cost when several CPUs use them at once, and what it costs to have the others forget.
//!
//! Each CPU has its own memory and, here, first a tree of its own and then a part of an address space that all of them change; what else
//! they have in common is the allocator behind its lock. The figure is that of the slowest CPU: if nobody waited for anybody, it would
//! be the same for any number.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{AddressSpace, Frames, MapError, MapRequest, PAGE_SIZE, PageFlags, PageRange, Rights};

use super::{Clock, HERE, ROUNDS, Why, tell};
use crate::console::Console;
use crate::{Machine, cpus, typed};

/// Frames that a CPU takes and gives back in a round.
const PAIRS: u64 = 1024;

/// What a table of level 1 maps at most, in bytes.
const TABLE: u64 = 4 << 20;

/// Pages that a CPU maps and unmaps in a round.
const PAGES: u64 = 256;

/// Measures on one CPU, on two, on four and so on, and on all of them.
pub fn run(console: &mut Console, machine: &mut Machine) -> fmt::Result {
    if machine.platform.cycles().is_none() {
        return writeln!(console, "bench: this CPU has no time-stamp counter to measure with");
    }
    let all = cpus::count(machine);
    writeln!(
        console,
        "bench: cycles of the time-stamp counter, the middle of {ROUNDS} rounds, of the slowest of the CPUs"
    )?;
    let steps = core::iter::successors(Some(1), |count| (*count < all).then(|| (count * 2).min(all)));
    for count in steps {
        writeln!(console, "on {count} of {all} CPUs at once:")?;
        tell(console, "take and give a frame", together(machine, count, &frame_pairs).as_ref().copied())?;
        tell(console, "map and unmap a page", together(machine, count, &pages).as_ref().copied())?;
        tell(console, "the same, in one space", in_one_space(machine, count).as_ref().copied())?;
        tell(console, "flush, the others asked", shootdown(machine, count - 1).as_ref().copied())?;
    }
    Ok(())
}

/// What is measured on several CPUs: with the machine, and the CPU's place among them, from 0 on.
type Work<'a> = &'a (dyn Fn(&Machine, usize) -> Result<u64, Why> + Sync);

/// Does `work` on `count` CPUs at the same time, this one among them. The figure of the slowest.
fn together(machine: &Machine, count: usize, work: Work) -> Result<u64, Why> {
    let (places, ready) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (most, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = |_| {
        let place = places.fetch_add(1, Ordering::SeqCst);
        if place >= count {
            return;
        }
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < count {
            core::hint::spin_loop();
        }
        match work(machine, place) {
            Ok(cycles) => _ = most.fetch_max(cycles as usize, Ordering::SeqCst),
            Err(_) => refused.store(true, Ordering::SeqCst),
        }
    };
    cpus::on_others(machine.platform, &run, &mut || run(0))?;
    if refused.into_inner() { Err(MapError::NoMemory.into()) } else { Ok(most.into_inner() as u64) }
}

/// What a frame costs that is taken and given back.
fn frame_pairs(machine: &Machine, _: usize) -> Result<u64, Why> {
    let memory = &mut *machine.memory.lock();
    let clock = Clock::new(machine.platform);
    let cycles = middle(|| {
        let (pairs, cycles) = clock.time(|| {
            (0..PAIRS).try_for_each(|_| {
                let frame = memory.take(0, Frames::ANYWHERE)?;
                memory.put(frame);
                Ok::<(), MapError>(())
            })
        });
        pairs.map(|()| cycles)
    });
    Ok(cycles?.div_ceil(PAIRS))
}

/// The middle of what `one` comes to in a few rounds: where CPUs are threads of a host, a single round may come out too short, because
/// a thread goes to a CPU whose counter is behind.
fn middle(mut one: impl FnMut() -> Result<u64, MapError>) -> Result<u64, MapError> {
    let mut rounds = [0; ROUNDS];
    for round in rounds.iter_mut().take_while(|_| !typed::was_ended()) {
        *round = one()?;
    }
    rounds.sort_unstable();
    Ok(rounds[ROUNDS / 2])
}

/// What a page costs that is mapped and unmapped in a tree that no other CPU uses, its share of the tables included.
fn pages(machine: &Machine, _: usize) -> Result<u64, Why> {
    let memory = &mut *machine.memory.lock();
    let clock = Clock::new(machine.platform);
    let mmu = machine.platform.mmu_here();
    let paging = *machine.map.tables().paging();
    let mut map = machine.map.twin(memory, paging, machine.memory_map.ram_runs())?;
    let first = machine.map.tables().root();
    let cycles = middle(|| {
        let (done, cycles) = clock.time(|| {
            for page in 0..PAGES {
                let range = PageRange::new(HERE.offset(page * PAGE_SIZE), 1);
                // Nobody looks there: this tree is never live.
                map.map_user(memory, &MapRequest { range, first, flags: PageFlags::new(Rights::empty()) })?;
            }
            // One flush, here only, and the tables go back.
            map.unmap_user(memory, PageRange::new(HERE, PAGES), None)?.flush(memory, mmu);
            map.trim_user(memory)?.flush(memory, mmu);
            Ok::<(), MapError>(())
        });
        done.map(|()| cycles)
    });
    map.free(memory, mmu);
    Ok(cycles?.div_ceil(PAGES))
}

/// What a page costs in a space that `count` CPUs change at once, each a table's worth of pages that no other touches.
fn in_one_space(machine: &mut Machine, count: usize) -> Result<u64, Why> {
    let space = machine.platform.new_space(&mut machine.map, &mut machine.memory.lock())?;
    let told = together(machine, count, &|machine, place| pages_of(machine, &space, place));
    machine.platform.free_space(&mut machine.map, &mut machine.memory.lock(), space);
    told
}

fn pages_of(machine: &Machine, space: &AddressSpace, place: usize) -> Result<u64, Why> {
    let memory = &mut *machine.memory.lock();
    let clock = Clock::new(machine.platform);
    let mmu = machine.platform.mmu_in(space);
    let here = HERE.offset(place as u64 * TABLE);
    let first = machine.map.tables().root();
    let cycles = middle(|| {
        let (done, cycles) = clock.time(|| {
            for page in 0..PAGES {
                let range = PageRange::new(here.offset(page * PAGE_SIZE), 1);
                // Nobody looks there: no thread runs in this space.
                space.map(memory, &MapRequest { range, first, flags: PageFlags::new(Rights::empty()) })?;
            }
            space.unmap(memory, PageRange::new(here, PAGES), None)?.flush(memory, mmu);
            Ok::<(), MapError>(())
        });
        done.map(|()| cycles)
    });
    Ok(cycles?.div_ceil(PAGES))
}

/// What it costs to have a page of a program forgotten by `asked` other CPUs that do something, while all others idle.
fn shootdown(machine: &mut Machine, asked: usize) -> Result<u64, Why> {
    let platform = machine.platform;
    let (places, up, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let busy = |_| {
        if places.fetch_add(1, Ordering::SeqCst) < asked {
            up.fetch_add(1, Ordering::SeqCst);
            while !over.load(Ordering::SeqCst) {
                core::hint::spin_loop();
            }
        }
    };
    let mut told = Err(Why::NotReached);
    cpus::on_others(platform, &busy, &mut || {
        while up.load(Ordering::SeqCst) < asked {
            core::hint::spin_loop();
        }
        told = unmap(machine);
        over.store(true, Ordering::SeqCst);
    })?;
    told
}

/// What the flush after an unmapped page takes.
fn unmap(machine: &mut Machine) -> Result<u64, Why> {
    let clock = Clock::new(machine.platform);
    let mmu = machine.platform.mmu();
    let memory = &mut *machine.memory.lock();
    let frames = memory.take(0, Frames::ANYWHERE)?;
    let range = PageRange::new(HERE, 1);
    let request = MapRequest { range, first: frames.run().first, flags: PageFlags::new(Rights::WRITE) };
    let cycles = middle(|| {
        machine.map.map_user(memory, &request)?;
        let stale = machine.map.unmap_user(memory, range, None)?;
        Ok(clock.time(|| stale.flush(memory, mmu)).1)
    });
    let trimmed = machine.map.trim_user(memory).map(|stale| stale.flush(memory, mmu));
    memory.put(frames);
    trimmed?;
    Ok(cycles?)
}
