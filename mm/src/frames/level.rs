//! One level of a zone: its groups, and hints that lead to free blocks.
//!
//! A hint is a bit for a group and a class: "this group has had a free block of exactly this class". It is set when such a block
//! comes about and struck when a search finds none any more. So the hints name every group that has such a block, and a few that
//! no longer have: a free sets one bit, whatever the group was before, and no state of groups has to be kept up to date.
//!
//! Row `r` of the hints stands for the groups `64 * r .. 64 * r + 64`, with a word for each class, in one cache line. Above the
//! rows lie summary rows of the same shape: a bit there stands for a word below it that is not 0. The topmost is one row, so
//! that the lowest group that is hinted for a class is found by one find-first-set a tier. A level of one group has no rows: the
//! zone's bit for the order is its hint.

use super::group::{CLASSES, Group, SHIFT};
use super::word::{Cell64, Word, Words};

/// Words in a row: one for each class, one for the kinds of the groups (fixed or movable), one that is not used.
pub(super) const ROW_WORDS: usize = 8;

/// Where the kinds stand in a row of the lowest tier of level 0: a bit for each group of fixed frames.
pub(super) const KINDS: usize = 6;

/// Tiers of rows that suffice for 2^34 groups, which are all frames of 52-bit physical addresses.
const MAX_TIERS: usize = 6;

/// One level of a zone: where its words are. They themselves are in the metadata.
#[derive(Clone, Copy, Default)]
pub(super) struct Level {
    /// Where the groups begin, in pairs of words.
    pub units: usize,
    /// How many groups there are.
    groups: usize,
    depth: usize,
    /// The first row of each tier, from the one over the groups themselves upwards.
    tiers: [usize; MAX_TIERS],
}

/// A row of hints.
#[inline(always)]
fn row(meta: Words, at: usize) -> &'static [Word; ROW_WORDS] {
    &meta.as_chunks().0[at]
}

impl Level {
    /// A level of `groups` groups, with its rows from the word `start` on, a multiple of 8. Returns the word after the last too.
    ///
    /// The casts lose bits only of metadata that could not be addressed, which `Frames::new` refuses.
    pub fn plan(groups: u64, start: u64) -> (Self, u64) {
        let mut level = Self { groups: groups as usize, ..Self::default() };
        let mut at = start / ROW_WORDS as u64;
        let mut entries = groups;
        while entries > 1 && level.depth < MAX_TIERS {
            entries = entries.div_ceil(64);
            level.tiers[level.depth] = at as usize;
            level.depth += 1;
            at += entries;
        }
        (level, at * ROW_WORDS as u64)
    }

    /// Puts the groups at the word `start`, an even number. Returns the word after the last.
    pub fn plan_units(&mut self, start: u64) -> u64 {
        self.units = (start / 2) as usize;
        start + 2 * self.groups as u64
    }

    /// The first row over the groups, if there is one.
    pub fn first_row(&self) -> Option<usize> {
        (self.depth > 0).then_some(self.tiers[0])
    }

    /// A group, by its number.
    #[inline(always)]
    pub fn group(&self, meta: Words, group: usize) -> Group {
        Group::read(&meta.as_chunks().0[self.units + group])
    }

    /// Changes a group.
    #[inline(always)]
    pub fn set_group(&self, meta: Words, group: usize, to: Group) {
        to.write(&meta.as_chunks().0[self.units + group]);
    }

    /// Sets the hint of `group` for `class`. Returns whether the class had none on this level.
    #[inline(always)]
    pub fn hint(&self, meta: Words, class: u32, group: usize) -> bool {
        if self.depth == 0 {
            return true;
        }
        let word = &row(meta, self.tiers[0] + (group >> SHIFT))[class as usize % ROW_WORDS];
        let old = word.get();
        word.set(old | 1 << (group % 64));
        old == 0 && self.hint_above(meta, class, group >> SHIFT)
    }

