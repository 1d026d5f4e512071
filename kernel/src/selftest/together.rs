//! One address space that all CPUs change at once, each with a thread that runs in it.

use core::sync::atomic::{AtomicUsize, Ordering};

use log::info;
use mm::{
    AddressSpace, Frame, MapError, MapRequest, OwnedFrames, PAGE_SIZE, PageFlags, PageRange, Rights, Seen, VirtAddr,
};
use sched::{Priority, ThreadId};
use spin::RwLock;

use super::threads::{start_in, unusable};
use super::{Failure, Named, Outcome, Verdict, expect};
use crate::threads::{self, Work};
use crate::{Machine, Memories, Platform, cpus};

/// How many CPUs take part, at most.
const MOST: usize = 16;

/// How often all of them together map a page, look at it, unmap it and look again. Each time all CPUs are asked to forget it, which takes
/// long where they are more than the emulator's host has.
const ROUNDS: usize = 320;

/// Where the pages are, each CPU's next to another's: in one table, and in two others that lead elsewhere.
const PLACES: [VirtAddr; 3] = [VirtAddr(0x6000_0000), VirtAddr(0x6080_0000), VirtAddr(0x9000_0000)];

/// What the threads have in common.
struct Shared {
    platform: &'static dyn Platform,
    memory: &'static Memories,
    space: AddressSpace,
    /// The first of two frames for each CPU, in which is written whose they are.
    frames: [Frame; MOST],
    /// How often each of them changes something.
    rounds: usize,
}

static SHARED: RwLock<Option<Shared>> = RwLock::new(None);

/// What they have seen: how often what was mapped last, and how often anything else; and how many changes were refused.
static RIGHT: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Each CPU maps and unmaps its own pages, which lie among those of the others, and sees what it has mapped and nothing else.
pub fn changes(machine: &mut Machine) -> Verdict {
    if cpus::count(machine) == 1 {
        return Ok(Outcome::Skipped("one CPU runs"));
    }
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let mut online = [None; MOST];
    let mut free = online.iter_mut();
    machine.platform.each_cpu(&mut |cpu| {
        if cpu.online
            && let Some(slot) = free.next()
        {
            *slot = Some(cpu.index);
        }
    });
    let mut owned = [const { None }; MOST];
    let verdict = with_frames(machine, &online, &mut owned);
    owned.into_iter().flatten().for_each(|frames| machine.memory.lock().put(frames));
    verdict.map(|()| Outcome::Passed)
}

fn with_frames(
    machine: &mut Machine,
    online: &[Option<usize>; MOST],
    owned: &mut [Option<OwnedFrames>; MOST],
) -> Result<(), Failure> {
    let mut frames = [Frame(0); MOST];
    for at in (0..MOST).filter(|at| online[*at].is_some()) {
        let mut memory = machine.memory.lock();
        let end = memory.window.frames().end();
        let pair = owned[at].insert(memory.take(1, end).named("take two frames")?);
        frames[at] = pair.run().first;
        if let Some(words) = memory.words(pair) {
            let half = words.len() / 2;
            words[..half].fill(word(at, 0) as u64);
            words[half..].fill(word(at, 1) as u64);
        }
    }
    let space = machine.platform.new_space(&mut machine.map, &mut machine.memory.lock()).named("make a space")?;
    let number = space.number();
    let (platform, memory) = (machine.platform, machine.memory);
    let rounds = ROUNDS / online.iter().flatten().count();
    *SHARED.write() = Some(Shared { platform, memory, space, frames, rounds });
    [&RIGHT, &WRONG, &REFUSED].iter().for_each(|count| count.store(0, Ordering::Relaxed));
    let mut started = [None; MOST];
    let all = start_all(machine, online, number, &mut started);
    let count = started.iter().flatten().count();
    started.into_iter().flatten().for_each(|id| threads::join(machine, id));
    let Some(Shared { space, .. }) = SHARED.write().take() else { return Err(Failure::Not("the space is kept")) };
    let mut left = 0;
    let half = space.tables().paging().routines.info.kernel_half();
    space.tables().visit(&machine.memory.lock(), &mut |seen| {
        left += usize::from(matches!(seen, Seen::Leaf(leaf) if leaf.start < half));
    });
    machine.platform.free_space(&mut machine.map, &mut machine.memory.lock(), space);
    all?;
    let (right, wrong) = (RIGHT.load(Ordering::Relaxed), WRONG.load(Ordering::Relaxed));
    expect(REFUSED.load(Ordering::Relaxed) == 0, "no change is refused")?;
    expect(wrong == 0, "each CPU sees what it has mapped, and nothing where it has unmapped")?;
    expect(left == 0, "what was unmapped is not there")?;
    expect(right == 2 * rounds * count, "each CPU looks whenever it has changed something")?;
    info!("spaces.changes: {} changes by {count} CPUs in one space", 2 * rounds * count);
    Ok(())
}

fn start_all(
    machine: &mut Machine,
    online: &[Option<usize>; MOST],
    space: usize,
    started: &mut [Option<ThreadId>; MOST],
) -> Result<(), Failure> {
    for (at, cpu) in online.iter().enumerate().filter(|(_, cpu)| cpu.is_some()) {
        let work = Work { name: "test", priority: Priority::Normal, cpu: *cpu, run, argument: at };
        started[at] = Some(start_in(machine, work, space)?);
    }
    Ok(())
}

/// What is written on a frame.
const fn word(at: usize, frame: usize) -> usize {
    at << 8 | frame << 4 | 1
}

fn run(at: usize) {
    if let Some(shared) = &*SHARED.read() {
        for round in 0..shared.rounds {
            if shared.change(at, round).is_err() {
                REFUSED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Shared {
    fn change(&self, at: usize, round: usize) -> Result<(), MapError> {
        let frame = round / PLACES.len() % 2;
        let page = PLACES[round % PLACES.len()].offset(at as u64 * PAGE_SIZE);
        let range = PageRange::new(page, 1);
        let first = self.frames[at].offset(frame as u64);
        let flags = PageFlags::new(Rights::WRITE);
        self.space.map(&mut self.memory.lock(), &MapRequest { range, first, flags })?;
        self.look(page, Some(word(at, frame)));
        let memory = &mut self.memory.lock();
        self.space.unmap(memory, range, None)?.flush(memory, self.platform.mmu_in(&self.space));
        self.look(page, None);
        Ok(())
    }

    fn look(&self, page: VirtAddr, expected: Option<usize>) {
        let count = if self.platform.look(page) == expected { &RIGHT } else { &WRONG };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
