//! The one page-table walker, generic in the format and in nothing else.
//!
//! A range is a run of page numbers, counted without the canonical hole, so that no sum can overflow and the
//! halves need no special case. Each operation goes down the tree by [`Part`]s: the piece of the range that one
//! entry covers. At level 1 there are no parts, only a loop over entries.
//!
//! A change comes in two passes. The first (`survey`) looks and counts: it finds every reason to refuse and
//! every table that will be needed. Then the tables are taken, all of them or none. The second pass changes the
//! tree and cannot fail.
//!
//! Most calls by far are about one page, to which all tables lead already. For those there is a way ahead of the general
//! one ([`One`]), which does nothing but its work: whatever is out of the ordinary it leaves to the general way, which
//! begins anew. So it needs no registers for what comes later, and that is half of its speed. The other half is that the
//! tables to which the last calls came are remembered ([`Hints`]).
//!
//! To look before every change would cost as much as the change. So a table of level 1 that is filled as a whole is
//! marked in the entry that names it (`bit::FULL`), until one of its pages is unmapped, and who wants to know whether all
//! pages are there need not look into it.

mod change;
mod cursor;
mod entries;
mod hint;
mod map;
mod one;
mod read;
mod reshape;
mod root;
mod share;
mod unmap;
mod verdict;

pub use cursor::{Place, Steps};
pub use entries::RawEntry;

pub(crate) use change::protect;
pub(crate) use entries::entries;
pub(crate) use hint::Hints;
pub(crate) use map::{map, map_list};
pub(crate) use read::{depth, look, path, query, translate, visit};
pub(crate) use reshape::{merge, split, trim};
pub(crate) use root::{free, free_tree, new_root};
pub(crate) use share::share;
pub(crate) use unmap::unmap;
pub(crate) use verdict::verdict;

use one::{By, One};

use crate::format::bit;
use crate::{Entry, Format, Frame, Level, PAGE_SIZE, PageRange, Pte, Rights, Window};

/// Pages by number: `first .. end`.
#[derive(Clone, Copy)]
struct Pages {
    first: u64,
    end: u64,
}

impl Pages {
    /// The pages of a range that [`PagingInfo::check`](crate::PagingInfo::check) found nothing wrong with.
    fn of<F: Format>(range: PageRange) -> Self {
        let first = F::INFO.page_number(range.start);
        Self { first, end: first + range.pages }
    }

    const fn count(self) -> u64 {
        self.end - self.first
    }

    /// The indices of the entries of a table of level 1.
    #[inline]
    fn indices<F: Format>(self) -> core::ops::Range<usize> {
        let first = self.first as usize & (F::INFO.entries(1) - 1);
        first..first + self.count() as usize
    }

    /// The pieces that the entries of a table at `level` cover.
    #[inline]
    fn parts<F: Format>(self, level: Level) -> impl Iterator<Item = Part> {
        let span = F::INFO.pages(level);
        let mut first = self.first;
        core::iter::from_fn(move || {
            if first >= self.end {
                return None;
            }
            let next = ((first | (span - 1)) + 1).min(self.end);
            let pages = Pages { first, end: next };
            first = next;
            let index = (pages.first >> span.trailing_zeros()) as usize & (F::INFO.entries(level) - 1);
            Some(Part { index, pages, whole: pages.count() == span })
        })
    }
}

/// What one entry has to do with a range.
#[derive(Clone, Copy)]
struct Part {
    /// The entry's index in its table.
    index: usize,
    /// The pages of the range that it covers.
    pages: Pages,
    /// Whether these are all that it covers.
    whole: bool,
}

/// A table in the window.
struct Table<F: Format> {
    entries: *mut F::Entry,
    level: Level,
}

impl<F: Format> Clone for Table<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F: Format> Copy for Table<F> {}

impl<F: Format> Table<F> {
    #[inline]
    fn at(window: &Window, frame: Frame, level: Level) -> Self {
        Self { entries: window.at(frame).cast(), level }
    }

