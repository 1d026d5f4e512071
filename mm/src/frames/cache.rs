//! What one CPU keeps of the free frames, so that most calls need no lock.
//!
//! A cache takes and gives back frames by the group: 64 frames side by side are one word, a bit for each. It has two
//! *hands*, from which frames are dealt, and a few *piles*, on which they are gathered when they come back:
//!
//! ```text
//!    alloc <- hand (fixed):   group 17    1110 0100 ...       refilled: all that is free in the lowest broken group
//!    alloc <- hand (movable): group 90    0000 1011 ...
//!    free  -> pile:           group 12    1011 0000 ...       put back together, when another group needs the place
//! ```
//!
//! Page tables and whatever else can never be moved come from one hand, the rest from the other, so that the two do not
//! lie in the same 256 KiB unless memory is short. A frame that comes back to a hand's group goes into the hand, and so
//! a pair costs a few instructions. It is not dealt next if it came from elsewhere: the hand is refilled where memory
//! is already broken and low, which is what keeps large blocks whole. A stack of frames would deal the last one returned,
//! wherever it lies, and leave memory as broken as it ever was.
//!
//! Frames that come back far apart are not worth a pile: the first of a group is *loose* (`loose.rs`), and a pile is
//! begun by the second in a row.
//!
//! Blocks of the orders 1 to 9 are kept as they come back, some of each, on a *shelf* an order (`shelf.rs`), and are
//! neither split nor joined before the allocator runs short.
//!
//! # Several CPUs
//!
//! Nothing here is lock-free, and nothing needs to be proven about memory order. A cache is a plain value of which its
//! CPU has the only `&mut`; what CPUs share is [`Frames`] alone, which is reached through [`Depot::with`], that is
//! under one lock, and no lock is taken inside it. A group can be in the caches of several CPUs, but a *frame* is free
//! in at most one: in the allocator's books what caches hold is allocated, [`Frames::take_group`] hands a free frame to
//! one cache only, and a frame comes to a pile only from its owner, who had it alone.
//!
//! A wrong free is refused at once as long as the cache that is told of it is the one that has the frame, or none has
//! it. What stays unseen until the pile or the shelf is put back, and is then refused and counted by
//! [`FrameCache::refused`], is a frame given back on two CPUs.

use super::loose::Loose;
use super::shelf::Shelf;
use super::{FrameError, Frames};
use crate::Frame;

/// Frames in a group, as a power of two.
const GROUP: u32 = 6;

/// How many groups can be gathered at once.
const PILES: usize = 16;

/// Half a group. A pile that has come to so many is dealt from again without asking the allocator.
const HALF: u32 = 32;

/// No group: beyond the last frame that can exist.
const NONE: u64 = u64::MAX;

/// Where a cache gets its frames from: the allocator, or a lock around it.
pub trait Depot {
    /// Does `work` while nobody else uses the allocator.
    fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R;
}

impl Depot for Frames {
    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
        work(self)
    }
}

/// What a frame is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// For page tables and the kernel's own data, whose address stays what it is.
    Fixed = 0,
    /// For what is only reached through page tables and could be moved.
    Movable = 1,
}

/// Frames of one group.
#[derive(Clone, Copy)]
struct Part {
    /// The number of the group's first frame, divided by 64.
    group: u64,
    /// The frames that are free and in this cache.
    free: u64,
    /// The frames that may come back here: they are single frames, allocated as far as the allocator knows.
    ours: u64,
}

impl Part {
    const EMPTY: Self = Self { group: NONE, free: 0, ours: 0 };

    /// Whether there is enough in it to deal from it again without asking the allocator: a whole half.
    #[inline]
    fn is_worth_dealing(&self) -> bool {
        self.free as u32 == u32::MAX || (self.free >> 32) as u32 == u32::MAX
    }

    /// Takes `bit` back, unless it is free already or none of those that may come. Whether it did.
    #[inline]
    fn take_back(&mut self, bit: u64) -> bool {
        let right = self.ours & !self.free & bit != 0;
        if right {
            self.free |= bit;
        }
        right
    }
}

/// The free frames that one CPU has at hand.
pub struct FrameCache {
    /// Fixed frames lie below this one.
    reach: Frame,
    hands: [Part; 2],
    piles: [Part; PILES],
    /// How many frames have come to piles since it was last looked whether one is worth dealing.
    gathered: u32,
    /// The group of the last frame that went straight to the allocator.
    last: u64,
    refused: u64,
    loose: Loose,
    /// Blocks of the orders from 1 on.
    shelves: [Shelf; Shelf::MAX_ORDER as usize],
}

/// Empty shelves, one for each order.
const SHELVES: [Shelf; Shelf::MAX_ORDER as usize] = {
    let mut shelves = [Shelf::new(1); Shelf::MAX_ORDER as usize];
    let mut order = 1;
    while order <= Shelf::MAX_ORDER {
        shelves[order as usize - 1] = Shelf::new(order);
        order += 1;
    }
    shelves
};

