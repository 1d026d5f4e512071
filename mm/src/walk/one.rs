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
    /// `range` as one page, if it is one. Nothing is wrong with such a range: the user half has neither a hole nor the
    /// self-map.
    #[inline(always)]
    pub fn of<F: Format>(range: PageRange) -> Option<Self> {
        let level = (1..=F::INFO.top_leaf).find(|level| F::INFO.pages(*level) == range.pages)?;
        let va = range.start.0;
        let fits = va < F::INFO.user_end() && va & (F::INFO.pages(level) * PAGE_SIZE - 1) == 0;
        fits.then_some(Self { page: va >> PAGE_SHIFT, level })
    }

    /// The table and the index of the entry, if tables lead to it, each by an entry that has none of the bits `without`.
    #[inline(always)]
    pub fn entry<F: Format>(self, window: &Window, root: Frame, without: u64) -> Option<(Table<F>, usize)> {
        let mut table = Table::<F>::root(window, root);
        for level in (1..=F::INFO.levels).rev() {
            let index = (self.page >> F::INFO.pages(level).trailing_zeros()) as usize & (F::INFO.entries(level) - 1);
            if level == self.level {
                return Some((table, index));
            }
            let raw = table.raw(index);
            let leaf = if level <= F::INFO.top_leaf { bit::PAGE_SIZE } else { 0 };
            if raw & (bit::PRESENT | leaf | without) != bit::PRESENT {
                return None;
            }
            table = table.below(window, Frame((raw & F::ADDRESS) >> PAGE_SHIFT));
        }
        None
    }
}
