//! One zone: taking blocks out, giving them back.
//!
//! A block of order `o` is a block of class `o % 6` on level `o / 6`. Free blocks live on their own level only: when a
//! group of 64 units is wholly free it ceases to exist and one unit of the level above is free instead; when none of
//! a level serves, a unit of the level above is split into a new group. Both touch a few words, whatever the size.

use super::group::{CLASSES, Group, SHIFT, best_fit, blocks, mask, rank, span};
use super::index::Index;
use super::section::{LEVELS, SECTION_WORDS, Section, unit_shift};

/// What a zone knows about one level: where its words are.
#[derive(Clone, Copy, Default)]
pub(super) struct Level {
    /// Where the groups begin, two words each.
    pub groups: usize,
    /// The bitmaps over them.
    pub index: Index,
}

/// The frames between two boundaries, and which of them are free.
#[derive(Clone, Copy, Default)]
pub(super) struct Zone {
    /// What the boundary above it is called.
    pub name: &'static str,
    /// The boundary below.
    pub start: u64,
    /// The boundary above.
    pub end: u64,
    /// The frame after the last one given.
    pub given_end: u64,
    /// Frames given.
    pub total: u64,
    /// Frames free.
    pub free: u64,
    /// Bit `o` is set if some group has a free block of order `o`.
    pub available: u32,
    /// The highest level in use.
    pub top: usize,
    /// The levels up to `top`.
    pub levels: [Level; LEVELS],
    /// How many sections there are.
    pub sections: usize,
    /// Where they are in the metadata.
    pub section_words: usize,
    /// The first of them, at hand, because most zones have no other.
    pub first_section: Section,
}

/// A block's place: the section, the group on its level, and the unit within the group.
#[derive(Clone, Copy)]
struct Place {
    section: Section,
    level: usize,
    group: usize,
    bit: u32,
}

impl Zone {
    /// Takes a block of `order`: out of the lowest level that has one, there out of the lowest group that has one, and
    /// there out of the smallest free block that is large enough.
    #[inline]
    pub fn alloc(&mut self, meta: &mut [u64], order: u32) -> Option<u64> {
        let fitting = self.available >> order;
        if fitting == 0 {
            return None;
        }
        let found = order + fitting.trailing_zeros();
        let (level, class) = ((found / CLASSES) as usize, found % CLASSES);
        let group = self.levels[level].index.lowest(meta, class);
        let bit = best_fit(self.group(meta, level, group).free, class);
        let section = self.section_of_group(meta, level, group);
        Some(self.take(meta, Place { section, level, group, bit }, order))
    }

    /// Takes a block of `order` whose first `needed` frames end at or before the frame `below`.
    ///
    /// The lowest group of a level that has such a block has the lowest of them: if that one is not low enough, none
    /// of the level is.
    pub fn alloc_below(&mut self, meta: &mut [u64], order: u32, needed: u64, below: u64) -> Option<u64> {
        let mut class = order % CLASSES;
        for level in (order / CLASSES) as usize..=self.top {
            if self.available >> (unit_shift(level) + class) & 1 != 0 {
                let group = self.levels[level].index.lowest(meta, class);
                let bit = blocks(self.group(meta, level, group).free, class).trailing_zeros();
                let section = self.section_of_group(meta, level, group);
                let first = section.start(level, group) + (u64::from(bit) << unit_shift(level));
                if first + needed <= below {
                    return Some(self.take(meta, Place { section, level, group, bit }, order));
                }
            }
            class = 0;
        }
        None
    }

    /// Takes the block of `order` at the beginning of the free unit, or free block of units, at `place`.
    #[inline]
    fn take(&mut self, meta: &mut [u64], place: Place, order: u32) -> u64 {
        let Place { section, mut level, group, bit } = place;
        let first = section.start(level, group) + (u64::from(bit) << unit_shift(level));
        let target = (order / CLASSES) as usize;
        let class = if level == target { order % CLASSES } else { 0 };
        let before = self.group(meta, level, group);
        let after = Group { free: before.free & !mask(bit, class), head: before.head | 1 << bit };
        self.set_group(meta, level, group, after);
        self.reindex(meta, level, group, rank(before.free), rank(after.free));
        while level > target {
            level -= 1;
            let class = if level == target { order % CLASSES } else { 0 };
            let group = section.group(level, first);
            let taken = Group { free: Group::FREE.free & !mask(0, class), head: 1 };
            self.levels[level].index.set_split(meta, group, true);
            self.set_group(meta, level, group, taken);
            self.reindex(meta, level, group, 0, rank(taken.free));
        }
        self.free -= 1 << order;
        first
    }

