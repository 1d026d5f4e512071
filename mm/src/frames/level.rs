//! One level of a zone: its groups, a state for each, and bitmaps that find the right one.
//!
//! Row `r` of the bitmaps stands for the groups `64 * r .. 64 * r + 64`, with a word for each class that says which of
//! them have their largest free block in it, and one that says which have any at all. Above the rows lie summary rows of the same shape: a bit there stands for a word below it
//! that is not 0. The topmost is one row, the root, so that the lowest group that offers a class is found by one
//! find-first-set a tier.

use super::group::{CLASSES, Group, SHIFT};

/// In place of a class: a free block of whatever class.
pub(super) const ANY: u32 = CLASSES;

/// Words in a row: one for each class, and one for any.
const ROW_WORDS: usize = CLASSES as usize + 1;

/// Groups whose states share a word, four bits each.
const STATES: usize = 16;

/// Tiers of rows below the root that suffice for 2^34 groups, which are all frames of 52-bit physical addresses.
const MAX_TIERS: usize = 5;

/// What is known of a group: whether it exists, how large its largest free block is, whether it has holes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u32);

impl State {
    /// There is no such group, whatever its words hold: its unit of the level above is free or allocated as a whole,
    /// or nothing in it was ever given.
    pub const ABSENT: Self = Self(0);

    /// A group that was wholly free but for what was just taken from its beginning, a block of any class.
    pub const BEGUN: Self = Self::of(CLASSES);

    /// A group in which some units were never given.
    const HOLES: u32 = 8;

    /// A group that exists and has free blocks of so many classes.
    #[inline]
    pub const fn of(classes: u32) -> Self {
        Self(1 + classes)
    }

    /// The same, with holes if `holes`.
    #[inline]
    pub const fn with_holes(self, holes: bool) -> Self {
        Self((self.0 & !Self::HOLES) | (Self::HOLES * holes as u32))
    }

    /// Whether the group exists.
    #[inline]
    pub const fn exists(self) -> bool {
        self.0 != 0
    }

    /// Whether some of its units were never given.
    #[inline]
    pub const fn has_holes(self) -> bool {
        self.0 & Self::HOLES != 0
    }

    /// The class of its largest free block, if it has one.
    #[inline]
    pub const fn largest(self) -> u32 {
        (self.0 & !Self::HOLES).wrapping_sub(2) & 7
    }

    /// How many classes it has free blocks of; 0 if there is no such group.
    #[inline]
    pub const fn classes(self) -> u32 {
        (self.0 & !Self::HOLES).saturating_sub(1)
    }
}

/// One level of a zone: its groups, their states and the bitmaps. But for the root row, it holds the places of those;
/// they themselves are in the metadata.
#[derive(Clone, Copy, Default)]
pub(super) struct Level {
    root: [u64; ROW_WORDS],
    /// Where the rows of each tier begin, from the one over the groups themselves upwards.
    tiers: [usize; MAX_TIERS],
    depth: usize,
    /// The word where the states begin.
    states: usize,
    /// Where the groups begin, in pairs of words.
    units: usize,
    /// How many groups there are.
    groups: usize,
}

impl Level {
    /// A level of `groups` groups, with the words of its index from `start` on. Returns the word after the last too.
    ///
    /// The casts lose bits only of metadata that could not be addressed, which `Frames::new` refuses.
    pub fn plan(groups: u64, start: u64) -> (Self, u64) {
        let mut level = Self { groups: groups as usize, states: start as usize, ..Self::default() };
        let mut at = start + groups.div_ceil(STATES as u64);
        let mut entries = groups;
        while entries > 64 && level.depth < MAX_TIERS {
            entries = entries.div_ceil(64);
            level.tiers[level.depth] = at as usize;
            level.depth += 1;
            at += entries * ROW_WORDS as u64;
        }
        (level, at)
    }

    /// Puts the groups at the word `start`, an even number. Returns the word after the last.
    pub fn plan_units(&mut self, start: u64) -> u64 {
        self.units = (start / 2) as usize;
        start + 2 * self.groups as u64
    }

    /// A group, by its number. Its words mean something only if its state says that it exists.
    #[inline]
    pub fn group(&self, meta: &[u64], group: usize) -> Group {
        let &[free, head] = &meta.as_chunks().0[self.units + group];
        Group { free, head }
    }

    /// Changes a group.
    #[inline]
    pub fn set_group(&self, meta: &mut [u64], group: usize, to: Group) {
        meta.as_chunks_mut().0[self.units + group] = [to.free, to.head];
    }

    /// What is known of `group`.
    #[inline]
    pub fn state(&self, meta: &[u64], group: usize) -> State {
        State((meta[self.states + group / STATES] >> (4 * (group % STATES))) as u32 & 15)
    }

    /// Sets what is known of `group`.
    #[inline]
    pub fn set_state(&self, meta: &mut [u64], group: usize, state: State) {
        let word = &mut meta[self.states + group / STATES];
        let shift = 4 * (group % STATES);
        *word = *word & !(15 << shift) | u64::from(state.0) << shift;
    }

    /// The lowest group that is listed under `class`. There must be one.
    #[inline]
    pub fn lowest(&self, meta: &[u64], class: u32) -> usize {
        let mut at = self.root[class as usize].trailing_zeros() as usize;
        for &tier in self.tiers[..self.depth].iter().rev() {
            let word = meta[tier + at * ROW_WORDS + class as usize];
            at = at << SHIFT | word.trailing_zeros() as usize;
        }
        at
    }

    /// Notes that `group` is listed under `class`. Whether it is the only one.
    #[inline]
    pub fn insert(&mut self, meta: &mut [u64], class: u32, group: usize) -> bool {
        let class = class as usize;
        let mut at = group;
        for &tier in &self.tiers[..self.depth] {
            let word = &mut meta[tier + (at >> SHIFT) * ROW_WORDS + class];
            let before = *word;
            *word = before | 1 << (at % 64);
            if before != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        let before = self.root[class];
        self.root[class] = before | 1 << (at % 64);
        before == 0
    }

    /// Notes that `group` no longer is listed under `class`. Whether it was the only one.
    #[inline]
    pub fn remove(&mut self, meta: &mut [u64], class: u32, group: usize) -> bool {
        let class = class as usize;
        let mut at = group;
        for &tier in &self.tiers[..self.depth] {
            let word = &mut meta[tier + (at >> SHIFT) * ROW_WORDS + class];
            let after = *word & !(1 << (at % 64));
            *word = after;
            if after != 0 {
                return false;
            }
            at >>= SHIFT;
        }
        self.root[class] &= !(1 << (at % 64));
        self.root[class] == 0
    }

    /// The groups that exist.
    pub fn existing(&self, meta: &[u64]) -> impl Iterator<Item = usize> {
        (0..self.groups).filter(|&group| self.state(meta, group).exists())
    }
}
