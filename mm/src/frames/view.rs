//! The check of a free without the lock.
//!
//! A cache has to know whether exactly the block that is given back is allocated. It reads the two words of the block's group, which
//! other CPUs change meanwhile under the lock. Relaxed order is enough:
//!
//! - *What is read of an allocated block does not change.* Its own bits in both words, and that something begins behind it, stay as
//!   they are from the allocation to the free, whatever happens to its neighbours. A CPU that changes a neighbour writes words that
//!   have the same bits there.
//! - *The owner sees them.* The CPU that allocated the block wrote its bits before it let the block go, and the owner
//!   got the block by something that orders memory: the same CPU, a lock, a queue. So a read of the owner returns that write or
//!   a later one (coherence), and later ones have the same bits.
//! - *A neighbour may look torn.* Its change is two stores, or four on a CPU of 32 bits, and between them "something begins behind
//!   the block" may seem not to hold. So a refusal is never final: it is asked again with the lock held, where nothing is torn.
//! - *A wrong free may pass only if it races*: if the block becomes free, or is allocated in the shape that is given back, at
//!   the same time, on another CPU. The lock would not help there, as the order of the two is open. What passes so is
//!   refused when the cache gives the block back, and is counted.
//!
//! `tests/loom.rs` tries these in every order that the memory model allows, with words of two halves.

use super::group::{Group, SHIFT};
use super::level::{KINDS, ROW_WORDS};
use super::shape::shape;
use super::word::{Cell64, Words};
use super::{Frames, lists};

/// Sections that a view knows. Blocks of others go by the lock.
const SPANS: usize = 8;

/// The orders that a view checks are those of two levels.
const LEVELS: usize = 2;

/// A section, and where the groups of its blocks are.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    count: u64,
    /// By level: what is added to a group's place in physical memory for its number among pairs of words.
    units: [usize; LEVELS],
    /// What is added to a group's place for its number among the hints of level 0.
    group: usize,
    /// The first row of hints of level 0.
    rows: usize,
}

/// The zone metadata as one CPU sees it without the lock.
#[derive(Clone, Copy)]
pub(super) struct View {
    words: Words,
    spans: [Span; SPANS],
}

impl View {
    /// Of nothing: no block is in it.
    pub const NONE: Self = Self {
        words: &[],
        spans: [Span { first: 0, count: 0, units: [0; LEVELS], group: 0, rows: usize::MAX / 2 }; SPANS],
    };

    /// Whether it is of nothing.
    pub const fn is_none(&self) -> bool {
        self.words.is_empty()
    }

    #[inline(always)]
    fn span(&self, frame: u64) -> Option<&Span> {
        self.spans.iter().find(|span| frame.wrapping_sub(span.first) < span.count)
    }

    /// Whether exactly the block of `order`, one that caches keep, at `first` is allocated; and whether it lies in a group
    /// for fixed frames. `None` if it is not, or seems not to be because a neighbour changes.
    #[inline(always)]
    pub fn allocated(&self, first: u64, order: u8) -> Option<bool> {
        let span = self.span(first)?;
        let shape = shape(order.into());
        let place = (first >> shape.shift >> SHIFT) as usize;
        let units = self.words.as_chunks().0.get(place.wrapping_add(span.units[usize::from(shape.level) % LEVELS]))?;
        shape.matches(Group::read(units), first).then(|| self.is_fixed(span, first))
    }

    /// Whether the group of single frames around `frame` is for fixed ones.
    #[inline(always)]
    fn is_fixed(&self, span: &Span, frame: u64) -> bool {
        let group = ((frame >> SHIFT) as usize).wrapping_add(span.group);
        let row = self.words.as_chunks::<ROW_WORDS>().0.get(span.rows.wrapping_add(group / 64));
        row.is_some_and(|row| row[KINDS].get() >> (group % 64) & 1 != 0)
    }
}

impl Frames {
    /// Makes what a cache needs to check blocks without the lock. It holds until the metadata is [moved](Self::move_metadata).
    pub(super) fn view(&self) -> View {
        let mut view = View { words: self.meta, ..View::NONE };
        let sections = self.zones[..self.count]
            .iter()
            .flat_map(|zone| (0..zone.sections).rev().map(move |section| (zone, zone.section(self.meta, section))));
        for (span, (zone, section)) in view.spans.iter_mut().zip(sections) {
            let end = section.end.min(lists::END);
            let units = core::array::from_fn(|level| {
                // A zone that is too small for a level has no blocks of it: there are no such words.
                let start = if level > zone.top { usize::MAX / 2 } else { zone.levels[level].units };
                start.wrapping_add(section.offset[level] as usize)
            });
            *span = Span {
                first: section.first,
                count: end.saturating_sub(section.first),
                units,
                group: section.offset[0] as usize,
                rows: zone.levels[0].first_row().unwrap_or(usize::MAX / 2),
            };
        }
        view
    }
}
