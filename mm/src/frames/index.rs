//! Which group has what: bitmaps over the groups of one level, with summaries over them.
//!
//! Row `r` describes the groups `64 * r .. 64 * r + 64` by eight words, one cache line: a word for each class says
//! which of them have a free block of that class or larger, and two more say which exist at all and which have holes.
//! Above the rows lie summary rows of the same shape: a bit there stands for a word below it that is not 0. The
//! topmost is one row, the root, so that the lowest group with a block is found by one find-first-set a tier.

use super::group::SHIFT;

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

    /// The lowest group that has a free block of `class` or larger. There must be one.
    #[inline]
    pub fn lowest(&self, meta: &[u64], class: u32) -> usize {
        let mut at = self.root[class as usize].trailing_zeros() as usize;
        for &tier in self.tiers[..self.depth].iter().rev() {
            let word = meta[tier + at * ROW_WORDS + class as usize];
            at = at << SHIFT | word.trailing_zeros() as usize;
        }
        at
    }

    /// Notes that `group` has a free block of `class`. Whether it is the only one.
    #[inline]
    pub fn insert(&mut self, meta: &mut [u64], class: u32, group: usize) -> bool {
        let mut at = group;
        for &tier in &self.tiers[..self.depth] {
            let word = &mut meta[tier + (at >> SHIFT) * ROW_WORDS + class as usize];
            let before = *word;
            *word = before | 1 << (at % 64);
            if before != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        let before = self.root[class as usize];
        self.root[class as usize] = before | 1 << (at % 64);
        before == 0
    }

    /// Notes that `group` no longer has a free block of `class`. Whether it was the only one.
    #[inline]
    pub fn remove(&mut self, meta: &mut [u64], class: u32, group: usize) -> bool {
        let mut at = group;
        for &tier in &self.tiers[..self.depth] {
            let word = &mut meta[tier + (at >> SHIFT) * ROW_WORDS + class as usize];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        self.root[class as usize] &= !(1 << (at % 64));
        self.root[class as usize] == 0
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
    fn set(&mut self, meta: &mut [u64], word: usize, group: usize, on: bool) {
        let row = group >> SHIFT;
        let word =
            if self.depth == 0 { &mut self.root[word] } else { &mut meta[self.tiers[0] + row * ROW_WORDS + word] };
        let bit = 1 << (group % 64);
        *word = if on { *word | bit } else { *word & !bit };
    }
}