    /// Gives back the block of `order` at `frame`, or says that no such block is allocated.
    #[inline]
    pub fn free(&mut self, meta: &mut [u64], frame: u64, order: u32, given: impl Fn(&[u64]) -> bool) -> bool {
        let Some(place) = self.allocated(meta, frame, order, given) else { return false };
        self.release(meta, place, order);
        true
    }

    /// Whether exactly the block of `order` at `frame` is allocated. `given` tells whether the frame was ever given;
    /// it is asked only where the group has holes.
    pub fn is_allocated(&self, meta: &[u64], frame: u64, order: u32, given: impl Fn(&[u64]) -> bool) -> bool {
        self.allocated(meta, frame, order, given).is_some()
    }

    #[inline]
    fn allocated(&self, meta: &[u64], frame: u64, order: u32, given: impl Fn(&[u64]) -> bool) -> Option<Place> {
        let section = self.section_of_frame(meta, frame)?;
        let (level, class) = ((order / CLASSES) as usize, order % CLASSES);
        if level > self.top {
            return None;
        }
        let group = section.group(level, frame);
        let bit = (frame >> unit_shift(level)) as u32 % 64;
        let index = &self.levels[level].index;
        if !index.is_split(meta, group) || !self.group(meta, level, group).holds(bit, class) {
            return None;
        }
        if level > 0 && self.levels[level - 1].index.is_split(meta, section.group(level - 1, frame)) {
            return None;
        }
        if index.has_holes(meta, group) && !given(meta) {
            return None;
        }
        Some(Place { section, level, group, bit })
    }

    /// Makes the allocated block at `place` free, and every group above that this completes.
    #[inline]
    fn release(&mut self, meta: &mut [u64], place: Place, order: u32) {
        let Place { section, mut level, mut group, mut bit } = place;
        let frame = section.start(level, group) + (u64::from(bit) << unit_shift(level));
        let mut class = order % CLASSES;
        self.free += 1 << order;
        loop {
            let before = self.group(meta, level, group);
            let after = Group { free: before.free | mask(bit, class), head: before.head & !(1 << bit) };
            if after.free != !0 || level == self.top {
                self.set_group(meta, level, group, after);
                self.reindex(meta, level, group, rank(before.free), rank(after.free));
                return;
            }
            self.reindex(meta, level, group, rank(before.free), 0);
            self.levels[level].index.set_split(meta, group, false);
            level += 1;
            group = section.group(level, frame);
            bit = (frame >> unit_shift(level)) as u32 % 64;
            class = 0;
        }
    }

    /// Cuts the allocated block of `order` at `first` down to its first `count` frames, at least 1 and fewer than it
    /// has. What is kept becomes the fewest blocks that make up `count`, the largest first.
    pub fn trim(&mut self, meta: &mut [u64], first: u64, order: u32, count: u64) {
        let Some(section) = self.section_of_frame(meta, first) else { return };
        let mut level = (order / CLASSES) as usize;
        let mut at = first;
        let mut rest = count;
        let group = section.group(level, at);
        let start = (at >> unit_shift(level)) as u32 % 64;
        let mut cut = (group, self.group(meta, level, group), start, start + (1 << (order % CLASSES)));
        loop {
            let (group, before, start, end) = cut;
            let (units, part) = (rest >> unit_shift(level), rest & ((1 << unit_shift(level)) - 1));
            let mut after = before;
            let mut bit = start;
            for class in (0..CLASSES).rev().filter(|class| units >> class & 1 != 0) {
                after.head |= 1 << bit;
                bit += 1 << class;
            }
            at += units << unit_shift(level);
            rest = part;
            if part != 0 {
                after.head |= 1 << bit;
                bit += 1;
            }
            after.free |= span(bit, end);
            self.set_group(meta, level, group, after);
            self.reindex(meta, level, group, rank(before.free), rank(after.free));
            if part == 0 {
                break;
            }
            level -= 1;
            let group = section.group(level, at);
            self.levels[level].index.set_split(meta, group, true);
            cut = (group, Group { free: 0, head: 0 }, 0, 64);
        }
        self.free += (1 << order) - count;
    }

