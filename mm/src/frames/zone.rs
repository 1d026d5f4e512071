//! One zone: taking blocks out, giving them back.
//!
//! A block of order `o` is a block of class `o % 6` on level `o / 6`. Free blocks live on their own level only: when a
//! group of 64 units is wholly free it ceases to exist and one unit of the level above is free instead; when none of
//! a level serves, a unit of the level above is split into a new group. Both touch a few words, whatever the size.
//!
//! Placement. A single frame comes from the lowest group that has one, so that the upper groups drain until they are
//! whole again (`single.rs`). A larger block comes from the smallest free block that serves, the lowest of those, so that a block
//! of 2 MiB or 1 GiB is broken only when nothing smaller is left. Lowest-first for all would leave one request in ten without a
//! block where memory is 95 % full and orders are mixed; smallest-first for all would leave no block of 2 MiB whole where only
//! single frames come and go.

use super::group::{CLASSES, Group, SHIFT, exact, largest_around, mask};
use super::level::Level;
use super::section::{LEVELS, Section, unit_shift};
use super::shape::{Shape, shape};
use super::word::Words;

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
    /// Bit `o` is set if some group is hinted to have a free block of order `o`.
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
}

/// The unit's place in its group.
#[inline]
pub(super) const fn bit_of(level: usize, frame: u64) -> u32 {
    (frame >> unit_shift(level)) as u32 % 64
}

/// The bits of `available` that stand for groups of level 0.
pub(super) const SINGLES: u32 = (1 << CLASSES) - 1;

impl Zone {
    /// Takes a block of `order`.
    #[inline]
    pub fn alloc(&mut self, meta: Words, order: u32) -> Option<u64> {
        if order == 0
            && let Some(frame) = self.alloc_single(meta)
        {
            return Some(frame);
        }
        let mut first = None;
        self.alloc_some(meta, order, 1, &mut |block| first = Some(block));
        first
    }

    /// Takes up to `most` blocks of `order` and tells `give` where each begins. Returns how many.
    #[inline(always)]
    pub fn alloc_some(&mut self, meta: Words, order: u32, most: u32, give: &mut impl FnMut(u64)) -> u32 {
        let mut count = 0;
        while count < most {
            let fitting = self.available >> order;
            if fitting == 0 {
                break;
            }
            let found = order + fitting.trailing_zeros();
            let shape = shape(found);
            let (level, class) = (usize::from(shape.level) % LEVELS, u32::from(shape.class));
            let (row, groups) = self.levels[level].lowest(meta, class);
            let group = row << SHIFT | groups.trailing_zeros() as usize & 63;
            let Group { mut free, mut head } = self.levels[level].group(meta, group);
            let mut blocks = exact(free & !head, class);
            if found == order {
                while blocks != 0 && count < most {
                    let bit = blocks.trailing_zeros();
                    blocks &= blocks - 1;
                    free &= !(shape.pattern.units() << bit);
                    head |= 1 << bit;
                    count += 1;
                    give(self.frame(meta, level, group, bit));
                    self.free -= 1 << order;
                }
                self.levels[level].set_group(meta, group, Group { free, head });
            } else if blocks != 0 {
                let bit = blocks.trailing_zeros();
                blocks &= blocks - 1;
                count += 1;
                give(self.take(meta, found, group, bit, order));
            }
            if blocks == 0 {
                self.strike(meta, level, class, group);
            }
        }
        count
    }

    /// Takes a block of `order` whose first `needed` frames end at or before the frame `below`.
    ///
    /// The hints name all groups that have a free block of a class, so the lowest that has one has the lowest block: if that
    /// one is not low enough, none of the class is.
    pub fn alloc_below(&mut self, meta: Words, order: u32, needed: u64, below: u64) -> Option<u64> {
        let mut found = order;
        while self.available >> found != 0 {
            if self.available >> found & 1 == 0 {
                found += 1;
                continue;
            }
            let shape = shape(found);
            let (level, class) = (usize::from(shape.level) % LEVELS, u32::from(shape.class));
            let (row, groups) = self.levels[level].lowest(meta, class);
            let group = row << SHIFT | groups.trailing_zeros() as usize & 63;
            let blocks = exact(self.levels[level].group(meta, group).vacant(), class);
            let bit = blocks.trailing_zeros() % 64;
            if blocks != 0 && self.frame(meta, level, group, bit) + needed > below {
                found += 1;
                continue;
            }
            if blocks & blocks.wrapping_sub(1) == 0 {
                self.strike(meta, level, class, group);
            }
            if blocks != 0 {
                return Some(self.take(meta, found, group, bit, order));
            }
        }
        None
    }

    /// Takes the beginning of the free block of the order `found` at `bit`, as a block of `order`. The rest stays free.
    #[inline(always)]
    pub fn take(&mut self, meta: Words, found: u32, group: usize, bit: u32, order: u32) -> u64 {
        let (whole, part) = (shape(found), shape(order));
        let level = usize::from(whole.level) % LEVELS;
        let Group { free, head } = self.levels[level].group(meta, group);
        // A unit that is split keeps its bit.
        let taken = if whole.level == part.level { part.pattern.units() << bit } else { 0 };
        self.levels[level].set_group(meta, group, Group { free: free & !taken, head: head | 1 << bit });
        self.free -= 1 << order;
        let first = self.frame(meta, level, group, bit);
        if found != order {
            self.leave_rest(meta, found, group, order, first);
        }
        first
    }

