//! One zone: taking blocks out, giving them back.
//!
//! A block of order `o` is a block of class `o % 6` on level `o / 6`. Free blocks live on their own level only: when a
//! group of 64 units is wholly free it ceases to exist and one unit of the level above is free instead; when none of
//! a level serves, a unit of the level above is split into a new group. Both touch a few words, whatever the size.
//!
//! Placement. Among frames (level 0) the lowest group that can serve does, so that the upper ones drain until they are
//! whole again. On the levels above, it is the one whose largest free block is the smallest that serves, the lowest of
//! those, so that a piece is broken off a 2 MiB or 1 GiB block only when nothing smaller is left.

use super::group::{CLASSES, Group, SHIFT, blocks, classes, mask, span};
use super::index::{ANY, Index, State};
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
    /// Bit `o` is set if a group offers a block of order `o`. On level 0 a group offers whatever can be cut from its
    /// blocks, above only its largest.
    pub available: u32,
    /// The highest level in use.
    pub top: usize,
    /// The levels up to `top`.
    pub levels: [Level; LEVELS],
    /// How many sections there are.
    pub sections: usize,
    /// Where they are in the metadata, unless there is only one.
    pub section_words: usize,
    /// The first of them, at hand, because most zones have no other.
    pub first_section: Section,
    /// How many runs were given at set-up, to all zones.
    pub runs: usize,
    /// Where they are in the metadata, two words each.
    pub run_words: usize,
}

/// The level on which blocks of `order` live.
#[inline]
const fn level_of(order: u32) -> usize {
    (order / CLASSES) as usize
}

/// The unit's place in its group.
#[inline]
const fn bit_of(level: usize, frame: u64) -> u32 {
    (frame >> unit_shift(level)) as u32 % 64
}

/// The bit of `available` that says that some group of level 0 has a free frame.
const ANY_FRAME: u32 = 1 << 31;

impl Zone {
    /// Takes a block of `order`.
    #[inline]
    pub fn alloc(&mut self, meta: &mut [u64], order: u32) -> Option<u64> {
        let (level, class) = if order == 0 && self.available & ANY_FRAME != 0 {
            (0, ANY)
        } else {
            let fitting = (self.available & !ANY_FRAME) >> order;
            if fitting == 0 {
                return None;
            }
            let found = order + fitting.trailing_zeros();
            (level_of(found), found % CLASSES)
        };
        let group = self.levels[level].index.lowest(meta, class);
        if level != level_of(order) {
            return Some(self.alloc_above(meta, level, group, order));
        }
        let bit = self.take(meta, level, group, order % CLASSES);
        self.free -= 1 << order;
        Some(self.frame(meta, self.section_of_group(meta, level, group), level, group, bit))
    }

    /// Takes a block of `order` out of a unit of a group on a higher level, all of whose units are larger.
    #[inline(never)]
    fn alloc_above(&mut self, meta: &mut [u64], from: usize, group: usize, order: u32) -> u64 {
        let bit = blocks(self.group(meta, from, group).vacant(), 0).trailing_zeros();
        self.split(meta, from, group, bit, order)
    }

    /// Takes a block of `order` whose first `needed` frames end at or before the frame `below`.
    ///
    /// All groups that offer a class have blocks large enough, so the lowest of them has the lowest block: if that
    /// one is not low enough, none that the class offers is.
    pub fn alloc_below(&mut self, meta: &mut [u64], order: u32, needed: u64, below: u64) -> Option<u64> {
        let mut fitting = (self.available & !ANY_FRAME) >> order << order;
        while fitting != 0 {
            let found = fitting.trailing_zeros();
            fitting &= fitting - 1;
            let level = level_of(found);
            let group = self.levels[level].index.lowest(meta, found % CLASSES);
            let class = order.saturating_sub(unit_shift(level));
            let bit = blocks(self.group(meta, level, group).vacant(), class).trailing_zeros();
            let first = self.frame(meta, self.section_of_group(meta, level, group), level, group, bit);
            if first + needed > below {
                continue;
            }
            if level != level_of(order) {
                return Some(self.split(meta, level, group, bit, order));
            }
            self.take(meta, level, group, class);
            self.free -= 1 << order;
            return Some(first);
        }
        None
    }