    /// Makes the frames `first .. end` free for the first time. They must touch no frame given before.
    pub fn give(&mut self, meta: &mut [u64], first: u64, end: u64) {
        if let Some(section) = self.section_of_frame(meta, first) {
            self.free += end - first;
            self.give_level(meta, &section, self.top, first, end);
        }
    }

    fn give_level(&mut self, meta: &mut [u64], section: &Section, level: usize, first: u64, end: u64) {
        if first == end {
            return;
        }
        let shift = unit_shift(level);
        let (whole, whole_end) = (first.div_ceil(1 << shift), end >> shift);
        // The groups that it touches exist from now on, though only some of their units may be given, or none.
        let mut unit = first >> shift;
        while unit << shift < end {
            let next = (unit | 63) + 1;
            let group = section.group(level, unit << shift);
            let exists = self.levels[level].index.is_split(meta, group);
            let before = if exists { self.group(meta, level, group) } else { Group::NEVER_GIVEN };
            let (from, to) = (unit.max(whole), next.min(whole_end));
            let given = if from < to { span((from % 64) as u32, ((to - 1) % 64) as u32 + 1) } else { 0 };
            let after = Group { free: before.free | given, head: before.head & !given };
            self.levels[level].index.set_split(meta, group, true);
            self.levels[level].index.set_holes(meta, group, after.free != !0);
            self.set_group(meta, level, group, after);
            self.reindex(meta, level, group, rank(before.free), rank(after.free));
            unit = next;
        }
        if level == 0 {
            return;
        }
        if whole <= whole_end {
            self.give_level(meta, section, level - 1, first, whole << shift);
            self.give_level(meta, section, level - 1, whole_end << shift, end);
        } else {
            self.give_level(meta, section, level - 1, first, end);
        }
    }

    /// Whether `frame` is free.
    pub fn is_free(&self, meta: &[u64], frame: u64) -> bool {
        let Some(section) = self.section_of_frame(meta, frame) else { return false };
        for level in (0..=self.top).rev() {
            let group = section.group(level, frame);
            if !self.levels[level].index.is_split(meta, group) {
                return false;
            }
            if self.group(meta, level, group).free >> (frame >> unit_shift(level)) % 64 & 1 != 0 {
                return true;
            }
        }
        false
    }

    /// A group of `level`. Its words mean something only if it exists.
    #[inline]
    pub fn group(&self, meta: &[u64], level: usize, group: usize) -> Group {
        let at = self.levels[level].groups + 2 * group;
        Group { free: meta[at], head: meta[at + 1] }
    }

    #[inline]
    fn set_group(&self, meta: &mut [u64], level: usize, group: usize, to: Group) {
        let at = self.levels[level].groups + 2 * group;
        meta[at] = to.free;
        meta[at + 1] = to.head;
    }

    /// Enters a group under the classes of blocks that it has now, its rank having changed from `before` to `after`.
    #[inline]
    fn reindex(&mut self, meta: &mut [u64], level: usize, group: usize, before: u32, after: u32) {
        let index = &mut self.levels[level].index;
        let base = unit_shift(level);
        for class in after..before {
            if index.remove(meta, class, group) {
                self.available &= !(1 << (base + class));
            }
        }
        for class in before..after {
            if index.insert(meta, class, group) {
                self.available |= 1 << (base + class);
            }
        }
    }

    #[inline]
    fn section_of_frame(&self, meta: &[u64], frame: u64) -> Option<Section> {
        let section =
            if self.sections == 1 { self.first_section } else { self.search(meta, |section| section.first <= frame) };
        (section.first <= frame && frame < section.end).then_some(section)
    }

    #[inline]
    fn section_of_group(&self, meta: &[u64], level: usize, group: usize) -> Section {
        if self.sections == 1 {
            return self.first_section;
        }
        self.search(meta, |section| section.group(level, section.first) <= group)
    }

    /// The last section for which `before` holds, which it does for all up to some point; else the first.
    #[cold]
    fn search(&self, meta: &[u64], before: impl Fn(&Section) -> bool) -> Section {
        let at = |n: usize| Section::load(&meta[self.section_words + n * SECTION_WORDS..][..SECTION_WORDS]);
        let (mut low, mut high) = (0, self.sections);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if before(&at(middle)) { low = middle } else { high = middle }
        }
        at(low)
    }
}

const _: () = assert!(SHIFT == CLASSES && LEVELS as u32 * CLASSES <= u32::BITS);
