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

/// 64 units of one level. A unit is free, or something that is not free begins with it, or it continues what began
/// before it.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// The unit is free as a whole.
    pub free: u64,
    /// An allocated block begins with this unit, or the unit is split into a group of the level below, or it was
    /// never given. A unit with neither bit belongs to the block that begins before it.
    pub head: u64,
}

impl Group {
    /// All units free.
    pub const FREE: Self = Self { free: !0, head: 0 };

    /// No unit was ever given.
    pub const NEVER_GIVEN: Self = Self { free: 0, head: !0 };

    /// Whether exactly the block of `class` at `bit`, no smaller and no larger, is allocated (or is one unit that is
    /// split or was never given, which the caller tells apart).
    ///
    /// The block must be aligned. If it ends where the group ends, nothing larger can begin at `bit` on this level;
    /// otherwise whatever comes next must be free or begin something.
    #[inline]
    pub fn holds(self, bit: u32, class: u32) -> bool {
        let begins = self.free | self.head;
        let end = bit + (1 << class);
        begins & mask(bit, class) == 1 << bit && self.head >> bit & 1 != 0 && (end == 64 || begins >> end & 1 != 0)
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

/// The first units of all wholly free blocks of `class`, parts of larger ones included.
#[inline]
pub(super) const fn blocks(free: u64, class: u32) -> u64 {
    let mut blocks = free;
    let mut shift = 1;
    while shift < 1 << class {
        blocks &= blocks >> shift;
        shift *= 2;
    }
    blocks & STARTS[class as usize]
}

/// The classes, as a set of bits, of which a group has a free block: what it can serve.
///
/// Without branches, as [`whole`] is, because after a free in a random place nothing can be foretold about it.
#[inline]
pub(super) const fn served(free: u64) -> u32 {
    let one = free & free >> 1;
    let two = one & one >> 2;
    let three = two & two >> 4;
    let four = three & three >> 8;
    let five = four & four >> 16;
    (free != 0) as u32
        | ((one & STARTS[1] != 0) as u32) << 1
        | ((two & STARTS[2] != 0) as u32) << 2
        | ((three & STARTS[3] != 0) as u32) << 3
        | ((four & STARTS[4] != 0) as u32) << 4
        | ((five & STARTS[5] != 0) as u32) << 5
}

/// The classes, as a set of bits, of which a group has a free block that is not part of a larger one.
#[inline]
pub(super) const fn whole(free: u64) -> u32 {
    let mut set = 0;
    let mut blocks = free;
    let mut class = 0;
    while class + 1 < CLASSES {
        let pairs = blocks & blocks >> (1 << class) & STARTS[class as usize + 1];
        set |= ((blocks != pairs | pairs << (1 << class)) as u32) << class;
        blocks = pairs;
        class += 1;
    }
    set | ((blocks != 0) as u32) << class
}

/// Where a block of `class` is best cut from: the lowest of the smallest free blocks that are large enough, so that
/// larger ones stay whole. There must be one.
pub(super) const fn best_fit(free: u64, class: u32) -> u32 {
    let mut blocks = blocks(free, class);
    let mut class = class;
    while class + 1 < CLASSES {
        let pairs = blocks & blocks >> (1 << class) & STARTS[class as usize + 1];
        let lone = blocks & !(pairs | pairs << (1 << class));
        if lone != 0 {
            return lone.trailing_zeros();
        }
        blocks = pairs;
        class += 1;
    }
    blocks.trailing_zeros()
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
