//! Frames given for the first time, and blocks cut down.

use super::group::{CLASSES, Group, SHIFT, classes, span};
use super::level::State;
use super::section::unit_shift;
use super::zone::{Zone, bit_of, level_of};

impl Zone {
    /// Cuts the allocated block of `order` at `first` down to its first `count` frames, at least 1 and fewer than it
    /// has. What is kept becomes the fewest blocks that make up `count`, the largest first.
    pub fn trim(&mut self, meta: &mut [u64], first: u64, order: u32, count: u64) {
        let mut level = level_of(order);
        let (mut at, mut rest) = (first, count);
        let mut bit = bit_of(level, at);
        let mut end = bit + (1 << (order % CLASSES));
        let group = self.group_of(meta, level, at);
        let mut units = self.levels[level].group(meta, group);
        let mut state = self.levels[level].state(meta, group);
        loop {
            let kept = rest >> unit_shift(level);
            for class in (0..CLASSES).rev().filter(|class| kept >> class & 1 != 0) {
                units.head |= 1 << bit;
                bit += 1 << class;
            }
            let group = self.group_of(meta, level, at);
            at += kept << unit_shift(level);
            rest -= kept << unit_shift(level);
            units.free |= span(bit, end);
            // A unit of which only a part is kept is split.
            if rest != 0 {
                units.head |= 1 << bit;
            }
            self.levels[level].set_group(meta, group, units);
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
        self.free += end - first;
        self.give_level(meta, self.top, first, end);
    }

    fn give_level(&mut self, meta: &mut [u64], level: usize, first: u64, end: u64) {
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
            let state = self.levels[level].state(meta, group);
            let mut units = if state.exists() { self.levels[level].group(meta, group) } else { Group::NEVER_GIVEN };
            let (from, to) = (unit.max(inner), next.min(inner_end));
            let given = if from < to { span((from % 64) as u32, ((to - 1) % 64) as u32 + 1) } else { 0 };
            units.free |= given;
            units.head &= !given;
            // Units at either end of which only a part is given are split.
            for edge in [first, end] {
                if edge % (1 << shift) != 0 && edge >> (shift + SHIFT) == unit / 64 {
                    units.free |= 1 << bit_of(level, edge);
                }
            }
            self.levels[level].set_group(meta, group, units);
            let vacant = units.vacant();
            let after = State::of(classes(vacant)).with_holes(vacant != !0);
            self.set_state(meta, level, group, state, after);
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