    /// Splits the free unit at `bit`, and the first unit of what comes of it, down to a block of `order`.
    fn split(&mut self, meta: &mut [u64], from: usize, group: usize, bit: u32, order: u32) -> u64 {
        let section = self.section_of_group(meta, from, group);
        let first = self.frame(meta, section, from, group, bit);
        let mut units = self.group(meta, from, group);
        units.head |= 1 << bit;
        self.set_group(meta, from, group, units);
        self.restate(meta, from, group, self.state(meta, from, group), units.vacant());
        for level in (level_of(order)..from).rev() {
            let group = self.group_of(meta, section, level, first);
            let mut units = Group::FREE;
            units.head = 1;
            if level == level_of(order) {
                units.free &= !mask(0, order % CLASSES);
            }
            self.set_group(meta, level, group, units);
            self.set_state(meta, level, group, State::ABSENT, State::BEGUN);
        }
        self.free -= 1 << order;
        first
    }

    /// Takes the lowest block of `class` in a group that has one. Where it was.
    #[inline]
    fn take(&mut self, meta: &mut [u64], level: usize, group: usize, class: u32) -> u32 {
        let mut units = self.group(meta, level, group);
        let before = units.vacant();
        let bit = blocks(before, class).trailing_zeros() % 64;
        units.free &= !mask(bit, class);
        units.head |= 1 << bit;
        self.set_group(meta, level, group, units);
        // As long as another block of the largest class is left, nothing changes for the index.
        let state = self.state(meta, level, group);
        let largest = state.classes() - 1;
        if blocks(before, largest) & !(1 << (bit >> largest << largest)) == 0 {
            self.restate(meta, level, group, state, units.vacant());
        }
        bit
    }

    /// Gives back the block of `order` at `frame`, if exactly that is allocated.
    #[inline]
    pub fn free(&mut self, meta: &mut [u64], frame: u64, order: u32) -> bool {
        let Some((section, level, group, state)) = self.allocated(meta, frame, order) else { return false };
        let bit = bit_of(level, frame);
        let mut units = self.group(meta, level, group);
        units.free |= mask(bit, order % CLASSES);
        units.head &= !(1 << bit);
        self.free += 1 << order;
        if units.vacant() == !0 && level < self.top {
            self.complete(meta, section, level, frame);
            return true;
        }
        self.set_group(meta, level, group, units);
        // Unless it made a block larger than the largest before, nothing changes for the index.
        let larger = state.classes().min(CLASSES - 1);
        let block = mask(bit >> larger << larger, larger);
        if units.vacant() & block == block {
            self.restate(meta, level, group, state, units.vacant());
        }
        true
    }

    /// The section, level, group and the group's state for the block of `order` at `frame`, if exactly that is allocated.
    #[inline]
    pub fn allocated(&self, meta: &[u64], frame: u64, order: u32) -> Option<(usize, usize, usize, State)> {
        let section = self.section_of_frame(meta, frame)?;
        let level = level_of(order);
        if level > self.top {
            return None;
        }
        let group = self.group_of(meta, section, level, frame);
        let state = self.levels[level].index.state(meta, group);
        if !state.exists()
            || !self.group(meta, level, group).holds(bit_of(level, frame), order % CLASSES)
            || state.has_holes() && !self.was_given(meta, frame)
        {
            return None;
        }
        Some((section, level, group, state))
    }

    /// Dissolves the group of `level` around `frame`, now wholly free, and frees its unit on the level above.
    #[inline(never)]
    fn complete(&mut self, meta: &mut [u64], section: usize, mut level: usize, frame: u64) {
        loop {
            let group = self.group_of(meta, section, level, frame);
            self.set_state(meta, level, group, self.state(meta, level, group), State::ABSENT);
            level += 1;
            let group = self.group_of(meta, section, level, frame);
            let mut units = self.group(meta, level, group);
            units.head &= !(1 << bit_of(level, frame));
            if units.vacant() != !0 || level == self.top {
                self.set_group(meta, level, group, units);
                self.restate(meta, level, group, self.state(meta, level, group), units.vacant());
                return;
            }
        }
    }

