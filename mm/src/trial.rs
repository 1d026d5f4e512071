//! A page in the user half whose entries are whatever its owner wants, at every level: what to try a CPU with.

use crate::format::bit;
use crate::{Features, Frame, PhysAddr, Rights, VirtAddr};
use crate::{
    Frames, KernelMap, Level, MapError, MapRequest, Memory, Mmu, OwnedFrames, PAGE_SIZE, PageFlags, PageRange,
};

/// The most levels that a mode has.
const LEVELS: usize = 5;

/// Where the page with the code of ring 3 lies: below another root entry than the page that is tried, in pml3 below
/// another directory entry.
const STUB: VirtAddr = VirtAddr(0x1000_0000);

/// What the page that is tried permits to begin with, and the stub's: everything, and all that running it takes.
const OPEN: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::EXEC).union(Rights::USER));
const CODE: PageFlags = PageFlags::new(Rights::EXEC.union(Rights::USER));

/// A page of a [`KernelMap`] in the user half, and the entries on the way to it.
///
/// Whichever level its leaf is at, the page lies at the same place in memory: the address is chosen so that its low bits
/// are those of the frame. So it is only the other bits of the entries that are free, and whatever they are, an access
/// to the page ends in a fault or in this one frame.
#[derive(Debug)]
#[must_use = "a trial that is not ended loses its frames"]
pub struct Trial {
    root: Frame,
    at: VirtAddr,
    page: OwnedFrames,
    stub: OwnedFrames,
    /// The entries on the way, from level 1 up: where they lie, and what they were made as.
    entries: [(PhysAddr, u64); LEVELS],
    /// Address bits of a 4 MiB page beyond 32.
    pse36: u64,
}

impl KernelMap {
    /// Lays a page to be tried, with the bytes `code` at its start, and one for ring 3 to execute with the bytes `stub`.
    /// Both open to everyone, the stub's but for writing.
    ///
    /// # Errors
    /// [`MapError::NoMemory`]. Nothing has changed then.
    ///
    /// # Safety
    /// Nothing comes of it if the bytes are executed, in ring 0 or in ring 3, that whoever executes them does not expect.
    pub unsafe fn lay_trial(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        features: &Features,
        code: &[u8],
        stub: &[u8],
    ) -> Result<Trial, MapError> {
        let reach = memory.window.frames().end().min(Frames::ANYWHERE);
        let page = memory.take(0, reach)?;
        let stub_page = match memory.take(0, reach) {
            Ok(frames) => frames,
            Err(error) => {
                memory.put(page);
                return Err(error);
            }
        };
        for (frames, bytes) in [(&page, code), (&stub_page, stub)] {
            let at = memory.window.at(frames.run().first);
            for (index, byte) in bytes.iter().take(PAGE_SIZE as usize).enumerate() {
                // SAFETY: a frame that was just taken and that the window shows.
                unsafe { at.add(index).write(*byte) };
            }
        }
        let info = &self.tables().paging().routines.info;
        let root_entry = if info.va_bits == 32 { 0x4000_0000 } else { 1 << info.shift(info.levels) };
        let span = info.pages(info.top_leaf) * PAGE_SIZE;
        let first = page.run().first;
        let at = VirtAddr(root_entry | first.start().0 & (span - 1));
        // Bits 20 to 13, as far as the CPU has addresses for them.
        let more = if features.pse36 { features.phys_bits.clamp(32, 40) - 32 } else { 0 };
        let pse36 = ((1 << more) - 1) << 13;
        let root = self.tables().root();
        let mut trial = Trial { root, at, page, stub: stub_page, entries: [(PhysAddr(0), 0); LEVELS], pse36 };
        match self.map_trial(memory, &mut trial) {
            Ok(()) => Ok(trial),
            Err(error) => {
                self.take_up(memory, mmu, trial);
                Err(error)
            }
        }
    }

