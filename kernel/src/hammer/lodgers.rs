//! Threads in address spaces of their own, all at the same addresses.
//!
//! Each space has pages of its own there, which are mapped now here, now there. Every word on them says whose it is and in which
//! round it was written: a lodger that reads another's, or an old one of his own, or nothing while something is mapped, runs in another
//! space than his or has used a translation that is gone.

use core::sync::atomic::{AtomicUsize, Ordering};

use mm::{AddressSpace, MapError, MapRequest, OwnedFrames, PAGE_SIZE, PageFlags, PageRange, Rights, VirtAddr};
use sched::{Priority, ThreadId};

use super::{SHARED, WATCH};
use crate::Machine;
use crate::threads::{self, Refusal, Work};

/// How many there are.
pub const COUNT: usize = 4;

/// Where their pages are, and how many each has.
const HERE: VirtAddr = VirtAddr(0x6000_0000);
const PAGES: u64 = 4;

/// A word is a round times this and the lodger's number.
const OWNERS: usize = 16;

/// The word that is mapped for each, 0 while none is; and what each has seen since he was last asked.
static FLOORS: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];
static WORDS: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];
static FOREIGN: AtomicUsize = AtomicUsize::new(0);
static STALE: AtomicUsize = AtomicUsize::new(0);

/// What they have seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How often one of their own words.
    pub words: u64,
    /// How often a word of another's, or nothing where something is mapped.
    pub foreign: u64,
    /// How often one of their own that could no longer be read.
    pub stale: u64,
    /// How often a space had to be flushed, and how many other CPUs were asked in all.
    pub flushes: u64,
    /// See `flushes`.
    pub asked: u64,
}

/// A space, its frames, and the thread in it.
struct Lodging {
    space: AddressSpace,
    /// Twice as many as there are pages: they are mapped in turns.
    frames: OwnedFrames,
    thread: Option<ThreadId>,
    round: usize,
}

/// All of them.
#[derive(Default)]
pub struct Lodgings([Option<Lodging>; COUNT]);

/// Why they could not be made.
pub enum Trouble {
    /// There was no thread for it.
    Thread(Refusal),
    /// There was no frame for it.
    Pages(MapError),
}

impl From<MapError> for Trouble {
    fn from(error: MapError) -> Self {
        Self::Pages(error)
    }
}

impl Lodgings {
    /// Makes them, and starts their threads.
    ///
    /// # Errors
    /// Why one could not be made. [`end`](Self::end) takes back those that were.
    pub fn begin(&mut self, machine: &mut Machine) -> Result<(), Trouble> {
        for counter in FLOORS.iter().chain(&WORDS).chain([&FOREIGN, &STALE]) {
            counter.store(0, Ordering::Relaxed);
        }
        for at in 0..COUNT {
            let lodging = {
                let memory = &mut machine.memory.lock();
                let end = memory.window.frames().end();
                let frames = memory.take((2 * PAGES).trailing_zeros() as u8, end)?;
                match machine.platform.new_space(&mut machine.map, memory) {
                    Ok(space) => Lodging { space, frames, thread: None, round: 0 },
                    Err(error) => {
                        memory.put(frames);
                        return Err(error.into());
                    }
                }
            };
            let number = lodging.space.number();
            let lodging = self.0[at].insert(lodging);
            let work = Work { name: "lodger", priority: Priority::Normal, cpu: None, run: lodge, argument: at };
            lodging.thread = Some(threads::spawn_in(machine, work, number).map_err(Trouble::Thread)?);
        }
        Ok(())
    }

    /// Maps the pages of the lodger whose turn it is elsewhere.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] for want of a table.
    pub fn move_one(&mut self, machine: &mut Machine, turn: usize, seen: &mut Seen) -> Result<(), MapError> {
        let at = turn % COUNT;
        let Some(lodging) = &mut self.0[at] else { return Ok(()) };
        let range = PageRange::new(HERE, PAGES);
        let memory = &mut machine.memory.lock();
        if lodging.round > 0 {
            FLOORS[at].store(0, Ordering::SeqCst);
            let (_, before) = machine.platform.shootdowns();
            let mmu = machine.platform.mmu_in(&lodging.space);
            lodging.space.unmap(memory, range, None)?.flush(memory, mmu);
            let (_, after) = machine.platform.shootdowns();
            seen.flushes += 1;
            seen.asked += after.wrapping_sub(before) as u64;
        }
        lodging.round += 1;
        let first = lodging.round as u64 % 2 * PAGES;
        let word = lodging.round * OWNERS + at;
        for index in first..first + PAGES {
            let bytes = word.to_le_bytes();
            let write = |page: &mut [u8; PAGE_SIZE as usize]| page[..bytes.len()].copy_from_slice(&bytes);
            machine.map.with_frame(memory, machine.platform.mmu(), &mut lodging.frames, index, write)?;
        }
        let flags = PageFlags::new(Rights::WRITE);
        lodging.space.map(memory, &MapRequest { range, first: lodging.frames.run().first.offset(first), flags })?;
        FLOORS[at].store(word, Ordering::SeqCst);
        Ok(())
    }

    /// Adds what they have seen since the last time.
    pub fn ask(seen: &mut Seen) {
        let taken = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed) as u64;
        seen.words += WORDS.iter().map(taken).sum::<u64>();
        seen.foreign += taken(&FOREIGN);
        seen.stale += taken(&STALE);
    }

    /// Waits for the ends of the threads, which were told, and gives everything back.
    pub fn end(self, machine: &mut Machine) {
        for lodging in self.0.into_iter().flatten() {
            if let Some(thread) = lodging.thread {
                threads::join(machine, thread);
            }
            let memory = &mut machine.memory.lock();
            machine.platform.free_space(&mut machine.map, memory, lodging.space);
            memory.put(lodging.frames);
        }
    }
}

/// Looks at his pages until it is over, now and then from another CPU.
fn lodge(at: usize) {
    let Some(shared) = SHARED.get() else { return };
    while !WATCH.is_over() {
        for _ in 0..2000 {
            for page in 0..PAGES {
                look(shared.platform, at, page);
            }
        }
        threads::yield_now();
        for page in 0..PAGES {
            look(shared.platform, at, page);
        }
        threads::sleep_until(threads::now().wrapping_add(1));
    }
}

fn look(platform: &dyn crate::Platform, at: usize, page: u64) {
    let floor = FLOORS[at].load(Ordering::SeqCst);
    let Some(word) = platform.look(HERE.offset(page * PAGE_SIZE)) else {
        // Words do not come again, so it was mapped all the time if it is the same one.
        if floor > 0 && FLOORS[at].load(Ordering::SeqCst) == floor {
            FOREIGN.fetch_add(1, Ordering::Relaxed);
        }
        return;
    };
    WORDS[at].fetch_add(1, Ordering::Relaxed);
    if word % OWNERS != at {
        FOREIGN.fetch_add(1, Ordering::Relaxed);
    } else if word < floor {
        STALE.fetch_add(1, Ordering::Relaxed);
    }
}