    /// Whether `frame` was in one of the runs given at set-up.
    #[cold]
    pub fn was_given(&self, meta: &[u64], frame: u64) -> bool {
        let run = |n: usize| (meta[self.run_words + 2 * n], meta[self.run_words + 2 * n + 1]);
        let (mut low, mut high) = (0, self.runs);
        while low < high {
            let middle = low.midpoint(high);
            let (first, end) = run(middle);
            if frame < first {
                high = middle;
            } else if frame < end {
                return true;
            } else {
                low = middle + 1;
            }
        }
        false
    }

    /// Cuts the allocated block of `order` at `first` down to its first `count` frames, at least 1 and fewer than it
    /// has. What is kept becomes the fewest blocks that make up `count`, the largest first.
    pub fn trim(&mut self, meta: &mut [u64], first: u64, order: u32, count: u64) {
        let Some(section) = self.section_of_frame(meta, first) else { return };
        let mut level = level_of(order);
        let (mut at, mut rest) = (first, count);
        let mut bit = bit_of(level, at);
        let mut end = bit + (1 << (order % CLASSES));
        let group = self.group_of(meta, section, level, at);
        let mut units = self.group(meta, level, group);
        let mut state = self.state(meta, level, group);
        loop {
            let kept = rest >> unit_shift(level);
            for class in (0..CLASSES).rev().filter(|class| kept >> class & 1 != 0) {
                units.head |= 1 << bit;
                bit += 1 << class;
            }
            let group = self.group_of(meta, section, level, at);
            at += kept << unit_shift(level);
            rest -= kept << unit_shift(level);
            units.free |= span(bit, end);
            // A unit of which only a part is kept is split.
            if rest != 0 {
                units.head |= 1 << bit;
            }
            self.set_group(meta, level, group, units);
            self.restate(meta, level, group, state, units.vacant());
            if rest == 0 {
                break;
            }
            level -= 1;
            state = State::ABSENT;
            (bit, end, units) = (0, 64, Group { free: 0, head: 0 });
        }
        self.free += (1 << order) - count;
    }

    /// Makes the frames `first .. end` free for the first time. They must touch no frame given before.
    pub fn give(&mut self, meta: &mut [u64], first: u64, end: u64) {
        if let Some(section) = self.section_of_frame(meta, first) {
            self.free += end - first;
            self.give_level(meta, section, self.top, first, end);
        }
    }

    fn give_level(&mut self, meta: &mut [u64], section: usize, level: usize, first: u64, end: u64) {
        if first == end {
            return;
        }
        let shift = unit_shift(level);
        let (inner, inner_end) = (first.div_ceil(1 << shift), end >> shift);
        // The groups that it touches exist from now on, though only some of their units may be given, or none.
        let mut unit = first >> shift;
        while unit << shift < end {
            let next = (unit | 63) + 1;
            let group = self.group_of(meta, section, level, unit << shift);
            let state = self.state(meta, level, group);
            let mut units = if state.exists() { self.group(meta, level, group) } else { Group::NEVER_GIVEN };
            let (from, to) = (unit.max(inner), next.min(inner_end));
            let given = if from < to { span((from % 64) as u32, ((to - 1) % 64) as u32 + 1) } else { 0 };
            units.free |= given;
            units.head &= !given;
            // Units at either end of which only a part is given are split.
            for edge in [first, end] {
                if edge % (1 << shift) != 0 && edge >> shift + SHIFT == unit / 64 {
                    units.free |= 1 << bit_of(level, edge);
                }
            }
            self.set_group(meta, level, group, units);
            let vacant = units.vacant();
            let after = State::of(classes(vacant)).with_holes(vacant != !0);
            self.set_state(meta, level, group, state, after);
            unit = next;
        }
        if level == 0 {
            return;
        }
        if inner <= inner_end {
            self.give_level(meta, section, level - 1, first, inner << shift);
            self.give_level(meta, section, level - 1, inner_end << shift, end);
        } else {
            self.give_level(meta, section, level - 1, first, end);
        }
    }

    /// Whether `frame` is free.
    pub fn is_free(&self, meta: &[u64], frame: u64) -> bool {
        let Some(section) = self.section_of_frame(meta, frame) else { return false };
        for level in (0..=self.top).rev() {
            let group = self.group_of(meta, section, level, frame);
            if !self.state(meta, level, group).exists() {
                return false;
            }
            if self.group(meta, level, group).vacant() >> bit_of(level, frame) & 1 != 0 {
                return true;
            }
        }
        false
    }

