//! The way ahead: what one entry maps, in the user half, with all tables there.

use super::Table;
use crate::format::bit;
use crate::{Format, Frame, Level, Memory, PAGE_SHIFT, PAGE_SIZE, PageRange, Window};

/// How the table of level 2 is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// It is known where it lies, or else it is not found. A function that does no more needs no registers for what comes
    /// after a walk.
    Hint,
    /// From the root down. It is noted for the next time.
    Walk,
}

/// A range that is a page of some size in the user half.
#[derive(Clone, Copy)]
pub(super) struct One {
    /// Its first address.
    va: u64,
    /// The level of the entry that covers it and nothing else.
    pub level: Level,
}

impl One {
    /// `range` as one page of the size that `level` maps, if it has as many pages. What else there is to say of its address,
    /// [`entry`](Self::entry) says.
    ///
    /// Whoever asks names the level by a literal: with it, the whole way down is a straight line.
    #[inline(always)]
    pub fn of<F: Format>(range: PageRange, level: Level) -> Option<Self> {
        let fits = level <= F::INFO.top_leaf && range.pages == F::INFO.pages(level);
        fits.then_some(Self { va: range.start.0, level })
    }

    /// The table and the index of the entry, if tables lead to it and it covers a page of the user half. Nothing is wrong
    /// with such a page: that half has neither a hole nor the self-map. `clear` says that the page is to be unmapped: a
    /// table that was full is so no more.
    #[inline(always)]
    pub fn entry<F: Format>(self, memory: &Memory, root: Frame, by: By, clear: bool) -> Option<(Table<F>, usize)> {
        if self.level == 3 {
            return self.top_entry(memory, root, by);
        }
        if self.level == 2 && by == By::Hint {
            return memory.hints.large(root, self.va);
        }
        let (directory, page) = match by {
            By::Hint if F::INFO.levels > 2 => memory.hints.directory(root, self.va)?,
            By::Hint => return None,
            By::Walk => {
                let directory = find_directory(memory, root, self.in_user::<F>()?)?;
                (directory, (self.va >> PAGE_SHIFT) as usize & (F::INFO.entries(2) * F::INFO.entries(1) - 1))
            }
        };
        let (above, below) = (page / F::INFO.entries(1), page % F::INFO.entries(1));
        if self.level == 2 {
            // `in_user` has checked that the address is a multiple of the page's size.
            return Some((directory, above));
        }
        let raw = directory.peek(above);
        let table = step(&memory.window, directory, raw)?;
        if clear && raw & bit::FULL != 0 {
            // All its pages are there, so this one will go.
            directory.store(above, directory.raw(above) & !bit::FULL);
        }
        memory.hints.note_leaf(root, self.va, table, !clear && raw & bit::FULL != 0);
        Some((table, below))
    }

    /// Where the way to a 4 KiB page of the user half ends, if that is above level 1: the table and the index of the first
    /// entry that names no table.
    #[inline(always)]
    pub fn end<F: Format>(self, window: &Window, root: Frame) -> Option<(Table<F>, usize)> {
        let va = self.in_user::<F>()?;
        let mut table = Table::<F> { entries: window.frame_from(root.start().0)?.cast(), level: F::INFO.levels };
        while table.level > 1 {
            let index = index::<F>(va, table.level);
            match step(window, table, table.peek(index)) {
                Some(next) => table = next,
                None => return Some((table, index)),
            }
        }
        None
    }

    /// [`entry`](Self::entry) for a page of 1 GiB.
    #[inline(always)]
    fn top_entry<F: Format>(self, memory: &Memory, root: Frame, by: By) -> Option<(Table<F>, usize)> {
        if by == By::Hint {
            return memory.hints.top(root, self.va);
        }
        let table = down(&memory.window, root, self.in_user::<F>()?, 3)?;
        memory.hints.note_top(root, self.va, table);
        Some((table, index::<F>(self.va, 3)))
    }

    /// Its address, if it is that of such a page in the user half.
    #[inline(always)]
    fn in_user<F: Format>(self) -> Option<u64> {
        let fits = self.va < F::INFO.user_end() && self.va & (F::INFO.pages(self.level) * PAGE_SIZE - 1) == 0;
        fits.then_some(self.va)
    }
}

/// The table of level 2 on the way to `va` in the user half, if there is one.
#[inline(always)]
pub(super) fn find_directory<F: Format>(memory: &Memory, root: Frame, va: u64) -> Option<Table<F>> {
    let table = down(&memory.window, root, va, 2)?;
    if F::INFO.levels > 2 {
        memory.hints.note_directory(root, va, table);
    }
    Some(table)
}

/// The table of `level` on the way from the root to `va`, if there is one.
#[inline(always)]
fn down<F: Format>(window: &Window, root: Frame, va: u64, level: Level) -> Option<Table<F>> {
    let mut table = Table::<F> { entries: window.frame_from(root.start().0)?.cast(), level: F::INFO.levels };
    for above in (level + 1..=F::INFO.levels).rev() {
        table = step(window, table, table.peek(index::<F>(va, above)))?;
    }
    Some(table)
}

/// The table that the entry `raw` of `table` names, if it names one that the window shows.
#[inline(always)]
pub(super) fn step<F: Format>(window: &Window, table: Table<F>, raw: u64) -> Option<Table<F>> {
    let below = window.frame_from(table_address::<F>(raw, table.level))?;
    Some(Table { entries: below.cast(), level: table.level - 1 })
}

/// The index of the entry for `va` in its table at `level`.
#[inline(always)]
pub(super) fn index<F: Format>(va: u64, level: Level) -> usize {
    (va >> F::INFO.shift(level)) as usize & (F::INFO.entries(level) - 1)
}

/// The address of the table that the entry `raw` at `level` names. If it names none, because it is absent or a leaf, some
/// bit below a frame's number is set.
#[inline(always)]
pub(super) fn table_address<F: Format>(raw: u64, level: Level) -> u64 {
    let leaf = if level <= F::INFO.top_leaf { bit::PAGE_SIZE } else { 0 };
    (raw & (F::ADDRESS | bit::PRESENT | leaf)) ^ bit::PRESENT
}