    /// Hints at what is left of a free block of the order `found` when a block of `order` at its beginning was taken.
    #[inline(never)]
    fn leave_rest(&mut self, meta: Words, found: u32, group: usize, order: u32, first: u64) {
        let (whole, part) = (shape(found), shape(order));
        let own = if whole.level == part.level { part.class } else { 0 };
        for left in own..whole.class {
            self.hint(meta, whole.level.into(), left.into(), group);
        }
        if whole.level != part.level {
            self.split(meta, whole.level.into(), first, order);
        }
    }

    /// Makes the groups below `from` of which the first begins with an allocated block of `order` at `first`.
    fn split(&mut self, meta: Words, from: usize, first: u64, order: u32) {
        let part = shape(order);
        for level in (part.level.into()..from).rev() {
            let is_last = level == usize::from(part.level);
            let (own, taken) = if is_last { (part.class.into(), part.pattern.units()) } else { (0, 0) };
            let group = self.group_of(meta, level, first);
            self.levels[level].set_group(meta, group, Group { free: !taken, head: 1 });
            for left in own..CLASSES {
                self.hint(meta, level, left, group);
            }
        }
    }

    /// Gives back the block of `order` at `frame`, if exactly that is allocated.
    #[inline(always)]
    pub fn free(&mut self, meta: Words, frame: u64, order: u32) -> bool {
        self.free_shaped(meta, frame, order, *shape(order))
    }

    /// The same for callers that have its shape.
    #[inline(always)]
    pub fn free_shaped(&mut self, meta: Words, frame: u64, order: u32, shape: Shape) -> bool {
        let Some((group, units)) = self.allocated_shaped(meta, frame, shape) else { return false };
        let bit = shape.bit(frame);
        let after = Group { free: units.free | shape.pattern.units() << bit, head: units.head & !(1 << bit) };
        self.free += 1 << order;
        self.vacate(meta, usize::from(shape.level) % LEVELS, group, after, bit, frame);
        true
    }

    /// The group, and its units, for the block of `order` at `frame`, if exactly that is allocated.
    #[inline(always)]
    pub fn allocated(&self, meta: Words, frame: u64, order: u32) -> Option<(usize, Group)> {
        self.allocated_shaped(meta, frame, *shape(order))
    }

    #[inline(always)]
    fn allocated_shaped(&self, meta: Words, frame: u64, shape: Shape) -> Option<(usize, Group)> {
        let level = usize::from(shape.level) % LEVELS;
        if level > self.top {
            return None;
        }
        let group = self.locate(meta, level, frame)?;
        let units = self.levels[level].group(meta, group);
        shape.matches(units, frame).then_some((group, units))
    }

    /// Writes a group of which the block around `bit` has just become free; `frame` lies in it.
    #[inline(always)]
    pub fn vacate(&mut self, meta: Words, level: usize, group: usize, units: Group, bit: u32, frame: u64) {
        let vacant = units.vacant();
        if vacant == !0 && level < self.top {
            return self.dissolve(meta, level, frame);
        }
        self.levels[level].set_group(meta, group, units);
        self.hint(meta, level, largest_around(vacant, bit), group);
    }

    /// Dissolves the group of `level` around `frame`, now wholly free, and frees its unit on the level above.
    #[inline(never)]
    fn dissolve(&mut self, meta: Words, mut level: usize, frame: u64) {
        loop {
            self.levels[level].set_group(meta, self.group_of(meta, level, frame), Group::NONE);
            level += 1;
            let group = self.group_of(meta, level, frame);
            let bit = bit_of(level, frame);
            let mut units = self.levels[level].group(meta, group);
            units.head &= !(1 << bit);
            if units.vacant() != !0 || level == self.top {
                self.levels[level].set_group(meta, group, units);
                return self.hint(meta, level, largest_around(units.vacant(), bit), group);
            }
        }
    }

    /// Hints at each free block that the units of `among`, which are free, are part of.
    pub fn hint_blocks(&mut self, meta: Words, level: usize, group: usize, vacant: u64, mut among: u64) {
        while among != 0 {
            let bit = among.trailing_zeros();
            let class = largest_around(vacant, bit);
            self.hint(meta, level, class, group);
            among &= !mask(bit >> class << class, class);
        }
    }

    /// Notes that `group` has a free block of exactly `class`.
    #[inline(always)]
    pub fn hint(&mut self, meta: Words, level: usize, class: u32, group: usize) {
        if self.levels[level].hint(meta, class, group) {
            self.available |= 1 << (unit_shift(level) + class);
        }
    }

    /// Takes back that it has.
    #[inline(always)]
    pub fn strike(&mut self, meta: Words, level: usize, class: u32, group: usize) {
        if self.levels[level].strike(meta, class, group) {
            self.available &= !(1 << (unit_shift(level) + class));
        }
    }
}

const _: () = assert!(SHIFT == CLASSES && LEVELS as u32 * CLASSES < u32::BITS);
