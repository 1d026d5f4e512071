//! What a change leaves behind in the CPU's caches, and the duty to flush it.

use crate::{Chain, Frame, Memory, PAGE_SIZE, PageRange, VirtAddr};

/// The part of a CPU that remembers translations. `arch` implements it with `invlpg` and CR3; the tests
/// implement it with a TLB that remembers everything it may.
pub trait Mmu: Sync {
    /// Drops every translation of the 4 KiB page at `va`, global ones included, and all paging-structure
    /// caches of the current address space (INVLPG; SDM vol. 3A, 4.10.4.1).
    fn flush_page(&self, va: VirtAddr);

    /// Drops all translations that are not global, and all paging-structure caches of the current address
    /// space (a load of CR3).
    fn flush_local(&self);

    /// Drops everything, global translations too (CR4.PGE turned off and on).
    fn flush_all(&self);
}

/// Beyond this many pages one full flush is cheaper than a flush a page: INVLPG costs about 100 ns.
const FLUSH_ALL_BEYOND: u64 = 33;

/// Translations that a change has made stale, and tables that it has taken out of the tree.
///
/// The CPU may go on using both until they are flushed, so the tables are given back only afterwards. A
/// change from absent to present leaves nothing behind: x86 caches no absent entry (SDM vol. 3A, 4.10.2.3).
#[must_use = "the CPU goes on using the old translations until they are flushed"]
pub struct Stale {
    range: PageRange,
    /// The smallest page that was changed, in 4 KiB pages: one INVLPG drops a page of any size.
    stride: u64,
    global: bool,
    tables: Chain,
}

impl Stale {
    pub(crate) const fn new(range: PageRange) -> Self {
        Self { range, stride: u64::MAX, global: false, tables: Chain::new() }
    }

    /// Notes that a leaf of `pages` 4 KiB pages was changed.
    #[inline]
    pub(crate) fn note(&mut self, pages: u64, global: bool) {
        self.stride = if pages < self.stride { pages } else { self.stride };
        self.global |= global;
    }

    /// Takes a table that has just been unlinked.
    pub(crate) fn hold(&mut self, memory: &Memory, table: Frame) {
        self.tables.push(memory, table);
    }

    /// The pages whose translations may be stale.
    pub const fn range(&self) -> PageRange {
        self.range
    }

    /// Whether a global translation is among them: a load of CR3 does not drop those.
    pub const fn has_global(&self) -> bool {
        self.global
    }

    /// How many page tables wait to be given back.
    pub const fn tables_held(&self) -> u64 {
        self.tables.len()
    }

    /// Flushes what is stale on this CPU and then gives the tables back to `memory`.
    pub fn flush(self, memory: &mut Memory, mmu: &dyn Mmu) {
        let stride = self.stride.min(self.range.pages).max(1);
        let flushes = self.range.pages.div_ceil(stride);
        if flushes <= FLUSH_ALL_BEYOND {
            for n in 0..flushes {
                mmu.flush_page(self.range.start.offset(n * stride * PAGE_SIZE));
            }
        } else if self.global {
            mmu.flush_all();
        } else {
            mmu.flush_local();
        }
        self.tables.give_back(memory);
    }

    /// Gives the tables back without a flush.
    ///
    /// # Safety
    /// No CPU has walked the tables since they were last flushed as a whole: the root was never loaded
    /// into CR3, or is loaded no more and its address space has been flushed.
    pub unsafe fn forget(self, memory: &mut Memory) {
        self.tables.give_back(memory);
    }
}