impl FrameCache {
    /// The most frames that a cache can hold.
    pub const MOST: u64 = {
        let mut most = (64 * (2 + PILES)) as u64 + Loose::MOST;
        let mut order = 1;
        while order <= Shelf::MAX_ORDER {
            most += (Shelf::most(order) as u64) << order;
            order += 1;
        }
        most
    };

    /// An empty cache. Frames for [`Purpose::Fixed`] will lie below `reach`.
    pub const fn new(reach: Frame) -> Self {
        Self {
            reach,
            hands: [Part::EMPTY; 2],
            piles: [Part::EMPTY; PILES],
            gathered: 0,
            last: NONE,
            refused: 0,
            loose: Loose::new(),
            shelves: SHELVES,
        }
    }

    /// Changes what frames for [`Purpose::Fixed`] lie below, of a cache that has been [drained](Self::drain).
    pub const fn set_reach(&mut self, reach: Frame) {
        self.reach = reach;
    }

    /// The limit below which frames for `purpose` lie.
    fn limit(&self, purpose: Purpose) -> Frame {
        match purpose {
            Purpose::Fixed => self.reach,
            Purpose::Movable => Frames::ANYWHERE,
        }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// [`FrameError::NoMemory`] if neither the allocator nor this cache has one. Other caches may.
    #[inline]
    pub fn alloc(&mut self, depot: &mut impl Depot, purpose: Purpose) -> Result<Frame, FrameError> {
        let hand = &mut self.hands[purpose as usize];
        if hand.free == 0 {
            return self.refill(depot, purpose);
        }
        let bit = hand.free.trailing_zeros();
        hand.free &= hand.free - 1;
        Ok(Frame(hand.group << GROUP | u64::from(bit)))
    }

    /// Gives a frame back.
    ///
    /// # Errors
    /// As [`Frames::free`] of order 0. Nothing has changed then.
    #[inline]
    pub fn free(&mut self, depot: &mut impl Depot, frame: Frame) -> Result<(), FrameError> {
        let (group, bit) = (frame.0 >> GROUP, 1 << (frame.0 % 64));
        for hand in &mut self.hands {
            if hand.group == group && hand.take_back(bit) {
                return Ok(());
            }
        }
        let pile = &mut self.piles[group as usize % PILES];
        if pile.group == group && pile.take_back(bit) {
            self.gathered += 1;
            return Ok(());
        }
        self.free_elsewhere(depot, frame)
    }

    #[inline(never)]
    fn refill(&mut self, depot: &mut impl Depot, purpose: Purpose) -> Result<Frame, FrameError> {
        if purpose == Purpose::Movable
            && self.loose.has_low()
            && let Some(frame) = depot.with(|frames| self.loose.take(frames))
        {
            return Ok(frame);
        }
        let limit = self.limit(purpose);
        // Most of the time no pile has grown to that since the last look.
        let gathered = self.gathered >= HALF;
        let worth = |pile: &&mut Part| pile.is_worth_dealing() && (pile.group + 1) << GROUP <= limit.0;
        let hand = &mut self.hands[purpose as usize];
        if gathered && let Some(pile) = self.piles.iter_mut().find(worth) {
            *hand = core::mem::replace(pile, Part::EMPTY);
        } else {
            self.gathered %= HALF;
            *hand = Part::EMPTY;
            depot.with(|frames| {
                let (group, free) = frames.take_group(limit).or_else(|_| {
                    // Under pressure everything goes back, so that what fits is found wherever it is.
                    self.drain(frames);
                    frames.take_group(limit)
                })?;
                self.hands[purpose as usize] = Part { group, free, ours: free };
                if purpose == Purpose::Movable {
                    let first = Frame(group << GROUP | u64::from(free.trailing_zeros()));
                    self.loose.hand_at(first, frames.zone_start(first));
                }
                Ok(())
            })?;
        }
        let hand = &mut self.hands[purpose as usize];
        let bit = hand.free.trailing_zeros();
        hand.free &= hand.free - 1;
        Ok(Frame(hand.group << GROUP | u64::from(bit)))
    }

    /// Gives a frame back that no hand and no pile takes, or finds out why it must not be.
    #[inline(never)]
    fn free_elsewhere(&mut self, depot: &mut impl Depot, frame: Frame) -> Result<(), FrameError> {
        let (group, bit) = (frame.0 >> GROUP, 1 << (frame.0 % 64));
        let place = group as usize % PILES;
        let mut known = false;
        for part in [&self.hands[0], &self.hands[1], &self.piles[place]] {
            if part.group == group {
                known = true;
                if part.free & bit != 0 {
                    return Err(FrameError::DoubleFree);
                }
            }
        }
        // One in a row, or a group that is here already: what may come back to it has been said.
        let told = if known || self.last != group {
            self.last = group;
            depot.with(|frames| self.loose.put(frames, frame))
        } else {
            self.begin_pile(depot, frame)
        };
        told.map_err(|error| self.refusal(frame, error))
    }

    /// Begins a pile with a frame that is given back.
    fn begin_pile(&mut self, depot: &mut impl Depot, frame: Frame) -> Result<(), FrameError> {
        let (group, bit) = (frame.0 >> GROUP, 1 << (frame.0 % 64));
        let pile = &mut self.piles[group as usize % PILES];
        self.refused += depot.with(|frames| {
            let ours = frames.singles(frame);
            if ours & bit == 0 {
                return frames.free(frame, 0).map(|()| 0);
            }
            let old = core::mem::replace(pile, Part { group, free: bit, ours });
            Ok(give_back(frames, old))
        })?;
        Ok(())
    }

    /// Takes a block of `order` that lies wholly below the frame `below`. Those of order 0 do not come from the hands.
    ///
    /// # Errors
    /// As [`Frames::alloc`]; [`FrameError::NoMemory`] only when nothing is left in this cache.
    #[inline]
    pub fn alloc_block(&mut self, depot: &mut impl Depot, order: u8, below: Frame) -> Result<Frame, FrameError> {
        if let Some(shelf) = self.shelves.get_mut(usize::from(order).wrapping_sub(1))
            && let Some(first) = shelf.take(order, below)
        {
            return Ok(first);
        }
        self.alloc_elsewhere(depot, order, below)
    }

    #[inline(never)]
    fn alloc_elsewhere(&mut self, depot: &mut impl Depot, order: u8, below: Frame) -> Result<Frame, FrameError> {
        let first = depot.with(|frames| match frames.alloc(order, below) {
            Err(FrameError::NoMemory) => {
                self.drain(frames);
                frames.alloc(order, below)
            }
            told => told,
        })?;
        if let Some(shelf) = self.shelves.get_mut(usize::from(order).wrapping_sub(1)) {
            shelf.note(first, order);
        }
        Ok(first)
    }

    /// Gives back the block of `order` that begins at `first`.
    ///
    /// # Errors
    /// As [`Frames::free`]. Nothing has changed then.
    #[inline]
    pub fn free_block(&mut self, depot: &mut impl Depot, first: Frame, order: u8) -> Result<(), FrameError> {
        if let Some(shelf) = self.shelves.get_mut(usize::from(order).wrapping_sub(1))
            && shelf.take_back(first, order)
        {
            return Ok(());
        }
        if order == 0 { self.free(depot, first) } else { self.free_block_elsewhere(depot, first, order) }
    }

    /// Gives a block back that did not go through its shelf, or finds out why it must not be.
    #[inline(never)]
    fn free_block_elsewhere(&mut self, depot: &mut impl Depot, first: Frame, order: u8) -> Result<(), FrameError> {
        let freed = match self.shelves.get_mut(usize::from(order).wrapping_sub(1)) {
            Some(shelf) if shelf.holds(first, order) && first.0.is_multiple_of(1 << order) => {
                Err(FrameError::DoubleFree)
            }
            Some(shelf) if shelf.has_place(first, order) => {
                depot.with(|frames| frames.check(first, order)).map(|()| shelf.put(first, order))
            }
            Some(shelf) => {
                shelf.forget(first, order);
                depot.with(|frames| frames.free(first, order))
            }
            None => depot.with(|frames| frames.free(first, order)),
        };
        freed.map_err(|error| self.refusal(first, error))
    }

    /// What to say of a frame that the allocator refuses: it does not know that what is here is free.
    #[cold]
    fn refusal(&self, frame: Frame, error: FrameError) -> FrameError {
        let late = matches!(error, FrameError::WrongOrder | FrameError::CrossesZone);
        if late && self.holds(frame) { FrameError::DoubleFree } else { error }
    }

    /// Gives everything back to the allocator.
    pub fn drain(&mut self, frames: &mut Frames) {
        self.last = NONE;
        for (order, shelf) in (1..).zip(&mut self.shelves) {
            self.refused += shelf.clear(order).map(|first| u64::from(frames.free(first, order).is_err())).sum::<u64>();
        }
        self.loose.drain(frames);
        for part in self.hands.iter_mut().chain(&mut self.piles) {
            self.refused += give_back(frames, core::mem::replace(part, Part::EMPTY));
        }
    }

    /// How many free frames the cache holds.
    pub fn frames(&self) -> u64 {
        let singles: u64 = self.parts().map(|part| u64::from(part.free.count_ones())).sum();
        (1..)
            .zip(&self.shelves)
            .fold(singles + self.loose.count(), |sum, (order, shelf): (u8, _)| sum + (shelf.count() << order))
    }

    /// Whether `frame` is free and in this cache.
    pub fn holds(&self, frame: Frame) -> bool {
        let group = frame.0 >> GROUP;
        let holds = |part: &Part| part.group == group && part.free >> (frame.0 % 64) & 1 != 0;
        // A group has one place among the piles.
        self.hands.iter().any(holds)
            || holds(&self.piles[group as usize % PILES])
            || self.loose.holds(frame)
            || (1..).zip(&self.shelves).any(|(order, shelf)| shelf.holds(frame, order))
    }

    /// How many frames have been given back that another CPU had given back before. Not 0 means that somebody frees
    /// what is not theirs.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.hands.iter().chain(&self.piles)
    }
}

/// Puts a part's free frames back. How many the allocator refused.
fn give_back(frames: &mut Frames, part: Part) -> u64 {
    if part.free == 0 { 0 } else { u64::from((part.free & !frames.give_group(part.group, part.free)).count_ones()) }
}
