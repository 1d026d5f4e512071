//! The way ahead: what one entry maps, in the user half, with all tables there.

use super::Table;
use crate::format::bit;
use crate::{Format, Frame, Level, PAGE_SHIFT, PAGE_SIZE, PageRange, Window};

/// A range that is a page of some size in the user half.
#[derive(Clone, Copy)]
pub(super) struct One {
    /// The number of its first 4 KiB page.
    pub page: u64,
    /// The level of the entry that covers it and nothing else.
    pub level: Level,
}

impl One {
    /// `range` as one page of the size that `level` maps, if it is one. Nothing is wrong with such a range: the user half
    /// has neither a hole nor the self-map.
    ///
    /// Whoever asks names the level by a literal: with it, the whole way down is a straight line.
    #[inline(always)]
    pub fn of<F: Format>(range: PageRange, level: Level) -> Option<Self> {
        let va = range.start.0;
        let fits = level <= F::INFO.top_leaf
            && range.pages == F::INFO.pages(level)
            && va < F::INFO.user_end()
            && va & (F::INFO.pages(level) * PAGE_SIZE - 1) == 0;
        fits.then_some(Self { page: va >> PAGE_SHIFT, level })
    }

    /// The table and the index of the entry, if tables lead to it. `each` is shown every entry on the way.
    #[inline(always)]
    pub fn entry<F: Format>(
        self,
        window: &Window,
        root: Frame,
        mut each: impl FnMut(Table<F>, usize, u64),
    ) -> Option<(Table<F>, usize)> {
        let mut table = Table::<F> { entries: window.frame_from(root.start().0)?.cast(), level: F::INFO.levels };
        for level in (self.level + 1..=F::INFO.levels).rev() {
            let index = self.index::<F>(level);
            let raw = table.raw(index);
            let below = window.frame_from(table_address::<F>(raw, level))?.cast();
            each(table, index, raw);
            table = Table { entries: below, level: level - 1 };
        }
        Some((table, self.index::<F>(self.level)))
    }

    #[inline(always)]
    fn index<F: Format>(self, level: Level) -> usize {
        (self.page >> F::INFO.pages(level).trailing_zeros()) as usize & (F::INFO.entries(level) - 1)
    }
}

/// The address of the table that the entry `raw` at `level` names. If it names none, because it is absent or a leaf, some
/// bit below a frame's number is set.
#[inline(always)]
pub(super) fn table_address<F: Format>(raw: u64, level: Level) -> u64 {
    let leaf = if level <= F::INFO.top_leaf { bit::PAGE_SIZE } else { 0 };
    (raw & (F::ADDRESS | bit::PRESENT | leaf)) ^ bit::PRESENT
}
