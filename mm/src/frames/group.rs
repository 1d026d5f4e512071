//! The arithmetic of one group: 64 units in two words.
//!
//! A unit of level `n` is a block of `64^n` frames, and a group is 64 of them side by side. So a group holds the
//! blocks of six orders, its *classes*: a block of class `c` is `2^c` units whose first is a multiple of `2^c`.
//! Which blocks are free need not be stored: shifting the word over itself finds all of a class at once.

use super::word::Cell64;

/// log2 of the units in a group.
pub(super) const SHIFT: u32 = 6;

/// The classes 0 to 5 of blocks that are smaller than a group.
pub(super) const CLASSES: u32 = 6;

/// Bit `n` of `STARTS[c]` is set where a block of class `c` may begin.
const STARTS: [u64; 8] = [
    !0,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x1_0000_0001,
    0,
    0,
];

/// Where two blocks of a class are one of the next.
const ENDS: [u64; 8] = [STARTS[1], STARTS[2], STARTS[3], STARTS[4], STARTS[5], 0, 0, 0];

/// 64 units of one level, with two bits for each:
///
/// | `free` | `head` | the unit |
/// |---|---|---|
/// | 1 | 0 | is free |
/// | 0 | 1 | begins an allocated block |
/// | 0 | 0 | continues the allocated block that begins before it |
/// | 1 | 1 | is split into a group of the level below, or was never given |
///
/// Below a unit that was never given, as below one that is free or allocated as a whole, there is no group: its words
/// are 0, which no group's are, because something begins with its first unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// The first bits.
    pub free: u64,
    /// The second bits.
    pub head: u64,
}

impl Group {
    /// There is no such group.
    pub const NONE: Self = Self { free: 0, head: 0 };

    /// No unit was ever given.
    pub const NEVER_GIVEN: Self = Self { free: !0, head: !0 };

    /// The units that are free.
    #[inline]
    pub const fn vacant(self) -> u64 {
        self.free & !self.head
    }

    /// The units that are split, or were never given.
    #[inline]
    pub const fn split(self) -> u64 {
        self.free & self.head
    }

    /// Whether there is such a group.
    #[inline]
    pub const fn exists(self) -> bool {
        self.free | self.head != 0
    }

    /// Whether exactly the block of `class` at `bit`, no smaller and no larger, is allocated. The block must be aligned.
    ///
    /// What comes next must be free or begin something. If the block ends with the group, that is unit 0 of the
    /// same group after the rotation, with which something always begins: no block reaches from one group into another.
    #[inline]
    pub const fn holds(self, bit: u32, class: u32) -> bool {
        self.mismatch(bit, Pattern::of(class)) == 0
    }

    /// The same for a pattern; 0 if it is.
    #[inline(always)]
    pub(super) const fn mismatch(self, bit: u32, Pattern { mask, want }: Pattern) -> u64 {
        ((self.free | self.head).rotate_right(bit) & mask ^ want) | (self.free >> (bit % 64) & 1)
    }

    /// The units that are allocated as a block of one.
    #[inline]
    pub const fn singles(self) -> u64 {
        self.head & !self.free & (self.free | self.head).rotate_right(1)
    }
}

/// Where things begin in an allocated block of one class, and right behind it.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    mask: u64,
    want: u64,
}

impl Pattern {
    /// The pattern of `class`.
    pub const fn of(class: u32) -> Self {
        let next = 1 << (1 << class);
        Self { mask: next | (next - 1), want: next | 1 }
    }

    /// The units of a block at the beginning of a group.
    #[inline(always)]
    pub const fn units(self) -> u64 {
        self.mask >> 1
    }
}

impl Group {
    /// Reads the two words of a group. Without the lock its bits may be of different ages.
    #[inline(always)]
    pub fn read<W: Cell64>([free, head]: &[W; 2]) -> Self {
        Self { free: free.get(), head: head.get() }
    }

    /// Writes the two words of a group, with the lock held.
    #[inline(always)]
    pub fn write<W: Cell64>(self, [free, head]: &[W; 2]) {
        free.set(self.free);
        head.set(self.head);
    }
}

/// The units of the block of `class` at `bit`.
#[inline]
pub(super) const fn mask(bit: u32, class: u32) -> u64 {
    ((1 << (1 << class)) - 1) << bit
}

/// The units `start .. end`, for `end` up to 64.
#[inline]
pub(super) const fn span(start: u32, end: u32) -> u64 {
    if start >= end { 0 } else { !0 >> (64 - (end - start)) << start }
}

/// The first units of all free blocks of `class`, parts of larger ones included. Without a branch on the class.
#[inline(always)]
pub(super) const fn blocks(free: u64, class: u32) -> u64 {
    let mut all = free;
    let mut at = 0;
    while at + 1 < CLASSES {
        all &= if at < class { all >> (1 << at) } else { !0 };
        at += 1;
    }
    all & STARTS[class as usize % STARTS.len()]
}

/// The first units of the free blocks of exactly `class`, those that are part of no larger one. Of the last class, both
/// halves of a group may be free.
#[inline(always)]
pub(super) const fn exact(free: u64, class: u32) -> u64 {
    let all = blocks(free, class);
    // A block of the last class is part of no larger one.
    let pairs = all & all >> (1 << class) & ENDS[class as usize % ENDS.len()];
    all & !(pairs | pairs << (1 << class))
}

/// The free units that are part of no free block of `class`; all of them if no block is of that class.
#[inline(always)]
pub(super) const fn crumbs(free: u64, class: u32) -> u64 {
    if class >= CLASSES {
        return free;
    }
    free & !blocks(free, class).wrapping_mul(mask(0, class))
}

/// The class of the largest free block around the free unit `bit`. By halvings, without a branch.
#[inline(always)]
pub(super) const fn largest_around(free: u64, bit: u32) -> u32 {
    let thirty_two = (!free >> (bit & 32)) as u32;
    let sixteen = (thirty_two >> (bit & 16)) & 0xFFFF;
    let eight = (sixteen >> (bit & 8)) & 0xFF;
    let four = (eight >> (bit & 4)) & 0xF;
    let two = (four >> (bit & 2)) & 3;
    (thirty_two == 0) as u32 + (sixteen == 0) as u32 + (eight == 0) as u32 + (four == 0) as u32 + (two == 0) as u32
}

/// How many free blocks of each class there are, each counted once, in the largest block that it is part of.
pub(super) const fn census(free: u64) -> [u32; CLASSES as usize] {
    let mut counts = [0; CLASSES as usize];
    let mut class = 0;
    while class < CLASSES {
        counts[class as usize] = exact(free, class).count_ones();
        class += 1;
    }
    counts
}
