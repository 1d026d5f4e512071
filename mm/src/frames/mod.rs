//! Physical frames: which are free.
//!
//! [`Frames`] is a buddy allocator. A block of order `o` is `2^o` frames whose first is a multiple of `2^o`; a free
//! block is split in halves when a smaller one is wanted, and halves that are both free count as one again. It knows
//! frames by number and never touches one: all that it remembers stands in *metadata*, a slice of words that the
//! caller carves out at boot, of at most 0.30 bytes a frame.
//!
//! ```text
//!   Frames -- zones (dma, dma32, ...) -- sections (no hole of 1 GiB inside)
//!                                            |
//!        level 3: units of 1 GiB      [ groups of 64 ]        orders 18 to 23
//!        level 2: units of 16 MiB     [ groups of 64 ] ...    orders 12 to 17
//!        level 1: units of 256 KiB    [ groups of 64 ] ...    orders  6 to 11
//!        level 0: frames              [ groups of 64 ] ...    orders  0 to  5
//! ```
//!
//! Lists of free blocks would live in the frames, or in a descriptor for each, and every free in a random place would
//! then miss the cache. Bitmaps are a small part of that and stay in it. Instead of a bitmap for every order there is
//! one for every sixth, since a word of 64 units shows its blocks of six orders by shifts (`group.rs`), and *hints* lead to a
//! word with a block of the order wanted (`level.rs`): a free sets one bit, and a search strikes what it finds stale. A unit is
//! split into a group below only when a smaller block is wanted, and a group that is free again becomes one unit (`zone.rs`).
//!
//! Placement: blocks already broken are used up first, so that large ones stay whole: single frames come from the
//! lowest group that is broken (`single.rs`), larger blocks from where the smallest sufficient one is. Of the zones the highest
//! that the caller can use comes first, so that low memory is left for those who can use nothing else.
//!
//! What a free is checked for: two bits a frame tell where each allocated block begins and, by where the next thing
//! begins, where it ends; and a pattern of theirs says that a frame was never given. So a double free, a frame never given and a
//! wrong order are all found, always, and the state is as before. What cannot be found is a right block given back by
//! something that does not own it.
//!
//! The lock is the caller's: every change takes `&mut self`. What keeps CPUs from meeting at it is [`FrameCache`]
//! (`cache.rs`): free lists of each order for each CPU (`lists.rs`). It checks a free without the lock (`view.rs`), which is why
//! the metadata is made of atomic words (`word.rs`).

mod cache;
mod error;
mod give;
mod group;
mod level;
mod lists;
mod place;
mod plan;
mod report;
mod run;
mod section;
mod shape;
mod single;
mod view;
mod word;
mod zone;

pub use cache::{Depot, FrameCache, Purpose};
pub use error::FrameError;
#[doc(hidden)]
pub use group::Group;
pub use report::{Place, ZoneInfo};
#[doc(hidden)]
pub use word::Cell64;

use crate::{Frame, FrameRun};
use place::State;
use plan::Plan;
use word::{Words, words};
use zone::Zone;

/// The edge of a zone, with the name of the zone below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// The first frame above the zone.
    pub end: Frame,
    /// What the zone is called.
    pub name: &'static str,
}

/// All frames that were free at boot, and which of them are free now.
pub struct Frames {
    meta: Words,
    /// For this many refills more, single frames leave larger blocks to those who have asked for such (`single.rs`).
    spare: u32,
    /// The highest zone first.
    zones: [Zone; Self::MAX_ZONES],
    count: usize,
}

impl Frames {
    /// The largest order: a block of it is 32 GiB.
    pub const MAX_ORDER: u8 = 23;

    /// The most zones that can hold frames.
    pub const MAX_ZONES: usize = 6;

    /// As `below`: anywhere.
    pub const ANYWHERE: Frame = Frame(u64::MAX);

    /// The frame after the last that can exist: 52 bits of physical address, the most that x86 defines
    /// (SDM vol. 3A, 4.1.4).
    pub const FRAME_END: u64 = 1 << 40;

    /// How many words [`new`](Self::new) needs; `usize::MAX` if the runs or boundaries are such that it refuses them.
    pub fn metadata_words(runs: &[FrameRun], boundaries: &[Boundary]) -> usize {
        Plan::new(runs, boundaries).ok().and_then(|plan| usize::try_from(plan.words).ok()).unwrap_or(usize::MAX)
    }

    /// An allocator of the frames in `runs`, which are ascending and disjoint, and all free.
    ///
    /// Each boundary ends a zone, which takes its name; what lies above the last is the zone `high`. They may come in
    /// any order; of two in one place the first is taken. What the metadata held before does not matter. Frame 0 and
    /// whatever else must never be handed out has to be left out of `runs`.
    ///
    /// # Errors
    /// [`FrameError::BadRuns`], [`FrameError::TooManyZones`], [`FrameError::MetadataTooSmall`].
    pub fn new(runs: &[FrameRun], boundaries: &[Boundary], metadata: &'static mut [u64]) -> Result<Self, FrameError> {
        let mut plan = Plan::new(runs, boundaries)?;
        if plan.words > metadata.len() as u64 {
            return Err(FrameError::MetadataTooSmall);
        }
        metadata[..plan.cleared as usize].fill(0);
        let meta = words(metadata);
        plan.carry_out(runs, meta);
        plan.zones[..plan.count].reverse();
        Ok(Self { meta, spare: 0, zones: plan.zones, count: plan.count })
    }