    #[inline(never)]
    fn hint_above(&self, meta: Words, class: u32, mut at: usize) -> bool {
        for tier in &self.tiers[1..self.depth] {
            let word = &row(meta, tier + (at >> SHIFT))[class as usize % ROW_WORDS];
            let old = word.get();
            word.set(old | 1 << (at % 64));
            if old != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        true
    }

    /// Strikes the hint of `group` for `class`. Returns whether the class has none on this level any more.
    #[inline(always)]
    pub fn strike(&self, meta: Words, class: u32, group: usize) -> bool {
        if self.depth == 0 {
            return true;
        }
        let word = &row(meta, self.tiers[0] + (group >> SHIFT))[class as usize % ROW_WORDS];
        let old = word.get();
        let new = old & !(1 << (group % 64));
        word.set(new);
        new == 0 && old != 0 && self.strike_above(meta, class, group >> SHIFT)
    }

    #[inline(never)]
    fn strike_above(&self, meta: Words, class: u32, mut at: usize) -> bool {
        for tier in &self.tiers[1..self.depth] {
            let word = &row(meta, tier + (at >> SHIFT))[class as usize % ROW_WORDS];
            let new = word.get() & !(1 << (at % 64));
            word.set(new);
            if new != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        true
    }

    /// Strikes the hints of `groups` of a row for classes below `end`. Returns a bit for each class that has none any more.
    #[inline(always)]
    pub fn strike_all(&self, meta: Words, end: u32, at: usize, groups: u64) -> u32 {
        if self.depth == 0 {
            return (1 << end) - 1;
        }
        let row = row(meta, self.tiers[0] + at);
        let mut alone = 0;
        for class in 0..CLASSES {
            let old = row[class as usize].get();
            let new = if class < end { old & !groups } else { old };
            row[class as usize].set(new);
            alone |= u32::from(new == 0 && old != 0) << class;
        }
        if alone == 0 { 0 } else { self.strike_all_above(meta, alone, at) }
    }

    #[inline(never)]
    fn strike_all_above(&self, meta: Words, mut alone: u32, at: usize) -> u32 {
        let mut emptied = 0;
        while alone != 0 {
            let class = alone.trailing_zeros();
            alone &= alone - 1;
            emptied |= u32::from(self.strike_above(meta, class, at)) << class;
        }
        emptied
    }

    /// The lowest row with a hint for `class`, and the groups that are hinted there. There must be one.
    #[inline(always)]
    pub fn lowest(&self, meta: Words, class: u32) -> (usize, u64) {
        let Some((first, above)) = self.tiers[..self.depth].split_first() else { return (0, 1) };
        let word = |at| row(meta, at)[class as usize % ROW_WORDS].get();
        let at = above.iter().rev().fold(0, |at, tier| at << SHIFT | (word(tier + at).trailing_zeros() as usize & 63));
        (at, word(first + at))
    }

    /// The same for any class below `end`.
    #[inline(always)]
    pub fn lowest_of(&self, meta: Words, end: u32) -> (usize, u64) {
        let Some((first, above)) = self.tiers[..self.depth].split_first() else { return (0, 1) };
        let any = |at| {
            let row = row(meta, at);
            (0..CLASSES).fold(0, |any, class| any | if class < end { row[class as usize].get() } else { 0 })
        };
        let at = above.iter().rev().fold(0, |at, tier| at << SHIFT | (any(tier + at).trailing_zeros() as usize & 63));
        (at, any(first + at))
    }

    /// Of `groups` of a row those whose kind is `fixed` or not.
    #[inline(always)]
    pub fn of_kind(&self, meta: Words, at: usize, groups: u64, fixed: bool) -> u64 {
        if self.depth == 0 {
            0
        } else {
            groups & (row(meta, self.tiers[0] + at)[KINDS].get() ^ if fixed { 0 } else { !0 })
        }
    }

    /// Notes the kind of `groups` of a row.
    #[inline(always)]
    pub fn set_kind(&self, meta: Words, at: usize, groups: u64, fixed: bool) {
        if self.depth > 0 {
            let word = &row(meta, self.tiers[0] + at)[KINDS];
            let old = word.get();
            let new = if fixed { old | groups } else { old & !groups };
            if new != old {
                word.set(new);
            }
        }
    }
}

const _: () = assert!(CLASSES as usize <= KINDS && KINDS < ROW_WORDS);
