//! The pages that come and go, and what other CPUs see of them.
//!
//! Each round has a number, which is written to a frame before it is mapped; after it is, the number is announced. Whoever looks
//! after that and sees a lower one has used a translation that is gone.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{MapError, MapRequest, Mmu, OwnedFrames, PAGE_SIZE, PageFlags, PageRange, Rights, VirtAddr};

use crate::{Machine, Platform};

/// Where they are.
const HERE: VirtAddr = VirtAddr(0x5000_0000);

/// How many there are in a wide round: more than are forgotten one by one.
pub const WIDE: u64 = 48;

/// Frames of a round, log2: two of them are owned, and used in turns.
const ORDER: u8 = 6;

/// What those who look are told and tell.
pub struct Watch {
    /// The number of the last round that is mapped.
    announced: AtomicUsize,
    /// Somebody has read a word since it was.
    looked: AtomicBool,
    /// They are to stop.
    over: AtomicBool,
}

/// What one of those who look has seen since it was last asked.
#[repr(align(64))]
pub struct Counts {
    words: AtomicUsize,
    nothing: AtomicUsize,
    stale: AtomicUsize,
}

/// What was seen, in sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How often a word was read.
    pub words: u64,
    /// How often nothing was mapped.
    pub nothing: u64,
    /// How often the word was one that could no longer be read.
    pub stale: u64,
}

impl Counts {
    /// Nothing was seen.
    pub const fn none() -> Self {
        Self { words: AtomicUsize::new(0), nothing: AtomicUsize::new(0), stale: AtomicUsize::new(0) }
    }
}

impl Seen {
    /// Adds what is counted in `counts`, from where it is gone then. Often enough, no count of 32 bits overflows.
    pub fn take(&mut self, counts: &Counts) {
        let taken = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed) as u64;
        self.words += taken(&counts.words);
        self.nothing += taken(&counts.nothing);
        self.stale += taken(&counts.stale);
    }
}

impl Watch {
    /// Nothing is mapped yet.
    pub const fn new() -> Self {
        Self { announced: AtomicUsize::new(0), looked: AtomicBool::new(false), over: AtomicBool::new(false) }
    }

    /// Begins with the first round again. Nobody looks yet.
    pub fn begin(&self) {
        self.announced.store(0, Ordering::SeqCst);
        self.over.store(false, Ordering::SeqCst);
    }

    /// Has those who look stop.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether they are to stop.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Looks at the page number `page`.
    pub fn look(&self, platform: &dyn Platform, page: u64, counts: &Counts) {
        let floor = self.announced.load(Ordering::SeqCst);
        match platform.look(HERE.offset(page * PAGE_SIZE)) {
            Some(word) => {
                counts.words.fetch_add(1, Ordering::Relaxed);
                if word < floor {
                    counts.stale.fetch_add(1, Ordering::Relaxed);
                }
                if !self.looked.load(Ordering::Relaxed) {
                    self.looked.store(true, Ordering::Relaxed);
                }
            }
            None => _ = counts.nothing.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Announces the round, and gives the others time to look, so that there is something to go stale.
    fn announce(&self, round: usize) {
        self.announced.store(round, Ordering::SeqCst);
        self.looked.store(false, Ordering::Relaxed);
        let unseen = || !self.looked.load(Ordering::Relaxed);
        (0..100_000).take_while(|_| unseen()).for_each(|_| core::hint::spin_loop());
    }
}

/// What a round does beside mapping a page elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// Nothing.
    Narrow,
    /// It maps and unmaps [`WIDE`] pages.
    Wide,
    /// It takes the table out when that is empty, and gives it back.
    Trim,
}

/// The frames that are mapped in turns.
pub struct Frames {
    owned: OwnedFrames,
    round: usize,
}

impl Frames {
    /// Takes them.
    ///
    /// # Errors
    /// [`MapError::NoMemory`].
    pub fn take(machine: &Machine) -> Result<Self, MapError> {
        let mut memory = machine.memory.lock();
        let end = memory.window.frames().end();
        Ok(Self { owned: memory.take(ORDER + 1, end)?, round: 0 })
    }

    /// How many rounds there were.
    pub const fn rounds(&self) -> usize {
        self.round
    }

    /// Writes the next number to the frames whose turn it is, maps them, has the others look, and unmaps them.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] for want of a table.
    pub fn remap(&mut self, machine: &mut Machine, watch: &Watch, mmu: &dyn Mmu, kind: Round) -> Result<(), MapError> {
        self.round += 1;
        let first = (self.round as u64 % 2) << ORDER;
        let count = if kind == Round::Wide { WIDE } else { 1 };
        let range = PageRange::new(HERE, count);
        {
            let memory = &mut machine.memory.lock();
            let word = self.round.to_le_bytes();
            for index in first..first + count {
                let write = |bytes: &mut [u8; PAGE_SIZE as usize]| bytes[..word.len()].copy_from_slice(&word);
                machine.map.with_frame(memory, machine.platform.mmu(), &mut self.owned, index, write)?;
            }
            // Not a program's: with SMAP the kernel does not read those.
            let flags = PageFlags::new(Rights::WRITE);
            let request = MapRequest { range, first: self.owned.run().first.offset(first), flags };
            machine.map.map_user(memory, &request)?;
        }
        watch.announce(self.round);
        let memory = &mut machine.memory.lock();
        machine.map.unmap_user(memory, range, None)?.flush(memory, mmu);
        if kind == Round::Trim {
            machine.map.trim_user(memory)?.flush(memory, mmu);
        }
        Ok(())
    }

    /// Flushes what was not, takes the tables out, and gives the frames back.
    pub fn give_back(self, machine: &mut Machine) -> Result<(), MapError> {
        let mmu = machine.platform.mmu();
        mmu.flush_page(HERE);
        let memory = &mut machine.memory.lock();
        let trimmed = machine.map.trim_user(memory).map(|stale| stale.flush(memory, mmu));
        memory.put(self.owned);
        trimmed
    }
}