    /// Moves the metadata's address, not its contents: `moved` tells where what lies at an address lies from now on.
    ///
    /// # Safety
    /// - The new address shows the same memory, writable, for as long as the allocator lives.
    /// - The metadata begins at the start of a frame.
    /// - Before anything else is done with a [`FrameCache`] that has used this allocator,
    ///   [`invalidate_view`](FrameCache::invalidate_view) is called: it knows the old address.
    pub unsafe fn move_metadata(&mut self, moved: impl FnOnce(*mut u8) -> *mut u8) {
        let at = moved(self.meta.as_ptr().cast_mut().cast()).cast_const().cast();
        // SAFETY: the same words at another address, by this function's contract.
        self.meta = unsafe { core::slice::from_raw_parts(at, self.meta.len()) };
    }

    /// Takes a block of `order` that lies wholly below the frame `below` ([`ANYWHERE`](Self::ANYWHERE): no limit).
    ///
    /// # Errors
    /// [`FrameError::NoMemory`] if no such block is free, [`FrameError::OrderTooLarge`].
    #[inline]
    pub fn alloc(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        if order > Self::MAX_ORDER {
            return Err(FrameError::OrderTooLarge);
        }
        self.want(order);
        self.alloc_block(order, 1 << order, below)
    }

    /// Takes a block of `order`, at most [`MAX_ORDER`](Self::MAX_ORDER), whose first `needed` frames lie below `below`.
    #[inline]
    fn alloc_block(&mut self, order: u8, needed: u64, below: Frame) -> Result<Frame, FrameError> {
        let order = u32::from(order);
        for zone in &mut self.zones[..self.count] {
            let first = if zone.given_end <= below.0 {
                zone.alloc(self.meta, order)
            } else {
                zone.alloc_below(self.meta, order, needed, below.0)
            };
            if let Some(first) = first {
                return Ok(Frame(first));
            }
        }
        Err(FrameError::NoMemory)
    }

    /// Gives back the block of `order` that begins at `frame`.
    ///
    /// # Errors
    /// [`FrameError::DoubleFree`], [`FrameError::NeverGiven`], [`FrameError::WrongOrder`],
    /// [`FrameError::CrossesZone`], [`FrameError::Misaligned`], [`FrameError::OrderTooLarge`].
    #[inline]
    pub fn free(&mut self, frame: Frame, order: u8) -> Result<(), FrameError> {
        if order <= Self::MAX_ORDER
            && frame.0 & ((1 << order) - 1) == 0
            && let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= frame.0)
            && zone.free(self.meta, frame.0, u32::from(order))
        {
            return Ok(());
        }
        Err(self.refusal(frame, order))
    }

    /// Whether the block of `order` that begins at `frame` could be given back.
    ///
    /// # Errors
    /// As [`free`](Self::free).
    #[inline]
    pub fn check(&self, frame: Frame, order: u8) -> Result<(), FrameError> {
        if order <= Self::MAX_ORDER
            && frame.0 & ((1 << order) - 1) == 0
            && let Some(zone) = self.zone_of(frame)
            && zone.allocated(self.meta, frame.0, u32::from(order)).is_some()
        {
            return Ok(());
        }
        Err(self.refusal(frame, order))
    }

    /// Why `frame` cannot be given back as a block of `order`, which has been found to be so.
    #[cold]
    fn refusal(&self, frame: Frame, order: u8) -> FrameError {
        if order > Self::MAX_ORDER {
            FrameError::OrderTooLarge
        } else if frame.0 & ((1 << order) - 1) != 0 {
            FrameError::Misaligned
        } else if !self.was_given(frame) {
            FrameError::NeverGiven
        } else if self.is_free(frame) {
            FrameError::DoubleFree
        } else if self.zone_of(frame).is_some_and(|zone| zone.end - frame.0 < 1 << order) {
            FrameError::CrossesZone
        } else {
            FrameError::WrongOrder
        }
    }

    #[inline]
    fn zone_of(&self, frame: Frame) -> Option<&Zone> {
        self.zones[..self.count].iter().find(|zone| zone.start <= frame.0)
    }

    /// Where the zone around `frame` begins.
    fn zone_start(&self, frame: Frame) -> u64 {
        self.zone_of(frame).map_or(frame.0, |zone| zone.start)
    }

    /// Whether `frame` was in one of the runs given at set-up.
    pub fn was_given(&self, frame: Frame) -> bool {
        self.zone_of(frame).is_some_and(|zone| zone.state(self.meta, frame.0) != State::NeverGiven)
    }

    /// Whether `frame` is free.
    pub fn is_free(&self, frame: Frame) -> bool {
        self.zone_of(frame).is_some_and(|zone| matches!(zone.state(self.meta, frame.0), State::Free(_)))
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> u64 {
        self.zones[..self.count].iter().map(|zone| zone.free).sum()
    }

    /// How many frames were given at set-up.
    pub fn total_frames(&self) -> u64 {
        self.zones[..self.count].iter().map(|zone| zone.total).sum()
    }
}
