//! A wrong entry on purpose, in a tree that no CPU uses, so that whoever looks for such entries can be tried.

use crate::{KernelMap, Level, Memory, OwnedFrames, PAGE_SHIFT, VirtAddr};

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
        let mut found = None;
        self.tables().path(memory, va, &mut |step| {
            if step.level == level {
                found = Some((step.at, step.raw));
            }
        });
        let (at, old) = found?;
        let bytes = usize::from(self.tables().paging().routines.info.entry_bytes as u8);
        let offset = (at.0 - at.frame().start().0) as usize;
        let table = memory.window.at(at.frame());
        let store = |word: u64| {
            for (index, byte) in word.to_le_bytes()[..bytes].iter().enumerate() {
                // SAFETY: an entry of a table of this tree, which the window shows; the tree is not live, and both it
                // and the memory are borrowed mutably, so nobody reads the entry meanwhile.
                unsafe { table.add(offset + index).write_volatile(*byte) };
            }
        };
        store(change(old));
        let result = look(self, memory);
        store(old);
        Some(result)
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
