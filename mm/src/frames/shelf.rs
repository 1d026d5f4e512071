//! Blocks of one order that a CPU has at hand.
//!
//! A shelf has 64 places, and a block of number `n` (its first frame divided by its size) has the place `n % 64`: so
//! whether a block is here takes one look, and a block that is freed twice is found without a search. A place keeps the
//! number of a block that has gone through it even while the block is in use: when that comes back, nobody else need
//! be asked whether it may.

use crate::Frame;

/// How many frames' worth of blocks of an order are kept.
const FRAMES: u32 = 1024;

/// What empty places hold: a number that belongs elsewhere, so that no block is taken for it.
const EMPTY: [u32; 64] = {
    let mut numbers = [0; 64];
    numbers[0] = 1;
    numbers
};

/// Blocks of one order.
#[derive(Clone, Copy)]
pub(super) struct Shelf {
    /// The block of each place, by its number.
    blocks: [u32; 64],
    /// The places whose block is free.
    free: u64,
    /// How many more may be free.
    room: u8,
}

/// The number of the block around `first`.
#[inline]
const fn number(first: Frame, order: u8) -> u64 {
    first.0 >> order
}

impl Shelf {
    /// The highest order that is worth keeping, one page of a level-2 table: a block of it is 2 MiB.
    pub const MAX_ORDER: u8 = 9;

    /// How many blocks of `order` are kept at most.
    pub const fn most(order: u8) -> u8 {
        let worth = FRAMES >> order;
        if worth > 64 {
            64
        } else if worth < 4 {
            4
        } else {
            worth as u8
        }
    }

    /// An empty shelf for blocks of `order`.
    pub const fn new(order: u8) -> Self {
        Self { blocks: EMPTY, free: 0, room: Self::most(order) }
    }

    /// How many blocks on it are free.
    pub fn count(&self) -> u64 {
        u64::from(self.free.count_ones())
    }

    /// Takes a free block that ends at or before `below`, if one is at hand.
    #[inline]
    pub fn take(&mut self, order: u8, below: Frame) -> Option<Frame> {
        if self.free == 0 {
            return None;
        }
        let place = self.free.trailing_zeros() as usize % 64;
        let first = u64::from(self.blocks[place]) << order;
        if first + (1 << order) > below.0 {
            return None;
        }
        self.free &= self.free - 1;
        self.room += 1;
        Some(Frame(first))
    }

    /// Notes that a block is in use from now on, so that it can come back quickly.
    #[inline]
    pub fn note(&mut self, first: Frame, order: u8) {
        let number = number(first, order);
        let place = number as usize % 64;
        if self.free >> place & 1 == 0 && number <= u64::from(u32::MAX) {
            self.blocks[place] = number as u32;
        }
    }

    /// Takes back a block that went through here and is in use. Whether that is so.
    #[inline]
    pub fn take_back(&mut self, first: Frame, order: u8) -> bool {
        let number = number(first, order);
        let place = number as usize % 64;
        let ours = u64::from(self.blocks[place]) << order == first.0 && self.free >> place & 1 == 0 && self.room > 0;
        if ours {
            self.free |= 1 << place;
            self.room -= 1;
        }
        ours
    }

    /// Whether a block that is allocated as such may be put here.
    #[inline]
    pub fn has_place(&self, first: Frame, order: u8) -> bool {
        let number = number(first, order);
        self.room > 0 && self.free >> (number % 64) & 1 == 0 && number <= u64::from(u32::MAX)
    }

    /// Puts a block here, for which there must be a place.
    #[inline]
    pub fn put(&mut self, first: Frame, order: u8) {
        let number = number(first, order);
        self.blocks[number as usize % 64] = number as u32;
        self.free |= 1 << (number % 64);
        self.room -= 1;
    }

    /// Forgets a block that went through here and is in use: it is given back elsewhere.
    #[inline]
    pub fn forget(&mut self, first: Frame, order: u8) {
        let number = number(first, order);
        let place = number as usize % 64;
        if u64::from(self.blocks[place]) == number && self.free >> place & 1 == 0 {
            self.blocks[place] = EMPTY[place];
        }
    }

    /// Whether the block of `order` around `frame` is here and free.
    pub fn holds(&self, frame: Frame, order: u8) -> bool {
        let number = number(frame, order);
        self.free >> (number % 64) & 1 != 0 && u64::from(self.blocks[number as usize % 64]) == number
    }

    /// Empties the shelf. Its free blocks, as the frames they begin with.
    pub fn clear(&mut self, order: u8) -> impl Iterator<Item = Frame> {
        let mut old = core::mem::replace(self, Self::new(order));
        core::iter::from_fn(move || old.take(order, Frame(u64::MAX)))
    }
}
