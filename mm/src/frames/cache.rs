//! What one CPU keeps of the free frames, so that most calls need no lock.
//!
//! ```text
//!    FrameCache, one a CPU, no lock              Frames, behind the lock of the pool
//!    free list of order 0, movable  [256] <--    refilled by the group of 64 frames: the lowest broken one
//!    free list of order 0, fixed    [128] <--    the same; the two share no group unless memory is short
//!    free lists of orders 1 to 9    [128..4]
//!    deferred frees of single frames  [8] -->    given back together
//!    held: a bit for each block that is here
//! ```
//!
//! A block that is given back goes on the free list of its order and is allocated from there, the last one first. Until it is
//! given back to the allocator it counts as allocated there; that it is free stands in the lists. A free is one path for all
//! orders, without a branch that depends on the order: it reads two words of zone metadata without the lock (`view.rs`), tests the
//! block's bit in `held`, and stores. A list that is full gives a few blocks back under one lock, one that is empty takes a few.
//!
//! *Placement.* Refills take single frames from the lowest broken group of a zone, the *active group*. A single frame that comes
//! back is allocated again only if it lies in front of the end of the active group; from behind it, it is given back to the
//! allocator, eight at a time. That is what keeps large blocks whole: the upper groups drain, and are not filled
//! again before the lower ones are used up. A stack of all frames would allocate the last one returned, wherever it lies, and leave
//! memory as broken as it ever was.
//!
//! *Kinds.* Page tables and whatever else can never be moved come from other groups than the rest, so that the two do not lie in
//! the same 256 KiB unless memory is short. The zone metadata has a bit for each group.
//!
//! # Several CPUs
//!
//! A cache is a plain value of which its CPU has the only `&mut`. What CPUs share is [`Frames`], which is changed through
//! [`Depot::with`], that is under one lock, and no lock is taken inside it; only the check of a free reads past the lock. A *frame*
//! is free in at most one cache: the allocator counts what caches hold as allocated, [`Frames::take_singles`] and [`Frames::alloc`]
//! hand a free frame to one cache only, and a block comes to a list only from its owner, who had it alone.
//!
//! A wrong free is refused at once as long as the cache that is asked is the one that has the frame, or none has
//! it. What stays unseen until the list is given back, and is then refused and counted by
//! [`FrameCache::refused`], is a block given back on two CPUs.

use super::lists::{DEFERRED, END, FIXED, LISTS, Lists, ORDERS, TABLE, order_of};
use super::view::View;
use super::{FrameError, Frames};
use crate::Frame;

/// How many blocks of each order are taken under one lock, the one that was asked for included.
const TAKEN: [u32; ORDERS] = [1, MOST_TAKEN, MOST_TAKEN, MOST_TAKEN, 2, 2, 1, 1, 1, 1];

/// The largest of these.
const MOST_TAKEN: u32 = 4;

/// How many blocks of each order are given back under one lock.
const GIVEN: [u32; ORDERS] = [1, 8, 8, 8, 4, 4, 2, 2, 1, 1];

/// How many single frames a refill comes to at least, if it can.
const REFILL: u32 = 4;

/// How many single frames are given back under one lock at most, and of how many groups.
const FRAMES: u32 = 32;
const GROUPS: u32 = 8;

/// No block: [`key`] gives none such.
const NONE: u64 = u64::MAX;

/// Where a cache gets its frames from: the allocator, or a lock around it.
pub trait Depot {
    /// Does `work` while nothing else uses the allocator.
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

/// The frames of one list that are allocated again: `count` from `start` on.
#[derive(Clone, Copy)]
struct Near {
    start: u64,
    count: u64,
}

impl Near {
    const NOTHING: Self = Self { start: 0, count: 0 };
    const ALL: Self = Self { start: 0, count: u64::MAX };
}

/// The free frames that one CPU has at hand.
pub struct FrameCache {
    /// Fixed frames lie below this one.
    reach: Frame,
    /// The block that was allocated last, if it has not come back, and the list that it came from.
    last: u64,
    last_list: usize,
    refused: u64,
    /// By list. A power of two, so that an index needs no check.
    near: [Near; TABLE],
    view: View,
    lists: Lists,
}

/// What tells a block apart from all others, whatever their order.
#[inline(always)]
const fn key(first: u64, order: u8) -> u64 {
    first << 8 | order as u64
}

impl FrameCache {
    /// The most frames that a cache can hold.
    pub const MOST: u64 = Lists::MOST;

