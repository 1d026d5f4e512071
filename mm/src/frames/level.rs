//! One level of a zone: its groups, a state for each, and bitmaps that find the right one.
//!
//! Row `r` of the bitmaps stands for the groups `64 * r .. 64 * r + 64`, with a word for each class that says which of
//! them have their largest free block in it. Above the rows lie summary rows of the same shape: a bit there stands for
//! a word below it that is not 0. The topmost is one row, the root, so that the lowest group that offers a class is
//! found by one find-first-set a tier.

use super::group::{CLASSES, Group, SHIFT};

/// Words in a row: one for each class, behind one for the groups that have no free block. Nobody looks for those; they
/// are listed so that what happens most, a group's first free block or its last one gone, is no case of its own.
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
        let list = class as usize + 1;
        let mut at = self.root[list].trailing_zeros() as usize;
        for &tier in self.tiers[..self.depth].iter().rev() {
            at = at << SHIFT | meta[tier + at * ROW_WORDS + list].trailing_zeros() as usize;
        }
        at
    }

    /// The lowest group that is listed under any class. There must be one.
    #[inline]
    pub fn lowest_of_any(&self, meta: &[u64]) -> usize {
        let any = |row: &[u64]| row[1..].iter().fold(0, |any, list| any | list).trailing_zeros() as usize;
        let mut at = any(&self.root);
        for &tier in self.tiers[..self.depth].iter().rev() {
            at = at << SHIFT | any(&meta[tier + at * ROW_WORDS..][..ROW_WORDS]);
        }
        at
    }

    /// Moves `group`, which had free blocks of so many classes, to where it belongs now. The lists that have become
    /// empty, and those that no longer are, as bits.
    #[inline]
    pub fn relist(&mut self, meta: &mut [u64], group: usize, before: u32, after: u32) -> (u32, u32) {
        let (before, after) = (before as usize, after as usize);
        if self.depth == 0 {
            return relist(&mut self.root, group, before, after);
        }
        let row = &mut meta[self.tiers[0] + (group >> SHIFT) * ROW_WORDS..][..ROW_WORDS];
        match relist(row, group, before, after) {
            (0, 0) => (0, 0),
            changed => self.relist_row(meta, group >> SHIFT, changed),
        }
    }

    /// Tells the tiers above of a row in which some lists have become empty, or no longer are.
    #[inline(never)]
    fn relist_row(&mut self, meta: &mut [u64], mut row: usize, mut changed: (u32, u32)) -> (u32, u32) {
        let Level { root, tiers, depth, .. } = self;
        for tier in 1..=*depth {
            let words = match tiers.get(tier) {
                Some(start) if tier < *depth => &mut meta[start + (row >> SHIFT) * ROW_WORDS..][..ROW_WORDS],
                _ => &mut root[..],
            };
            let (mut emptied, mut begun) = (0, 0);
            if changed.0 != 0 {
                emptied = strike(words, row, changed.0.trailing_zeros() as usize);
            }
            if changed.1 != 0 {
                begun = enter(words, row, changed.1.trailing_zeros() as usize);
            }
            changed = (emptied, begun);
            row >>= SHIFT;
        }
        changed
    }

    /// The groups that exist.
    pub fn existing(&self, meta: &[u64]) -> impl Iterator<Item = usize> {
        (0..self.groups).filter(|&group| self.state(meta, group).exists())
    }
}

/// Takes the entry `at` out of a row's list. The list's bit if it is empty now.
#[inline]
fn strike(row: &mut [u64], at: usize, list: usize) -> u32 {
    let before = row[list];
    row[list] = before & !(1 << (at % 64));
    u32::from(before != 0 && row[list] == 0) << list
}

/// Puts the entry `at` on a row's list. The list's bit if it was empty.
#[inline]
fn enter(row: &mut [u64], at: usize, list: usize) -> u32 {
    let before = row[list];
    row[list] = before | 1 << (at % 64);
    u32::from(before == 0) << list
}

/// Moves the entry `at` from one list to another. The bits of those that it was, or is, alone on.
#[inline]
fn relist(row: &mut [u64], at: usize, from: usize, to: usize) -> (u32, u32) {
    (strike(row, at, from), enter(row, at, to))
}
