//! What the order of a block tells of it, in a table: a CPU cannot guess the order of the next block.

use super::group::{CLASSES, Group, Pattern};
use super::section::unit_shift;

/// Blocks of one order.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The level that they live on.
    pub level: u8,
    /// Their class on it.
    pub class: u8,
    /// log2 of the frames in a unit of that level.
    pub shift: u8,
    /// Bits that the first frame of a unit does not have.
    low: u64,
    /// How an allocated one looks in its group.
    pub pattern: Pattern,
}

const SHAPES: [Shape; 32] = {
    let mut shapes = [Shape { level: 0, class: 0, shift: 0, low: 0, pattern: Pattern::of(0) }; 32];
    let mut order = 0;
    while order < 4 * CLASSES as usize {
        let (level, class) = (order as u32 / CLASSES, order as u32 % CLASSES);
        shapes[order] = Shape {
            level: level as u8,
            class: class as u8,
            shift: unit_shift(level as usize) as u8,
            low: (1 << unit_shift(level as usize)) - 1,
            pattern: Pattern::of(class),
        };
        order += 1;
    }
    shapes
};

/// The shape of blocks of `order`.
#[inline(always)]
pub(super) const fn shape(order: u32) -> &'static Shape {
    &SHAPES[order as usize % 32]
}

impl Shape {
    /// The place of the unit at `frame` in its group.
    #[inline(always)]
    pub const fn bit(&self, frame: u64) -> u32 {
        (frame >> self.shift) as u32 % 64
    }

    /// Whether `units` say that exactly the block at `first` is allocated.
    #[inline(always)]
    pub const fn matches(&self, units: Group, first: u64) -> bool {
        units.mismatch(self.bit(first), self.pattern) | first & self.low == 0
    }
}
