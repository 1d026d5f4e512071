//! The arithmetic of one group: 64 units in two words.
//!
//! A unit of level `n` is a block of `64^n` frames, and a group is 64 of them side by side. So a group holds the
//! blocks of six orders, its *classes*: a block of class `c` is `2^c` units whose first is a multiple of `2^c`.
//! Which blocks are free need not be stored: shifting the word over itself finds all of a class at once.

/// log2 of the units in a group.
pub(super) const SHIFT: u32 = 6;

/// The classes 0 to 5 of blocks that are smaller than a group.
pub(super) const CLASSES: u32 = 6;

/// Bit `n` of `STARTS[c]` is set where a block of class `c` may begin.
const STARTS: [u64; CLASSES as usize] =
    [!0, 0x5555_5555_5555_5555, 0x1111_1111_1111_1111, 0x0101_0101_0101_0101, 0x0001_0001_0001_0001, 0x1_0000_0001];

/// 64 units of one level, with two bits for each:
///
/// | `free` | `head` | the unit |
/// |---|---|---|
/// | 1 | 0 | is free |
/// | 0 | 1 | begins an allocated block, or was never given |
/// | 0 | 0 | continues the allocated block that begins before it |
/// | 1 | 1 | is split into a group of the level below; on level 0, is loose (`loose.rs`) |
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// The first bits.
    pub free: u64,
    /// The second bits.
    pub head: u64,
}

impl Group {
    /// All units free.
    pub const FREE: Self = Self { free: !0, head: 0 };

    /// No unit was ever given.
    pub const NEVER_GIVEN: Self = Self { free: 0, head: !0 };

    /// The units that are free.
    #[inline]
    pub const fn vacant(self) -> u64 {
        self.free & !self.head
    }

    /// Whether exactly the block of `class` at `bit`, no smaller and no larger, is allocated (or is one unit that was
    /// never given, which the caller tells apart). The block must be aligned.
    ///
    /// What comes next must be free or begin something. If the block ends with the group, that is unit 0 of the
    /// same group after the rotation, with which something always begins: no block reaches from one group into another.
    #[inline]
    pub const fn holds(self, bit: u32, class: u32) -> bool {
        let next = 1 << (1 << class);
        let begins = (self.free | self.head).rotate_right(bit);
        begins & (next | (next - 1)) == next | 1 && self.free >> bit & 1 == 0
    }
}

impl Group {
    /// The units that are allocated as a block of one (or were never given, which the caller tells apart).
    #[inline]
    pub const fn singles(self) -> u64 {
        self.head & !self.free & (self.free | self.head).rotate_right(1)
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

/// Where blocks of each class might begin, were they not bound to multiples of their size: bit `n` of word `c` is set
/// if the `2^c` units from `n` on are free.
#[inline]
pub(super) const fn stretches(free: u64) -> [u64; CLASSES as usize] {
    let one = free & free >> 1;
    let two = one & one >> 2;
    let three = two & two >> 4;
    let four = three & three >> 8;
    [free, one, two, three, four, four & four >> 16]
}

/// Where blocks of `class` may begin.
#[inline]
pub(super) const fn block_starts(class: u32) -> u64 {
    STARTS[class as usize]
}

/// The first units of all free blocks of `class`, parts of larger ones included.
#[inline]
pub(super) const fn blocks(free: u64, class: u32) -> u64 {
    stretches(free)[class as usize] & block_starts(class)
}

/// How many classes there are of which a block is free; so the largest is one less, if there is any.
#[inline]
pub(super) const fn classes(free: u64) -> u32 {
    let stretches = stretches(free);
    (stretches[0] != 0) as u32
        + (stretches[1] & STARTS[1] != 0) as u32
        + (stretches[2] & STARTS[2] != 0) as u32
        + (stretches[3] & STARTS[3] != 0) as u32
        + (stretches[4] & STARTS[4] != 0) as u32
        + (stretches[5] & STARTS[5] != 0) as u32
}

/// How many free blocks of each class there are, each counted once, in the largest block that it is part of.
pub(super) const fn census(free: u64) -> [u32; CLASSES as usize] {
    let mut counts = [0; CLASSES as usize];
    let mut larger = 0;
    let mut class = CLASSES;
    while class > 0 {
        class -= 1;
        let all = blocks(free, class).count_ones();
        counts[class as usize] = all - 2 * larger;
        larger = all;
    }
    counts
}
