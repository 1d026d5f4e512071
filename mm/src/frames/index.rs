//! Which group has what: bitmaps over the groups of one level, with summaries over them.
//!
//! Row `r` describes the groups `64 * r .. 64 * r + 64` by eight words, one cache line: a word for each class says
//! which of them have their largest free block in it, and two more say which exist at all and which have holes. Above
//! the rows lie summary rows of the same shape: a bit there stands for a word below it that is not 0. The topmost
//! tier is one row, so that the lowest group of a class is found by one find-first-set a tier.

use super::group::SHIFT;

/// Words in a row.
pub(super) const ROW_WORDS: usize = 8;

/// The word that says which groups exist. All others have no meaning, whatever their words hold: their unit of the
/// level above is free or allocated as a whole.
const SPLIT: usize = 6;

/// The word that says which groups hold units that were never given.
const HOLES: usize = 7;

/// Tiers of rows that suffice for 2^34 groups, which are all frames of a 52-bit physical address space.
pub(super) const MAX_TIERS: usize = 6;

/// The bitmaps over the groups of one level. It holds places in the metadata; the words are there.
#[derive(Clone, Copy, Default)]
pub(super) struct Index {
    /// Where the rows of each tier begin.
    tiers: [usize; MAX_TIERS],
    depth: usize,
}

impl Index {
    /// The index over `groups` groups, with its rows from word `start` on. Returns the word after the last too.
    pub fn plan(groups: u64, start: u64) -> (Self, u64) {
        let mut index = Self::default();
        let mut at = start;
        let mut entries = groups;
        while index.depth < MAX_TIERS {
            let rows = entries.div_ceil(64);
            // The cast loses bits only if the metadata could not be addressed, which `Frames::new` refuses.
            index.tiers[index.depth] = at as usize;
            index.depth += 1;
            at += rows * ROW_WORDS as u64;
            if rows <= 1 {
                break;
            }
            entries = rows;
        }
        (index, at)
    }

    /// The lowest group whose largest free block is of `class`. There must be one.
    #[inline]
    pub fn lowest(&self, meta: &[u64], class: u32) -> usize {
        let mut at = 0;
        for &tier in self.tiers[..self.depth].iter().rev() {
            let word = meta[tier + at * ROW_WORDS + class as usize];
            at = at << SHIFT | word.trailing_zeros() as usize;
        }
        at
    }

    /// Notes that the largest free block of `group` is of `class`. Whether it is the only such group.
    #[inline]
    pub fn insert(&self, meta: &mut [u64], class: u32, group: usize) -> bool {
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
        true
    }

    /// Notes that the largest free block of `group` is no longer of `class`. Whether it was the only such group.
    #[inline]
    pub fn remove(&self, meta: &mut [u64], class: u32, group: usize) -> bool {
        let mut at = group;
        for &tier in &self.tiers[..self.depth] {
            let word = &mut meta[tier + (at >> SHIFT) * ROW_WORDS + class as usize];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        true
    }

    /// Whether `group` exists.
    #[inline]
    pub fn is_split(&self, meta: &[u64], group: usize) -> bool {
        meta[self.row(group) + SPLIT] >> (group % 64) & 1 != 0
    }

    /// Whether some units of `group`, which exists, were never given.
    #[inline]
    pub fn has_holes(&self, meta: &[u64], group: usize) -> bool {
        meta[self.row(group) + HOLES] >> (group % 64) & 1 != 0
    }

    /// Notes whether `group` exists.
    #[inline]
    pub fn set_split(&self, meta: &mut [u64], group: usize, split: bool) {
        set(&mut meta[self.row(group) + SPLIT], group, split);
    }

    /// Notes whether some units of `group` were never given.
    pub fn set_holes(&self, meta: &mut [u64], group: usize, holes: bool) {
        set(&mut meta[self.row(group) + HOLES], group, holes);
    }

    /// The groups that exist.
    pub fn existing(&self, meta: &[u64]) -> impl Iterator<Item = usize> {
        let rows = if self.depth > 1 { (self.tiers[1] - self.tiers[0]) / ROW_WORDS } else { 1 };
        (0..rows).flat_map(move |row| {
            let word = meta[self.tiers[0] + row * ROW_WORDS + SPLIT];
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| row * 64 + bit)
        })
    }

    fn row(&self, group: usize) -> usize {
        self.tiers[0] + (group >> SHIFT) * ROW_WORDS
    }
}

#[inline]
fn set(word: &mut u64, group: usize, on: bool) {
    let bit = 1 << (group % 64);
    *word = if on { *word | bit } else { *word & !bit };
}