    fn root(window: &Window, frame: Frame) -> Self {
        Self::at(window, frame, F::INFO.levels)
    }

    /// The table of the next level in `frame`.
    #[inline]
    fn below(self, window: &Window, frame: Frame) -> Self {
        Self::at(window, frame, self.level - 1)
    }

    fn slot(self, index: usize) -> *mut F::Entry {
        debug_assert!(index < F::INFO.entries(self.level));
        self.entries.wrapping_add(index)
    }

    #[inline]
    fn raw(self, index: usize) -> u64 {
        // SAFETY: `at` checked that the frame is shown by the window, and every index is taken modulo the
        // entries of a table, so the slot is an aligned entry of that frame.
        unsafe { F::Entry::load(self.slot(index)) }
    }

    /// Reads an entry of many: the compiler may read several at once. Of A and D, which a CPU may set meanwhile, nothing
    /// must depend.
    #[inline]
    fn peek(self, index: usize) -> u64 {
        // SAFETY: as in `raw`; whoever changes an entry has the tree alone, or has claimed all that the entry covers,
        // so no other code does, and a CPU changes nothing but A and D.
        unsafe { F::Entry::peek(self.slot(index)) }
    }

    fn get(self, index: usize) -> Pte {
        F::decode(self.raw(index), self.level)
    }

    #[inline]
    fn store(self, index: usize, raw: u64) {
        // SAFETY: as in `raw` and `peek`: no other code changes the entry meanwhile.
        unsafe { F::Entry::store(self.slot(index), raw) }
    }

    /// Stores an entry that keeps the marks of the old one: those that were read and are in `raw`, and those that a CPU has set since.
    #[inline]
    fn replace(self, index: usize, raw: u64) {
        // SAFETY: as in `store`.
        let late = unsafe { F::Entry::exchange(self.slot(index), raw) } & !raw;
        if late != 0 {
            self.mark(index, late);
        }
    }

    /// Sets marks in an entry.
    #[cold]
    fn mark(self, index: usize, marks: u64) {
        // SAFETY: as in `store`.
        unsafe { F::Entry::mark(self.slot(index), marks) }
    }

    /// Stores into a table that no CPU can reach yet.
    #[inline]
    fn prepare(self, index: usize, raw: u64) {
        // SAFETY: as in `raw`; the frame was taken from the allocator and not linked yet.
        unsafe { F::Entry::prepare(self.slot(index), raw) }
    }

    /// Makes every entry of a table absent that no CPU can reach yet.
    fn clear(self) {
        // SAFETY: as in `prepare`; a table fills its frame.
        unsafe { self.entries.cast::<u8>().write_bytes(0, PAGE_SIZE as usize) }
    }

    fn set(self, index: usize, pte: Pte) {
        self.store(index, F::encode(pte, self.level));
    }

    /// Names a table in the entry for `page`: all that is in it can be seen from now on. `full` says that every page
    /// below is mapped.
    fn link(self, index: usize, table: Frame, page: u64, full: bool) {
        self.store(index, self.name_of(table, page, full));
    }

    /// The entry that names a table.
    fn name_of(self, table: Frame, page: u64, full: bool) -> u64 {
        let mark = if full && self.level == 2 { bit::FULL } else { 0 };
        F::encode(Pte::Table(table, table_rights::<F>(page)), self.level) | mark
    }
}

/// What a table entry lets through for these pages: everything, but nobody's business in ring 3 for the
/// kernel half. The leaves decide.
fn table_rights<F: Format>(page: u64) -> Rights {
    if in_kernel_half::<F>(page) { Rights::WRITE | Rights::EXEC } else { Rights::WRITE | Rights::EXEC | Rights::USER }
}

fn in_kernel_half<F: Format>(page: u64) -> bool {
    page >= F::INFO.page_number(F::INFO.kernel_half())
}
