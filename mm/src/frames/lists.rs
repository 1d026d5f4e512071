//! The free lists of one CPU: a stack of blocks for each order, and a bit for each block that is in one.
//!
//! The bit of a block is that of its first frame modulo 2^16. So a second free of a block that is here is seen at once and without a
//! search. Two blocks a multiple of 256 MiB apart have the same bit; only one of them can be here.

/// The orders that are kept: up to one page of a level-2 table, 2 MiB.
pub(super) const ORDERS: usize = 10;

/// The list of fixed frames; movable ones are in the list of order 0.
pub(super) const FIXED: usize = ORDERS;

/// The list of single frames that lie behind the active group: they are not allocated again but given back, a few at a time.
pub(super) const DEFERRED: usize = ORDERS + 1;

/// How many lists there are.
pub(super) const LISTS: usize = ORDERS + 2;

/// Blocks from this frame on (16 TiB) are not kept.
pub(super) const END: u64 = 1 << 32;

/// Tables by list have this many entries: a power of two, so that an index needs no check.
pub(super) const TABLE: usize = 16;

/// How many blocks each list has room for.
const ROOM: [u32; LISTS] = [256, 128, 64, 32, 16, 8, 8, 4, 4, 4, 128, 8];

/// Where each begins among the slots.
const START: [u32; TABLE] = {
    let mut start = [0; TABLE];
    let mut list = 1;
    while list < TABLE {
        start[list] = start[list - 1] + if list <= LISTS { ROOM[list - 1] } else { 0 };
        list += 1;
    }
    start
};

/// A power of two, so that an index needs no check.
const SLOTS: usize = 1024;

const _: () = assert!(LISTS < TABLE && START[LISTS] as usize <= SLOTS);

/// Words of bits.
const WORDS: usize = 1024;

/// The order of the blocks in a list.
#[inline]
pub(super) const fn order_of(list: usize) -> u8 {
    if list < ORDERS { list as u8 } else { 0 }
}

/// The lists of one CPU.
pub(super) struct Lists {
    /// Behind the last block of each.
    top: [u32; TABLE],
    slots: [u32; SLOTS],
    held: [u64; WORDS],
}

impl Lists {
    /// The most frames that the lists hold.
    pub const MOST: u64 = {
        let (mut most, mut list) = (0, 0);
        while list < LISTS {
            most += (ROOM[list] as u64) << order_of(list);
            list += 1;
        }
        most
    };

    /// Empty lists.
    pub const NONE: Self = Self { top: START, slots: [0; SLOTS], held: [0; WORDS] };

    /// How many blocks a list has.
    #[inline(always)]
    pub const fn len(&self, list: usize) -> u32 {
        self.top[list % TABLE] - START[list % TABLE]
    }

    /// Whether a list has none.
    #[inline(always)]
    pub const fn is_empty(&self, list: usize) -> bool {
        self.top[list % TABLE] == START[list % TABLE]
    }

    /// Whether a list has room for no more.
    #[inline(always)]
    pub const fn is_full(&self, list: usize) -> bool {
        self.top[list % TABLE] == START[(list + 1) % TABLE]
    }

    /// Those of a group of 64 frames with which a block here begins, or one that has the same bit.
    #[inline(always)]
    pub const fn held(&self, group: u64) -> u64 {
        self.held[group as usize % WORDS]
    }

    /// Whether `first` is the beginning of a block here, or has the bit of one.
    #[inline(always)]
    pub const fn is_held(&self, first: u64) -> bool {
        self.held(first >> 6) >> (first % 64) & 1 != 0
    }

    /// Adds a block that is not held to a list that has room.
    #[inline(always)]
    pub const fn push(&mut self, list: usize, first: u64) {
        let top = self.top[list % TABLE];
        self.slots[top as usize % SLOTS] = first as u32;
        self.top[list % TABLE] = top + 1;
        self.held[(first >> 6) as usize % WORDS] |= 1 << (first % 64);
    }

    /// Adds single frames of a group, none of which is held, to a list that has room. The lowest is the last.
    #[inline]
    pub fn push_group(&mut self, list: usize, group: u64, frames: u64) {
        self.held[group as usize % WORDS] |= frames;
        let (mut rest, mut top) = (frames, self.top[list % TABLE]);
        while rest != 0 {
            let bit = 63 - rest.leading_zeros();
            rest &= !(1 << bit);
            self.slots[top as usize % SLOTS] = (group << 6) as u32 | bit;
            top += 1;
        }
        self.top[list % TABLE] = top;
    }

    /// The last block of a list that has one.
    #[inline(always)]
    pub const fn last(&self, list: usize) -> u64 {
        self.slots[(self.top[list % TABLE] as usize).wrapping_sub(1) % SLOTS] as u64
    }

    /// Takes the last block out of a list that has one.
    #[inline(always)]
    pub const fn pop(&mut self, list: usize) -> u64 {
        let first = self.last(list);
        self.top[list % TABLE] -= 1;
        self.held[(first >> 6) as usize % WORDS] &= !(1 << (first % 64));
        first
    }

    /// Takes the last single frames, at most `most`, that are neighbours in one group of 64 out of a list that has one.
    #[inline(always)]
    pub fn pop_group(&mut self, list: usize, most: u32) -> (u64, u64) {
        let mut top = self.top[list % TABLE];
        let least = START[list % TABLE].max(top.saturating_sub(most));
        let mut frame = self.slots[(top as usize).wrapping_sub(1) % SLOTS];
        let group = frame >> 6;
        let mut frames = 0;
        while frame >> 6 == group {
            frames |= 1 << (frame % 64);
            top -= 1;
            if top == least {
                break;
            }
            frame = self.slots[(top as usize).wrapping_sub(1) % SLOTS];
        }
        self.top[list % TABLE] = top;
        self.held[group as usize % WORDS] &= !frames;
        (group.into(), frames)
    }

    /// Whether the block at `first` is in a list. A search.
    pub fn has(&self, list: usize, first: u64) -> bool {
        let range = START[list % TABLE] as usize..self.top[list % TABLE] as usize;
        self.slots[range].iter().any(|slot| u64::from(*slot) == first)
    }

    /// How many frames are here.
    pub fn frames(&self) -> u64 {
        (0..LISTS).map(|list| u64::from(self.len(list)) << order_of(list)).sum()
    }
}
