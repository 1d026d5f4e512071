//! Which group has what: bitmaps over the groups of one level, with summaries over them.
//!
//! Row `r` describes the groups `64 * r .. 64 * r + 64` by eight words, one cache line: a word for each class says
//! which of them have a block of that class to offer, and two more say which exist at all and which have holes.
//! Above the rows lie summary rows of the same shape: a bit there stands for a word below it that is not 0. The
//! topmost is one row, the root, so that the lowest group with a block is found by one find-first-set a tier.

use super::group::{CLASSES, SHIFT};

/// Words in a row.
pub(super) const ROW_WORDS: usize = 8;

/// The word that says which groups exist. All others have no meaning, whatever their words hold: their unit of the
/// level above is free or allocated as a whole.
const SPLIT: usize = 6;

/// The word that says which groups hold units that were never given.
const HOLES: usize = 7;

/// Tiers of rows below the root that suffice for 2^34 groups, which are all frames of 52-bit physical addresses.
const MAX_TIERS: usize = 5;

/// The bitmaps over the groups of one level. Of all rows but the root it holds the places; they are in the metadata.
#[derive(Clone, Copy, Default)]
pub(super) struct Index {
    root: [u64; ROW_WORDS],
    /// Where the rows of each tier begin, from the one over the groups themselves upwards.
    tiers: [usize; MAX_TIERS],
    depth: usize,
    groups: usize,
}

impl Index {
    /// The index over `groups` groups, with its rows from word `start` on. Returns the word after the last too.
    ///
    /// The casts lose bits only of metadata that could not be addressed, which `Frames::new` refuses.
    pub fn plan(groups: u64, start: u64) -> (Self, u64) {
        let mut index = Self { groups: groups as usize, ..Self::default() };
        let mut at = start;
        let mut entries = groups;
        while entries > 64 && index.depth < MAX_TIERS {
            entries = entries.div_ceil(64);
            index.tiers[index.depth] = at as usize;
            index.depth += 1;
            at += entries * ROW_WORDS as u64;
        }
        (index, at)
    }

    /// The lowest group that offers a block of `class`. There must be one.
    #[inline]
    pub fn lowest(&self, meta: &[u64], class: u32) -> usize {
        let mut at = self.root[class as usize].trailing_zeros() as usize;
        for &tier in self.tiers[..self.depth].iter().rev() {
            let word = meta[tier + at * ROW_WORDS + class as usize];
            at = at << SHIFT | word.trailing_zeros() as usize;
        }
        at
    }

    /// Notes which classes, a set of bits, `group` offers from now on. Whether [`offered`](Self::offered) may differ.
    ///
    /// It writes the six words whether or not they change: which of them do is as good as random, and a branch
    /// foretold wrongly costs more than all the stores.
    #[inline]
    pub fn offer(&mut self, meta: &mut [u64], group: usize, classes: u32) -> bool {
        let bit = group % 64;
        let mut turned = 0;
        let row = self.row_mut(meta, group >> SHIFT);
        for class in 0..CLASSES {
            let before = row[class as usize];
            let after = before & !(1 << bit) | u64::from(classes >> class & 1) << bit;
            row[class as usize] = after;
            turned |= u32::from((before == 0) != (after == 0)) << class;
        }
        if turned != 0 {
            self.carry(meta, group >> SHIFT, turned);
        }
        turned != 0
    }

    /// Tells the tiers above that in `row` the words of the classes `turned` have become 0, or are 0 no longer.
    #[inline(never)]
    fn carry(&mut self, meta: &mut [u64], row: usize, turned: u32) {
        for class in (0..CLASSES as usize).filter(|class| turned >> class & 1 != 0) {
            let mut at = row;
            for tier in 0..self.depth {
                let some = meta[self.tiers[tier] + at * ROW_WORDS + class] != 0;
                let word = match self.tiers[..self.depth].get(tier + 1) {
                    Some(above) => &mut meta[above + (at >> SHIFT) * ROW_WORDS + class],
                    None => &mut self.root[class],
                };
                let before = *word;
                *word = before & !(1 << (at % 64)) | u64::from(some) << (at % 64);
                if (before == 0) == (*word == 0) {
                    break;
                }
                at >>= SHIFT;
            }
        }
    }

    /// The classes that some group offers, as a set of bits.
    pub fn offered(&self) -> u32 {
        (0..CLASSES).map(|class| u32::from(self.root[class as usize] != 0) << class).sum()
    }

    /// Whether `group` exists.
    #[inline]
    pub fn is_split(&self, meta: &[u64], group: usize) -> bool {
        self.row(meta, group >> SHIFT)[SPLIT] >> (group % 64) & 1 != 0
    }

    /// Whether some units of `group`, which exists, were never given.
    #[inline]
    pub fn has_holes(&self, meta: &[u64], group: usize) -> bool {
        self.row(meta, group >> SHIFT)[HOLES] >> (group % 64) & 1 != 0
    }

    /// Notes whether `group` exists.
    #[inline]
    pub fn set_split(&mut self, meta: &mut [u64], group: usize, split: bool) {
        self.set(meta, SPLIT, group, split);
    }

    /// Notes whether some units of `group` were never given.
    pub fn set_holes(&mut self, meta: &mut [u64], group: usize, holes: bool) {
        self.set(meta, HOLES, group, holes);
    }

    /// The groups that exist.
    pub fn existing(&self, meta: &[u64]) -> impl Iterator<Item = usize> {
        (0..self.groups.div_ceil(64)).flat_map(move |row| {
            let word = self.row(meta, row)[SPLIT];
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| row << SHIFT | bit)
        })
    }

    #[inline]
    fn row<'a>(&'a self, meta: &'a [u64], row: usize) -> &'a [u64] {
        if self.depth == 0 { &self.root } else { &meta[self.tiers[0] + row * ROW_WORDS..][..ROW_WORDS] }
    }

    #[inline]
    fn row_mut<'a>(&'a mut self, meta: &'a mut [u64], row: usize) -> &'a mut [u64] {
        if self.depth == 0 { &mut self.root } else { &mut meta[self.tiers[0] + row * ROW_WORDS..][..ROW_WORDS] }
    }

    #[inline]
    fn set(&mut self, meta: &mut [u64], word: usize, group: usize, on: bool) {
        let word = &mut self.row_mut(meta, group >> SHIFT)[word];
        *word = *word & !(1 << (group % 64)) | u64::from(on) << (group % 64);
    }
}