    /// An empty cache. Frames for [`Purpose::Fixed`] will lie below `reach`.
    pub const fn new(reach: Frame) -> Self {
        let mut near = [Near::ALL; TABLE];
        near[0] = Near::NOTHING;
        near[FIXED] = Near::NOTHING;
        Self { reach, last: NONE, last_list: 0, refused: 0, near, view: View::NONE, lists: Lists::NONE }
    }

    /// Changes what frames for [`Purpose::Fixed`] lie below, of a cache that has been [drained](Self::drain).
    pub const fn set_reach(&mut self, reach: Frame) {
        self.reach = reach;
    }

    /// Drops what the cache knows of where the metadata lies, which has [moved](Frames::move_metadata). The next free that needs
    /// it asks the allocator.
    pub const fn invalidate_view(&mut self) {
        self.view = View::NONE;
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// [`FrameError::NoMemory`] if neither the allocator nor this cache has one. Other caches may.
    #[inline]
    pub fn alloc(&mut self, depot: &mut impl Depot, purpose: Purpose) -> Result<Frame, FrameError> {
        let list = if purpose == Purpose::Fixed { FIXED } else { 0 };
        if self.lists.is_empty(list) {
            return self.refill(depot, purpose);
        }
        Ok(self.pop(list))
    }

    /// Takes a block of `order` that lies wholly below the frame `below`. Single frames are those for [`Purpose::Movable`].
    ///
    /// # Errors
    /// As [`Frames::alloc`]; [`FrameError::NoMemory`] only when nothing is left in this cache.
    #[inline]
    pub fn alloc_block(&mut self, depot: &mut impl Depot, order: u8, below: Frame) -> Result<Frame, FrameError> {
        let list = usize::from(order);
        if list < ORDERS && !self.lists.is_empty(list) && self.lists.last(list) + (1 << order) <= below.0 {
            return Ok(self.pop(list));
        }
        self.alloc_elsewhere(depot, order, below)
    }

    #[inline(always)]
    fn pop(&mut self, list: usize) -> Frame {
        let first = self.lists.pop(list);
        self.last = key(first, order_of(list));
        self.last_list = list;
        Frame(first)
    }

    /// Gives a frame back.
    ///
    /// # Errors
    /// As [`Frames::free`] of order 0. Nothing has changed then.
    #[inline]
    pub fn free(&mut self, depot: &mut impl Depot, frame: Frame) -> Result<(), FrameError> {
        self.free_block(depot, frame, 0)
    }

    /// Gives back the block of `order` that begins at `first`.
    ///
    /// # Errors
    /// As [`Frames::free`]. Nothing has changed then.
    #[inline]
    pub fn free_block(&mut self, depot: &mut impl Depot, first: Frame, order: u8) -> Result<(), FrameError> {
        if usize::from(order) >= ORDERS {
            return self.free_elsewhere(depot, first, order);
        }
        let list = if key(first.0, order) == self.last {
            // What this CPU allocated last is allocated.
            self.last = NONE;
            self.last_list
        } else {
            let Some(fixed) = self.view.allocated(first.0, order) else {
                return self.free_elsewhere(depot, first, order);
            };
            self.list(first.0, order, fixed)
        };
        if self.lists.is_held(first.0) {
            return self.free_elsewhere(depot, first, order);
        }
        if self.lists.is_full(list) {
            return self.free_to_full(depot, first, list);
        }
        self.lists.push(list, first.0);
        Ok(())
    }

    /// The list for a block that comes back.
    #[inline(always)]
    fn list(&self, first: u64, order: u8, fixed: bool) -> usize {
        let own = usize::from(order) + if fixed & (order == 0) { FIXED } else { 0 };
        let Near { start, count } = self.near[own % TABLE];
        if first.wrapping_sub(start) < count { own } else { DEFERRED }
    }

    /// Gives a block back with the lock held, or finds out why it must not be.
    #[cold]
    #[inline(never)]
    fn free_elsewhere(&mut self, depot: &mut impl Depot, first: Frame, order: u8) -> Result<(), FrameError> {
        let freed = depot.with(|frames| {
            if self.view.is_none() {
                self.view = frames.view();
            }
            if usize::from(order) >= ORDERS || first.0 >= END {
                return frames.free(first, order);
            }
            // Without the lock, a neighbour that changed may have seemed to be part of the block.
            frames.check(first, order)?;
            if self.lists.is_held(first.0) {
                // It is here already, or another block has its bit.
                return if self.is_here(first.0, order) {
                    Err(FrameError::DoubleFree)
                } else {
                    frames.free(first, order)
                };
            }
            let list = self.list(first.0, order, self.view.allocated(first.0, order) == Some(true));
            if self.lists.is_full(list) {
                self.give_some(frames, list);
            }
            self.lists.push(list, first.0);
            Ok(())
        });
        freed.map_err(|error| self.refusal(first, error))
    }

    /// What to say of a frame that the allocator refuses: it does not know that what is here is free.
    #[cold]
    fn refusal(&self, frame: Frame, error: FrameError) -> FrameError {
        let late = matches!(error, FrameError::WrongOrder | FrameError::CrossesZone);
        if late && self.holds(frame) { FrameError::DoubleFree } else { error }
    }

    /// Gives a block back whose list has to be made room in first.
    #[inline(never)]
    fn free_to_full(&mut self, depot: &mut impl Depot, first: Frame, list: usize) -> Result<(), FrameError> {
        depot.with(|frames| self.give_some(frames, list));
        self.lists.push(list, first.0);
        Ok(())
    }

    /// Gives the last blocks of a full list back.
    fn give_some(&mut self, frames: &mut Frames, list: usize) {
        if order_of(list) > 0 {
            return self.give_last(frames, list, GIVEN[list % ORDERS]);
        }
        let (mut groups, mut most) = (GROUPS, FRAMES);
        while groups > 0 && most > 0 && !self.lists.is_empty(list) {
            most -= self.give_last_group(frames, list, most);
            groups -= 1;
        }
        if list != DEFERRED {
            let (start, count) = frames.active_end(Frame(self.near[list % TABLE].start));
            self.aim(list, start, count);
        }
    }

    /// Gives the last `count` blocks of a list back.
    #[inline]
    fn give_last(&mut self, frames: &mut Frames, list: usize, count: u32) {
        let lists = &mut self.lists;
        self.refused += frames.give_blocks(order_of(list), (0..count).map(|_| lists.pop(list)));
    }

    #[inline]
    fn give_last_group(&mut self, frames: &mut Frames, list: usize, most: u32) -> u32 {
        let (group, singles) = self.lists.pop_group(list, most);
        self.refused += u64::from((singles & !frames.give_group(group, singles)).count_ones());
        singles.count_ones()
    }

    /// Notes that the active group ends `count` frames behind the start of its zone. The limit follows upwards at once, and
    /// downwards a little at a time: most of what is in front of where it has been is still likely to be allocated before long.
    fn aim(&mut self, list: usize, start: u64, count: u64) {
        let near = &mut self.near[list % TABLE];
        if near.start != start || count > near.count {
            *near = Near { start, count };
        } else {
            near.count -= (near.count - count) / 16;
        }
    }

    /// Fills the list for `purpose` and takes a frame.
    #[inline(never)]
    fn refill(&mut self, depot: &mut impl Depot, purpose: Purpose) -> Result<Frame, FrameError> {
        let (list, limit) = match purpose {
            Purpose::Fixed => (FIXED, self.reach),
            Purpose::Movable => (0, Frames::ANYWHERE),
        };
        let apart = depot.with(|frames| match self.refill_from(frames, purpose, list, limit) {
            Err(_) => {
                // Under pressure everything goes back, so that what fits is found wherever it is.
                self.drain(frames);
                self.refill_from(frames, purpose, list, limit)
            }
            taken => taken,
        })?;
        Ok(match apart {
            Some(frame) => frame,
            None => self.pop(list),
        })
    }

    /// The same with the lock held. Frames that have the bit of a block that is here cannot be kept: the first of them comes back.
    fn refill_from(
        &mut self,
        frames: &mut Frames,
        purpose: Purpose,
        list: usize,
        limit: Frame,
    ) -> Result<Option<Frame>, FrameError> {
        let mut clashes = [(0, 0); 2 * REFILL as usize];
        let (mut clash_count, mut count, mut last) = (0, 0, 0);
        let lists = &mut self.lists;
        while count < REFILL {
            let taken = frames.take_singles(limit, purpose, REFILL - count, |group, taken| {
                let clash = if group << 6 < END { taken & lists.held(group) } else { taken };
                lists.push_group(list, group, taken & !clash);
                if clash != 0 {
                    clashes[clash_count] = (group, clash);
                    clash_count += 1;
                }
                count += taken.count_ones();
                last = group;
            });
            if taken.is_err() && count > 0 {
                break;
            }
            taken?;
        }
        let start = frames.zone_start(Frame(last << 6 | 63));
        self.aim(list, start, ((last + 1) << 6).saturating_sub(start));
        let mut apart = None;
        for (group, mut clash) in clashes.into_iter().take(clash_count) {
            if apart.is_none() {
                apart = Some(Frame(group << 6 | u64::from(clash.trailing_zeros())));
                clash &= clash - 1;
            }
            if clash != 0 {
                frames.give_group(group, clash);
            }
        }
        Ok(apart)
    }

    /// Takes a block that no list has, and a few more for the list.
    #[inline(never)]
    fn alloc_elsewhere(&mut self, depot: &mut impl Depot, order: u8, below: Frame) -> Result<Frame, FrameError> {
        if order == 0 && below == Frames::ANYWHERE {
            return self.refill(depot, Purpose::Movable);
        }
        let list = usize::from(order);
        let first = depot.with(|frames| {
            let mut first = None;
            if list < ORDERS && below >= frames.given_end() {
                first = self.take_some(frames, list);
            }
            match first.map_or_else(|| frames.alloc(order, below), Ok) {
                Err(FrameError::NoMemory) => {
                    self.drain(frames);
                    frames.alloc(order, below)
                }
                taken => taken,
            }
        })?;
        if list < ORDERS && first.0 < END {
            self.last = key(first.0, order);
            self.last_list = list;
        }
        Ok(first)
    }

    /// Takes a block, and a few more for its list.
    fn take_some(&mut self, frames: &mut Frames, list: usize) -> Option<Frame> {
        let (lists, mut first) = (&mut self.lists, None);
        let (mut clashes, mut count) = ([0; MOST_TAKEN as usize], 0);
        frames.take_blocks(list as u8, TAKEN[list % ORDERS], |next| {
            if first.is_none() {
                first = Some(Frame(next));
            } else if next >= END || lists.is_held(next) {
                clashes[count] = next;
                count += 1;
            } else {
                lists.push(list, next);
            }
        });
        if count > 0 {
            self.refused += frames.give_blocks(list as u8, clashes.into_iter().take(count));
        }
        first
    }

    /// Gives everything back to the allocator.
    pub fn drain(&mut self, frames: &mut Frames) {
        self.last = NONE;
        for list in 0..LISTS {
            while !self.lists.is_empty(list) {
                if order_of(list) > 0 {
                    self.give_last(frames, list, self.lists.len(list));
                } else {
                    self.give_last_group(frames, list, FRAMES);
                }
            }
        }
        self.near[0] = Near::NOTHING;
        self.near[FIXED] = Near::NOTHING;
        self.view = View::NONE;
    }

    /// How many free frames the cache holds.
    pub fn frames(&self) -> u64 {
        self.lists.frames()
    }

    /// Whether the block is in a list.
    fn is_here(&self, first: u64, order: u8) -> bool {
        self.lists.is_held(first)
            && (self.lists.has(usize::from(order), first)
                || order == 0 && (self.lists.has(FIXED, first) || self.lists.has(DEFERRED, first)))
    }

    /// Whether `frame` is free and in this cache.
    pub fn holds(&self, frame: Frame) -> bool {
        (0..ORDERS as u8).any(|order| self.is_here(frame.0 & !((1 << order) - 1), order))
    }

    /// How many frames have been given back that another CPU had given back before. Not 0 means that a caller frees
    /// what it does not own.
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}