    fn map_trial(&mut self, memory: &mut Memory, trial: &mut Trial) -> Result<(), MapError> {
        for (at, frames, flags) in [(trial.at, &trial.page, OPEN), (STUB, &trial.stub, CODE)] {
            let request = MapRequest { range: PageRange::new(at, 1), first: frames.run().first, flags };
            self.map_user(memory, &request)?;
        }
        self.tables().path(memory, trial.at, &mut |step| {
            trial.entries[usize::from(step.level) - 1] = (step.at, step.raw);
        });
        Ok(())
    }

    /// Puts the entry at `level` of a trial's page together from `bits` and the address that belongs there. Where bit 7
    /// makes the entry a page, that is the address of the page of that size around the frame, else of the next table; the
    /// address bits of `bits` do not count. Tells whether it was done: not at a level that the mode does not have, not in
    /// PAE's root, which the CPU reads only when it is loaded, and not in another tree than the trial's.
    ///
    /// The caller flushes.
    pub fn plant(&mut self, memory: &mut Memory, trial: &mut Trial, level: Level, bits: u64) -> bool {
        let paging = self.tables().paging();
        let (info, limits) = (&paging.routines.info, &paging.limits);
        let registers = info.root_is_registers && level == info.levels;
        if !(1..=info.levels).contains(&level) || registers || self.tables().root() != trial.root {
            return false;
        }
        // In pml2 bit 7 means nothing on a CPU without large pages.
        let top = if info.levels == 2 { limits.top_leaf } else { info.top_leaf };
        let large = level > 1 && level <= top && bits & bit::PAGE_SIZE != 0;
        let (at, made) = trial.entries[usize::from(level) - 1];
        let all = (1u64 << limits.phys_bits) - PAGE_SIZE;
        let (mask, address) = if large {
            let mask = all & !(info.pages(level) * PAGE_SIZE - 1);
            let more = if info.levels == 2 { trial.pse36 } else { 0 };
            (mask | more, trial.page.run().first.start().0 & mask)
        } else {
            (all, made & all)
        };
        // SAFETY: an entry of this tree, which is borrowed mutably as the memory is. What it leads to is the trial's own
        // frame, or a table of its own, whatever the other bits are.
        unsafe { self.put(memory, at, bits & !mask | address) };
        true
    }

    /// Takes a trial out of this tree, from which it must be, and gives its frames back.
    ///
    /// # Panics
    /// If it is another tree's.
    pub fn end_trial(&mut self, memory: &mut Memory, mmu: &dyn Mmu, trial: Trial) {
        assert!(self.tables().root() == trial.root, "a trial of another tree");
        for (at, made) in trial.entries {
            if made != 0 && !self.is_root_register(at) {
                // SAFETY: as in `plant`; the word is the one that was there.
                unsafe { self.put(memory, at, made) };
            }
        }
        mmu.flush_page(trial.at);
        self.take_up(memory, mmu, trial);
    }

    fn is_root_register(&self, at: PhysAddr) -> bool {
        self.tables().paging().routines.info.root_is_registers && at.frame() == self.tables().root()
    }

    fn take_up(&mut self, memory: &mut Memory, mmu: &dyn Mmu, trial: Trial) {
        for at in [trial.at, STUB] {
            // What was never mapped is not unmapped: that is no error here. Single pages need no split.
            if let Ok(stale) = self.unmap_user(memory, PageRange::new(at, 1), None) {
                stale.flush(memory, mmu);
            }
        }
        if let Ok(stale) = self.trim_user(memory) {
            stale.flush(memory, mmu);
        }
        memory.put(trial.page);
        memory.put(trial.stub);
    }
}

impl Trial {
    /// The page that is tried.
    pub const fn at(&self) -> VirtAddr {
        self.at
    }

    /// The page with the code for ring 3.
    pub const fn stub(&self) -> VirtAddr {
        STUB
    }

    /// The root of the tree that it is in.
    pub const fn root(&self) -> Frame {
        self.root
    }

    /// The entry at `level` as it was made: everything permitted, nothing wrong. 0 at a level that the mode does not have.
    pub fn made(&self, level: Level) -> u64 {
        self.entries.get(usize::from(level).wrapping_sub(1)).map_or(0, |entry| entry.1)
    }
}
