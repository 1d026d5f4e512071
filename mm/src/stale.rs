//! What a change leaves behind in the CPU's caches, and the duty to flush it.

use crate::trees::Trees;
use crate::{Flush, Format, Frame, Level, Memory, PAGE_SIZE, PageRange, PagingInfo, VirtAddr, walk};

/// The part of the CPUs that remembers translations: of all of them that may have used the tables. `arch` implements it with
/// `invlpg`, CR3 and interrupts to the other CPUs; the tests implement it with TLBs that remember everything they may.
pub trait Mmu: Sync {
    /// Drops what `flush` names, on all CPUs before it returns, but for those that [may wait](Flush::may_wait).
    fn flush(&self, flush: &Flush) {
        match flush.pages() {
            Some(pages) => pages.iter().for_each(|page| self.flush_page(*page)),
            None if flush.has_global() => self.flush_all(),
            None => self.flush_local(),
        }
    }

    /// Drops every translation of the 4 KiB page at `va`, global ones included, and all paging-structure
    /// caches of the current address space (INVLPG; SDM vol. 3A, 4.10.4.1).
    fn flush_page(&self, va: VirtAddr);

    /// Drops all translations that are not global, and all paging-structure caches of the current address
    /// space (a load of CR3).
    fn flush_local(&self);

    /// Drops everything, global translations too (CR4.PGE turned off and on).
    fn flush_all(&self);
}

/// Translations that a change has made stale, and tables that it has taken out of the tree.
///
/// The CPU may go on using both until they are flushed, so the tables are given back only afterwards. A
/// change from absent to present leaves nothing behind: x86 caches no absent entry (SDM vol. 3A, 4.10.2.3).
///
/// An entry above level 1 is translated in the self-map too, where it stands for a page: what was seen there
/// of the table, or of the large page, that it named is stale as well.
#[must_use = "the CPU goes on using the old translations until they are flushed"]
pub struct Stale {
    format: &'static StaleFormat,
    range: PageRange,
    /// The smallest piece of the range that one changed entry covers, in 4 KiB pages: one INVLPG drops a page
    /// of any size. Smaller than it is does no harm.
    stride: u32,
    /// The highest level at which an entry was changed.
    level: Level,
    global: bool,
    /// Tables that no entry names any more, with all below them.
    trees: Trees,
}

/// What a token has to know of the format long after the walk is over.
struct StaleFormat {
    info: PagingInfo,
    give_back: fn(&mut Memory, Frame, Level),
}

impl Stale {
    #[inline]
    pub(crate) fn new<F: Format>(range: PageRange) -> Self {
        let format = const { &StaleFormat { info: F::INFO, give_back: walk::free_tree::<F> } };
        Self { format, range, stride: u32::MAX, level: 1, global: false, trees: Trees::new() }
    }

    /// The token of a change of `range`, which is the page that one entry at `level` maps.
    #[inline(always)]
    pub(crate) fn of_one<F: Format>(range: PageRange, level: Level, global: bool) -> Self {
        Self { stride: F::INFO.pages(level) as u32, level, global, ..Self::new::<F>(range) }
    }

    /// Notes that an entry at `level`, to which `pages` of the range belong, was changed.
    #[inline]
    pub(crate) fn note(&mut self, level: Level, pages: u64, global: bool) {
        self.stride = if pages < self.stride.into() { pages as u32 } else { self.stride };
        self.global |= global;
        self.note_level(level);
    }

    /// Notes that an entry at `level` names something else now.
    #[inline]
    pub(crate) fn note_level(&mut self, level: Level) {
        self.level = if level > self.level { level } else { self.level };
    }

    /// Takes a table of `level` that has just been unlinked, with all below it, `tables` tables in all. The CPU may use
    /// any page of it still, and what the self-map shows of it.
    pub(crate) fn hold(&mut self, memory: &Memory, table: Frame, level: Level, tables: u64) {
        self.note_level(level + 1);
        self.trees.push(memory, table, level, tables, false);
    }

    /// Takes a table of `level` in whose place a large page has just been put.
    pub(crate) fn hold_merged(&mut self, memory: &Memory, table: Frame, level: Level) {
        self.note_level(level + 1);
        self.trees.push(memory, table, level, 1, true);
    }

    /// Takes over what `other`, the token of a change of one page within this one's range, has to say.
    #[cold]
    pub(crate) fn join(&mut self, other: Self) {
        debug_assert!(other.tables_held() == 0, "no table maps one page and nothing else");
        self.stride = self.stride.min(other.stride);
        self.level = self.level.max(other.level);
        self.global |= other.global;
    }

    /// Says that what is stale lies in `range`, which is part of the token's.
    pub(crate) const fn narrow(&mut self, range: PageRange) {
        self.range = range;
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
        self.trees.tables()
    }

    /// Flushes what is stale, on every CPU, and then gives the tables back to `memory`.
    pub fn flush(self, memory: &mut Memory, mmu: &dyn Mmu) {
        let mut flush = Flush::none();
        self.name(&mut flush);
        mmu.flush(&flush);
        self.give_back(memory);
    }

    /// Adds what is stale to `flush`, page by page where there are few. It is too large to be handed back.
    fn name(&self, flush: &mut Flush) {
        // A piece has a power of two of pages, so nothing need be divided, which takes long on a CPU of 32 bits.
        let shift = self.stride.trailing_zeros();
        let (stride, places) = match u64::from(self.stride) < self.range.pages {
            true => (1 << shift, (self.range.pages + (1 << shift) - 1) >> shift),
            false => (0, self.range.pages.min(1)),
        };
        // For each place: the page, and what the self-map shows of it at every level below the highest changed.
        if places.saturating_mul(self.level.into()) <= Flush::MOST_PAGES as u64 {
            for n in 0..places {
                let va = self.range.start.offset(n * stride * PAGE_SIZE);
                flush.add(va);
                (1..self.level).for_each(|level| flush.add(self.format.info.entry_address(va, level)));
            }
        } else {
            flush.add_all(self.global);
        }
        // Who idles in the kernel touches no page of a program.
        if self.range.start < self.format.info.kernel_half() && self.tables_held() == 0 {
            flush.let_wait();
        }
    }

    /// Gives the tables back without a flush.
    ///
    /// # Safety
    /// No CPU has walked the tables since they were last flushed as a whole: the root was never loaded
    /// into CR3, or is loaded no more and its address space has been flushed.
    #[inline]
    pub unsafe fn forget(self, memory: &mut Memory) {
        self.give_back(memory);
    }

    #[inline]
    fn give_back(self, memory: &mut Memory) {
        if self.tables_held() > 0 {
            self.give_tables_back(memory);
        }
    }

    #[cold]
    fn give_tables_back(mut self, memory: &mut Memory) {
        while let Some((frame, level)) = self.trees.pop(memory) {
            (self.format.give_back)(memory, frame, level);
        }
    }
}
