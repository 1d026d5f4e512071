//! One zone: taking blocks out, giving them back.
//!
//! A block of order `o` is a block of class `o % 6` on level `o / 6`. Free blocks live on their own level only: when a
//! group of 64 units is wholly free it ceases to exist and one unit of the level above is free instead; when none of
//! a level serves, a unit of the level above is split into a new group. Both touch a few words, whatever the size.
//!
//! Placement. A single frame comes from the lowest group that has one, so that the upper groups drain until they are
//! whole again; a cache also gets whole groups that lie lower still, where a block of 2 MiB is broken anyway. A larger
//! block comes from the group whose largest free block is the smallest that serves, the lowest of those, and a group is
//! split off in the same way, so that a block of 2 MiB or 1 GiB is broken only when nothing smaller is left.
//! Lowest-first for all would leave one request in ten without a block where memory is 95 % full and orders are
//! mixed; smallest-first for all would leave no block of 2 MiB whole where only single frames come and go.

use super::group::{CLASSES, Group, SHIFT, block_starts, blocks, classes, mask, stretches};
use super::level::{Level, State};
use super::section::{LEVELS, Section, unit_shift};

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
    /// Bit `o` is set if the largest free block of some group is of order `o`.
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
pub(super) const fn level_of(order: u32) -> usize {
    (order / CLASSES) as usize
}

/// The unit's place in its group.
#[inline]
pub(super) const fn bit_of(level: usize, frame: u64) -> u32 {
    (frame >> unit_shift(level)) as u32 % 64
}

/// The bits of `available` that stand for groups of level 0.
const SINGLES: u32 = (1 << CLASSES) - 1;

/// Classes of level 1 whose blocks are smaller than 2 MiB.
const WHOLE_CLASSES: u32 = 3;

impl Zone {
    /// Takes a block of `order`.
    #[inline]
    pub fn alloc(&mut self, meta: &mut [u64], order: u32) -> Option<u64> {
        if order == 0 && self.available & SINGLES != 0 {
            let group = self.levels[0].lowest_of_any(meta);
            return Some(self.take(meta, 0, group, 0));
        }
        let fitting = self.available >> order;
        if fitting == 0 {
            return None;
        }
        let found = order + fitting.trailing_zeros();
        let level = level_of(found);
        let group = self.levels[level].lowest(meta, found % CLASSES);
        if level != level_of(order) {
            return Some(self.alloc_above(meta, level, group, order));
        }
        Some(self.take(meta, level, group, order))
    }

    /// Takes all that is free of a group of single frames. The first frame of the group, and a bit for each one taken.
    ///
    /// It is the lowest group that is broken, or a whole one that lies lower, unless a free block of 2 MiB would be
    /// broken for it: what is broken for good had better be used up.
    pub fn take_lowest(&mut self, meta: &mut [u64]) -> Option<(u64, u64)> {
        let broken = (self.available & SINGLES != 0).then(|| {
            let group = self.levels[0].lowest_of_any(meta);
            (self.frame(meta, 0, group, 0), group)
        });
        let end = broken.map_or(u64::MAX, |(first, _)| first);
        if let Some((first, group)) = self.lowest_whole(meta, end) {
            let mut units = self.levels[1].group(meta, group);
            units.head |= 1 << bit_of(1, first);
            self.levels[1].set_group(meta, group, units);
            self.restate(meta, 1, group, self.levels[1].state(meta, group), units.vacant());
            let group = self.group_of(meta, 0, first);
            self.levels[0].set_group(meta, group, Group { free: 0, head: !0 });
            self.levels[0].set_state(meta, group, State::of(0));
            self.free -= 64;
            return Some((first, !0));
        }
        let (first, group) = broken?;
        let Group { free, head } = self.levels[0].group(meta, group);
        let taken = free & !head;
        self.levels[0].set_group(meta, group, Group { free: free & !taken, head: head | taken });
        self.restate(meta, 0, group, self.levels[0].state(meta, group), 0);
        self.free -= u64::from(taken.count_ones());
        Some((first, taken))
    }

    /// The lowest unit of 64 frames below `end` that is free as such, but not part of a larger block than one of
    /// 1 MiB. Where it begins, and the group of level 1 it belongs to.
    #[inline]
    fn lowest_whole(&self, meta: &[u64], end: u64) -> Option<(u64, usize)> {
        (0..WHOLE_CLASSES)
            .filter(|class| self.available >> (unit_shift(1) + class) & 1 != 0)
            .map(|class| {
                let group = self.levels[1].lowest(meta, class);
                (self.frame(meta, 1, group, self.levels[1].group(meta, group).vacant().trailing_zeros()), group)
            })
            .min()
            .filter(|(first, _)| *first < end)
    }

