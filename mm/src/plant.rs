//! A wrong entry on purpose: in a tree that no CPU uses, so that whoever looks for such entries can be tried, or in the
//! live one where nothing lies, so that the CPU can be.

use crate::format::bit;
use crate::{KernelMap, Level, Memory, Mmu, OwnedFrames, PAGE_SHIFT, PhysAddr, VirtAddr, reserved};

/// The level at which an entry of every mode can be a leaf with reserved bits.
const LARGE: Level = 2;

impl KernelMap {
    /// Puts the word that `change` makes of the entry at `level` on the way to `va` in its place, lets `look` look, and
    /// puts the old one back. `None`, and nothing has happened, if the way ends above or this tree is live.
    ///
    /// `look` can only read: whatever the word says, no table is changed or given back because of it.
    pub fn planted<T>(
        &mut self,
        memory: &mut Memory,
        va: VirtAddr,
        level: Level,
        change: impl FnOnce(u64) -> u64,
        look: impl FnOnce(&Self, &Memory) -> T,
    ) -> Option<T> {
        if self.is_live() {
            return None;
        }
        let (at, old) = self.entry_at(memory, va, level)?;
        // SAFETY: an entry of this tree, which no CPU uses; both it and the memory are borrowed mutably.
        unsafe { self.put(memory, at, change(old)) };
        let result = look(self, memory);
        // SAFETY: as above.
        unsafe { self.put(memory, at, old) };
        Some(result)
    }

    /// Runs `touch` while a reserved bit is set on the way to `va`, in the entry at level 2, and puts the old entry
    /// back: whoever touches `va` meanwhile learns from the CPU that the bit is reserved. `None`, and nothing has
    /// happened, if in this mode no such bit is reserved on this CPU (pml2 without large pages), if `va` is outside
    /// the user region, or if the way to it ends above level 2.
    pub fn with_reserved_bit<T>(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        va: VirtAddr,
        touch: impl FnOnce() -> T,
    ) -> Option<T> {
        let paging = self.tables().paging();
        if paging.limits.top_leaf < LARGE || !self.layout().user.contains(va) {
            return None;
        }
        let wrong = reserved::reserved(&paging.routines.info, &paging.limits, LARGE, true);
        let bit = 1 << wrong.checked_ilog2()?;
        let (at, old) = self.entry_at(memory, va, LARGE)?;
        // SAFETY: an entry of this tree, which is borrowed mutably as the memory is. The new word leads nowhere: the
        // CPU refuses it. Below it are user pages, which the kernel does not rely on.
        unsafe { self.put(memory, at, bit::PRESENT | bit::PAGE_SIZE | bit) };
        mmu.flush_page(va);
        let result = touch();
        // SAFETY: as above; the word is the one that was there.
        unsafe { self.put(memory, at, old) };
        mmu.flush_page(va);
        Some(result)
    }

    /// Where the entry at `level` on the way to `va` lies, and its word.
    fn entry_at(&self, memory: &Memory, va: VirtAddr, level: Level) -> Option<(PhysAddr, u64)> {
        let mut found = None;
        self.tables().path(memory, va, &mut |step| {
            if step.level == level {
                found = Some((step.at, step.raw));
            }
        });
        found
    }

    /// Stores an entry byte by byte: it is absent until its lowest byte, which is the last, is in place.
    ///
    /// # Safety
    /// `at` is an entry of a table of this tree, which the window shows, and nobody else reads or writes it meanwhile
    /// but a CPU that has nothing to do below it.
    pub(crate) unsafe fn put(&self, memory: &mut Memory, at: PhysAddr, word: u64) {
        memory.forget_hints();
        let bytes = usize::from(self.tables().paging().routines.info.entry_bytes as u8);
        let offset = (at.0 - at.frame().start().0) as usize;
        // SAFETY: inside the table's frame, by this function's contract.
        unsafe {
            let entry = memory.window.at(at.frame()).add(offset);
            entry.write_volatile(0);
            for (index, byte) in word.to_le_bytes()[..bytes].iter().enumerate().rev() {
                entry.add(index).write_volatile(*byte);
            }
        }
    }
}

impl Memory {
    /// The words of frames that the window shows, with whatever is in them; `None` if it does not show them all.
    pub fn words<'a>(&'a self, frames: &'a mut OwnedFrames) -> Option<&'a mut [u64]> {
        let run = frames.run();
        if !self.window.frames().contains(run.first) || run.end() > self.window.frames().end() {
            return None;
        }
        let count = usize::try_from(run.count << (PAGE_SHIFT - 3)).ok()?;
        // SAFETY: the window shows the run, one frame after the other, and stays where it is while `self` is borrowed;
        // the frames are owned by what is borrowed mutably for as long as the words are.
        Some(unsafe { core::slice::from_raw_parts_mut(self.window.at(run.first).cast(), count) })
    }
}
