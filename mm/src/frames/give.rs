//! Frames given for the first time, and blocks cut down.

use super::group::{CLASSES, Group, span};
use super::section::unit_shift;
use super::shape::shape;
use super::word::Words;
use super::zone::{Zone, bit_of};

impl Zone {
    /// Cuts the allocated block of `order` at `first` down to its first `count` frames, at least 1 and fewer than it
    /// has. What is kept becomes the fewest blocks that make up `count`, the largest first.
    pub fn trim(&mut self, meta: Words, first: u64, order: u32, count: u64) {
        let mut level = usize::from(shape(order).level);
        let (mut at, mut rest) = (first, count);
        let mut bit = bit_of(level, at);
        let mut end = bit + (1 << (order % CLASSES));
        let group = self.group_of(meta, level, at);
        let mut units = self.levels[level].group(meta, group);
        loop {
            let kept = rest >> unit_shift(level);
            for class in (0..CLASSES).rev().filter(|class| kept >> class & 1 != 0) {
                units.head |= 1 << bit;
                bit += 1 << class;
            }
            let group = self.group_of(meta, level, at);
            at += kept << unit_shift(level);
            rest -= kept << unit_shift(level);
            let mut freed = span(bit, end);
            units.free |= freed;
            // A unit of which only a part is kept is split.
            if rest != 0 {
                units.head |= 1 << bit;
                freed &= !(1 << bit);
            }
            self.levels[level].set_group(meta, group, units);
            self.hint_blocks(meta, level, group, units.vacant(), freed);
            if rest == 0 {
                break;
            }
            level -= 1;
            (bit, end, units) = (0, 64, Group { free: 0, head: 0 });
        }
        self.free += (1 << order) - count;
    }

    /// Makes the frames `first .. end` free for the first time. They must touch no frame given before.
    pub fn give(&mut self, meta: Words, first: u64, end: u64) {
        self.free += end - first;
        self.give_level(meta, self.top, first, end);
    }

    fn give_level(&mut self, meta: Words, level: usize, first: u64, end: u64) {
        if first == end {
            return;
        }
        let shift = unit_shift(level);
        let (inner, inner_end) = (first.div_ceil(1 << shift), end >> shift);
        // The groups that it touches exist from now on, though only some of their units may be given, or none.
        let mut unit = first >> shift;
        while unit << shift < end {
            let next = (unit | 63) + 1;
            let group = self.group_of(meta, level, first.max(unit << shift));
            let mut units = self.levels[level].group(meta, group);
            if !units.exists() {
                units = Group::NEVER_GIVEN;
            }
            let (from, to) = (unit.max(inner), next.min(inner_end));
            let given = if from < to { span((from % 64) as u32, ((to - 1) % 64) as u32 + 1) } else { 0 };
            units.free |= given;
            units.head &= !given;
            // Units at either end of which only a part is given stay as they are, which is split.
            self.levels[level].set_group(meta, group, units);
            self.hint_blocks(meta, level, group, units.vacant(), given);
            unit = next;
        }
        if level == 0 {
            return;
        }
        if inner <= inner_end {
            self.give_level(meta, level - 1, first, inner << shift);
            self.give_level(meta, level - 1, inner_end << shift, end);
        } else {
            self.give_level(meta, level - 1, first, end);
        }
    }
}