    /// Takes a block of `order` out of a unit of a group on a higher level, all of whose units are larger.
    #[inline(never)]
    fn alloc_above(&mut self, meta: &mut [u64], from: usize, group: usize, order: u32) -> u64 {
        let bit = self.levels[from].group(meta, group).vacant().trailing_zeros();
        self.split(meta, from, group, bit, order)
    }

    /// Takes a block of `order` whose first `needed` frames end at or before the frame `below`.
    ///
    /// All groups listed under a class have blocks large enough, so the lowest of them has the lowest block: if that
    /// one is not low enough, none of the class is.
    pub fn alloc_below(&mut self, meta: &mut [u64], order: u32, needed: u64, below: u64) -> Option<u64> {
        let mut fitting = self.available >> order << order;
        while fitting != 0 {
            let found = fitting.trailing_zeros();
            fitting &= fitting - 1;
            let level = level_of(found);
            let group = self.levels[level].lowest(meta, found % CLASSES);
            let class = order.saturating_sub(unit_shift(level));
            let bit = blocks(self.levels[level].group(meta, group).vacant(), class).trailing_zeros();
            let first = self.frame(meta, level, group, bit);
            if first + needed > below {
                continue;
            }
            return Some(if level == level_of(order) {
                self.take(meta, level, group, order)
            } else {
                self.split(meta, level, group, bit, order)
            });
        }
        None
    }

    /// Takes the lowest block of `order` in a group of its level that has one.
    #[inline(always)]
    fn take(&mut self, meta: &mut [u64], level: usize, group: usize, order: u32) -> u64 {
        let class = order % CLASSES;
        let Group { free, head } = self.levels[level].group(meta, group);
        let before = free & !head;
        let stretches = stretches(before);
        let bit = (stretches[class as usize] & block_starts(class)).trailing_zeros() % 64;
        let after = Group { free: free & !mask(bit, class), head: head | 1 << bit };
        self.levels[level].set_group(meta, group, after);
        self.free -= 1 << order;
        // As long as another block of the largest class is left, the group stays listed as it is.
        let state = self.levels[level].state(meta, group);
        let largest = state.largest();
        if stretches[largest as usize] & block_starts(largest) & !(1 << (bit >> largest << largest)) == 0 {
            self.restate(meta, level, group, state, after.vacant());
        }
        self.frame(meta, level, group, bit)
    }

    /// Splits the free unit at `bit`, and the first unit of what comes of it, down to a block of `order`.
    fn split(&mut self, meta: &mut [u64], from: usize, group: usize, bit: u32, order: u32) -> u64 {
        let first = self.frame(meta, from, group, bit);
        let mut units = self.levels[from].group(meta, group);
        units.head |= 1 << bit;
        self.levels[from].set_group(meta, group, units);
        self.restate(meta, from, group, self.levels[from].state(meta, group), units.vacant());
        for level in (level_of(order)..from).rev() {
            let group = self.group_of(meta, level, first);
            let mut units = Group::FREE;
            units.head = 1;
            if level == level_of(order) {
                units.free &= !mask(0, order % CLASSES);
            }
            self.levels[level].set_group(meta, group, units);
            self.set_state(meta, level, group, State::ABSENT, State::BEGUN);
        }
        self.free -= 1 << order;
        first
    }

    /// Gives back the block of `order` at `frame`, if exactly that is allocated.
    ///
    /// Single frames are what most callers deal in, and knowing the order saves a third of the instructions.
    #[inline]
    pub fn free(&mut self, meta: &mut [u64], frame: u64, order: u32) -> bool {
        if order == 0 { self.free_block(meta, frame, 0) } else { self.free_block(meta, frame, order) }
    }

    #[inline(always)]
    fn free_block(&mut self, meta: &mut [u64], frame: u64, order: u32) -> bool {
        let Some((group, state, units)) = self.allocated(meta, frame, order) else { return false };
        self.vacate(meta, frame, order, group, state, units);
        true
    }