    /// A group of `level`. Its words mean something only if it exists.
    #[inline]
    pub fn group(&self, meta: &[u64], level: usize, group: usize) -> Group {
        let words = &meta[self.levels[level].groups + 2 * group..][..2];
        Group { free: words[0], head: words[1] }
    }

    #[inline]
    fn set_group(&self, meta: &mut [u64], level: usize, group: usize, to: Group) {
        let words = &mut meta[self.levels[level].groups + 2 * group..][..2];
        words[0] = to.free;
        words[1] = to.head;
    }

    /// Notes what is free in a group that exists, now that this has changed. Its state was `before`.
    #[inline(never)]
    fn restate(&mut self, meta: &mut [u64], level: usize, group: usize, before: State, vacant: u64) {
        let after = State::of(classes(vacant)).with_holes(before.has_holes());
        self.set_state(meta, level, group, before, after);
    }

    /// Sets a group's state, and with it what it offers: on level 0 all classes of which it has a free block, on the
    /// levels above only the largest.
    #[inline]
    fn set_state(&mut self, meta: &mut [u64], level: usize, group: usize, before: State, after: State) {
        let index = &mut self.levels[level].index;
        index.set_state(meta, group, after);
        let (before, after) = (before.classes(), after.classes());
        let base = unit_shift(level);
        if before != 0 && index.remove(meta, before - 1, group) {
            self.available &= !(1 << (base + before - 1));
        }
        if after != 0 && index.insert(meta, after - 1, group) {
            self.available |= 1 << (base + after - 1);
        }
        if level == 0 && (before == 0) != (after == 0) {
            if before == 0 {
                if index.insert(meta, ANY, group) {
                    self.available |= ANY_FRAME;
                }
            } else if index.remove(meta, ANY, group) {
                self.available &= !ANY_FRAME;
            }
        }
    }

    fn state(&self, meta: &[u64], level: usize, group: usize) -> State {
        self.levels[level].index.state(meta, group)
    }

    /// The number of the group of `level` that `frame` belongs to.
    #[inline]
    fn group_of(&self, meta: &[u64], section: usize, level: usize, frame: u64) -> usize {
        (frame >> unit_shift(level + 1)).wrapping_add(self.offset(meta, section, level)) as usize
    }

    /// The first frame of a unit.
    #[inline]
    fn frame(&self, meta: &[u64], section: usize, level: usize, group: usize, bit: u32) -> u64 {
        let place = (group as u64).wrapping_sub(self.offset(meta, section, level));
        (place << SHIFT | u64::from(bit)) << unit_shift(level)
    }

    #[inline]
    fn offset(&self, meta: &[u64], section: usize, level: usize) -> u64 {
        if self.sections == 1 { self.first_section.offset[level] } else { self.section(meta, section).offset[level] }
    }

    fn section(&self, meta: &[u64], section: usize) -> Section {
        Section::load(&meta[self.section_words + section * SECTION_WORDS..][..SECTION_WORDS])
    }

    #[inline]
    fn section_of_frame(&self, meta: &[u64], frame: u64) -> Option<usize> {
        if self.sections == 1 {
            return (self.first_section.first <= frame && frame < self.first_section.end).then_some(0);
        }
        let section = self.last_section(meta, |section| section.first <= frame);
        let Section { first, end, .. } = self.section(meta, section);
        (first <= frame && frame < end).then_some(section)
    }

    #[inline]
    fn section_of_group(&self, meta: &[u64], level: usize, group: usize) -> usize {
        if self.sections == 1 {
            return 0;
        }
        self.last_section(meta, |section| section.first_group(level) <= group)
    }

    /// The last section for which `holds`, which it does for all up to some point; else the first.
    #[inline(never)]
    fn last_section(&self, meta: &[u64], holds: impl Fn(&Section) -> bool) -> usize {
        let (mut low, mut high) = (0, self.sections);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if holds(&self.section(meta, middle)) { low = middle } else { high = middle }
        }
        low
    }
}

const _: () = assert!(SHIFT == CLASSES && LEVELS as u32 * CLASSES <= u32::BITS);