    /// Makes the block of `order` at `frame` free, which is in use.
    #[inline(always)]
    fn vacate(&mut self, meta: &mut [u64], frame: u64, order: u32, group: usize, state: State, units: Group) {
        let (level, class) = (level_of(order), order % CLASSES);
        let bit = bit_of(level, frame);
        let after = Group { free: units.free | mask(bit, class), head: units.head & !(1 << bit) };
        let vacant = after.vacant();
        self.free += 1 << order;
        if vacant == !0 && level < self.top {
            return self.complete(meta, level, frame);
        }
        self.levels[level].set_group(meta, group, after);
        // Unless a block larger than the largest has come about, the group stays listed as it is.
        let larger = state.classes().min(CLASSES - 1);
        let block = mask(bit >> larger << larger, larger);
        if vacant & block == block {
            self.restate(meta, level, group, state, vacant);
        }
    }

    /// Marks a single frame as loose, if it is allocated as such.
    #[inline]
    pub fn loosen(&mut self, meta: &mut [u64], frame: u64) -> bool {
        let Some((group, _, units)) = self.allocated(meta, frame, 0) else { return false };
        let after = Group { free: units.free | 1 << (frame % 64), ..units };
        self.levels[0].set_group(meta, group, after);
        true
    }

    /// Whether the single frame, which was given, is loose.
    pub fn is_loose(&self, meta: &[u64], frame: u64) -> bool {
        let group = self.group_of(meta, 0, frame);
        let Group { free, head } = self.levels[0].group(meta, group);
        self.levels[0].state(meta, group).exists() && (free & head) >> (frame % 64) & 1 != 0
    }

    /// Makes a loose frame an allocated one.
    #[inline]
    pub fn fasten(&mut self, meta: &mut [u64], frame: u64) {
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        self.levels[0].set_group(meta, group, Group { free: units.free & !(1 << (frame % 64)), ..units });
    }

    /// Makes a loose frame free for anyone.
    #[inline]
    pub fn settle(&mut self, meta: &mut [u64], frame: u64) {
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        self.vacate(meta, frame, 0, group, self.levels[0].state(meta, group), units);
    }

    /// The group, its state and its units, for the block of `order` at `frame`, if exactly that is allocated.
    #[inline(always)]
    pub fn allocated(&self, meta: &[u64], frame: u64, order: u32) -> Option<(usize, State, Group)> {
        let (level, class) = (level_of(order), order % CLASSES);
        if level > self.top || !self.has(meta, frame) {
            return None;
        }
        let group = self.group_of(meta, level, frame);
        let state = self.levels[level].state(meta, group);
        let units = self.levels[level].group(meta, group);
        if !state.exists()
            || !units.holds(bit_of(level, frame), class)
            || state.has_holes() && !self.was_given(meta, frame)
        {
            return None;
        }
        Some((group, state, units))
    }

    /// Dissolves the group of `level` around `frame`, now wholly free, and frees its unit on the level above.
    #[inline(never)]
    pub fn complete(&mut self, meta: &mut [u64], mut level: usize, frame: u64) {
        loop {
            let group = self.group_of(meta, level, frame);
            self.set_state(meta, level, group, self.levels[level].state(meta, group), State::ABSENT);
            level += 1;
            let group = self.group_of(meta, level, frame);
            let mut units = self.levels[level].group(meta, group);
            units.head &= !(1 << bit_of(level, frame));
            if units.vacant() != !0 || level == self.top {
                self.levels[level].set_group(meta, group, units);
                self.restate(meta, level, group, self.levels[level].state(meta, group), units.vacant());
                return;
            }
        }
    }

    /// Notes what is free in a group that exists, now that this has changed. Its state was `before`.
    #[inline(never)]
    pub fn restate(&mut self, meta: &mut [u64], level: usize, group: usize, before: State, vacant: u64) {
        self.set_state(meta, level, group, before, State::of(classes(vacant)).with_holes(before.has_holes()));
    }

    /// Sets a group's state, and lists it under the class of its largest free block.
    #[inline]
    pub fn set_state(&mut self, meta: &mut [u64], level: usize, group: usize, before: State, after: State) {
        let listed = &mut self.levels[level];
        listed.set_state(meta, group, after);
        let (before, after) = (before.classes(), after.classes());
        if before != after {
            let (emptied, begun) = listed.relist(meta, group, before, after);
            // The lists' bits begin with that of the groups without a free block, which are no order's.
            self.available &= !((emptied >> 1) << unit_shift(level));
            self.available |= (begun >> 1) << unit_shift(level);
        }
    }
}

const _: () = assert!(SHIFT == CLASSES && LEVELS as u32 * CLASSES < u32::BITS);
