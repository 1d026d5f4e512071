//! Who shares a frame: how many owners each has.
//!
//! A frame that was taken has one owner. [`Memory::share`] adds one and [`Memory::unshare`] takes one away, so that
//! two address spaces can map the same frame and the last one gives it back: what copy-on-write needs.
//!
//! The owners beyond the first are counted in 4 bytes a frame, and only where there are any: a table of counts is one frame
//! for the 1024 frames of 4 MiB, found through directories of 512, as deep as memory is high. A table is taken with
//! the first count in it and goes back with the last, so that what nobody shares costs nothing, at boot or later. The
//! allocator does not look here: who gives a frame back has found out that there is no other owner.
//!
//! ```text
//!   root -> directory [512] -> ... -> directory [512] -> counts [1024 x 4 bytes]
//!           entry: frame number << 12 | how many of the table's own entries are in use
//! ```
//!
//! Frames are named by number, so that tables stay where they are when the window moves.

use core::fmt;

use crate::chain::Chain;
use crate::{Frame, Frames, Memory, PAGE_SIZE};

/// log2 of the counts in a table, and of the entries in a directory.
const COUNTS: u32 = 10;
const ENTRIES: u32 = 9;

/// Directories on the longest way: 10 + 4 * 9 bits number more frames than there can be.
const MOST_LEVELS: usize = 4;

const _: () = assert!(1 << (COUNTS + MOST_LEVELS as u32 * ENTRIES) >= Frames::FRAME_END);

/// Why the owners of a frame were not told or changed. Whatever the reason, nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareError {
    /// The frame allocator was never given the frame: a hole, a device, the kernel's image.
    NeverGiven,
    /// The frame is free: nobody owns it.
    Free,
    /// The frame has [`Memory::MOST_OWNERS`].
    TooMany,
    /// The frame has one owner, who gives it back instead.
    NotShared,
    /// There is no frame for a table of counts.
    NoMemory,
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            ShareError::NeverGiven => "the frame never belonged to the allocator",
            ShareError::Free => "the frame is free, so nobody owns it",
            ShareError::TooMany => "the frame has as many owners as can be counted",
            ShareError::NotShared => "the frame has one owner only",
            ShareError::NoMemory => "there is no frame for the table of counts",
        })
    }
}

impl core::error::Error for ShareError {}

/// The root of the tables.
#[derive(Clone, Copy)]
pub(crate) struct Shares {
    /// The entry for the uppermost table; 0 if there is none.
    root: u64,
    /// Directories on the way to a table of counts.
    levels: usize,
    /// How many tables there are.
    tables: u64,
}

impl Shares {
    pub(crate) const NONE: Self = Self { root: 0, levels: 0, tables: 0 };
}

/// The entries on the way to a frame's count, as far as there are tables, and the count.
struct Way {
    /// The first is the root. Each names the table that the next, or the count, lies in.
    entries: [*mut u64; MOST_LEVELS + 1],
    /// How many entries name a table.
    found: usize,
    /// The count, if there is a table for it.
    count: Option<*mut u32>,
}

impl Memory {
    /// The most owners that a frame can have.
    pub const MOST_OWNERS: u32 = u32::MAX;

    /// How many owners `frame` has.
    ///
    /// # Errors
    /// [`ShareError::NeverGiven`], [`ShareError::Free`].
    pub fn owners(&self, frame: Frame) -> Result<u32, ShareError> {
        self.owned(frame)?;
        self.look_at_shares(|memory, shares| Ok(memory.owners_in(shares, frame)))
    }

    /// Adds an owner, and tells how many there are then.
    ///
    /// # Errors
    /// [`ShareError`], but for [`ShareError::NotShared`].
    pub fn share(&mut self, frame: Frame) -> Result<u32, ShareError> {
        self.owned(frame)?;
        self.with_shares(|memory, shares| memory.add_owner(shares, frame))
    }

    fn add_owner(&mut self, shares: &mut Shares, frame: Frame) -> Result<u32, ShareError> {
        let owners = self.owners_in(shares, frame);
        if owners == Self::MOST_OWNERS {
            return Err(ShareError::TooMany);
        }
        if shares.root == 0 {
            let end = self.look_at_frames(Frames::given_end).0;
            let bits = u64::BITS - (end - 1).leading_zeros();
            shares.levels = bits.saturating_sub(COUNTS).div_ceil(ENTRIES) as usize;
        }
        let missing = shares.levels + 1 - self.way(shares, frame).found;
        let mut new = Chain::take(self, missing as u64).map_err(|_| ShareError::NoMemory)?;
        while let Some(table) = new.pop(self) {
            let way = self.way(shares, frame);
            // SAFETY: the table is ours alone, and the window shows it; the entry lies in the root or in one of ours.
            unsafe {
                self.window.at(table).write_bytes(0, PAGE_SIZE as usize);
                *way.entries[way.found] = table.0 << 12;
                if let Some(above) = way.found.checked_sub(1) {
                    *way.entries[above] += 1;
                }
            }
            shares.tables += 1;
        }
        let way = self.way(shares, frame);
        if let Some(count) = way.count {
            // SAFETY: count and entry lie in tables of ours, or the latter in the root.
            unsafe {
                *way.entries[shares.levels] += u64::from(*count == 0);
                *count += 1;
            }
        }
        Ok(owners + 1)
    }

    /// Takes an owner away, and tells how many are left: at least one, who gives the frame back when done with it.
    ///
    /// # Errors
    /// [`ShareError::NotShared`], [`ShareError::NeverGiven`], [`ShareError::Free`].
    pub fn unshare(&mut self, frame: Frame) -> Result<u32, ShareError> {
        self.owned(frame)?;
        self.with_shares(|memory, shares| memory.take_owner(shares, frame))
    }

    fn take_owner(&mut self, shares: &mut Shares, frame: Frame) -> Result<u32, ShareError> {
        let way = self.way(shares, frame);
        // SAFETY: the count lies in a table of ours.
        let Some(count) = way.count.filter(|count| unsafe { **count } != 0) else { return Err(ShareError::NotShared) };
        // SAFETY: the same.
        let left = unsafe {
            *count -= 1;
            *count
        };
        let mut unused = left == 0;
        for entry in way.entries[..=shares.levels].iter().rev() {
            if !unused {
                break;
            }
            // SAFETY: the entries lie in tables of ours, each in one that the entry before it names, and in the root.
            unsafe {
                **entry -= 1;
                unused = **entry % PAGE_SIZE == 0;
                if unused {
                    self.give_back(Frame(**entry >> 12));
                    **entry = 0;
                    shares.tables -= 1;
                }
            }
        }
        Ok(left + 1)
    }

    /// How many frames the tables of counts take.
    pub fn share_tables(&self) -> u64 {
        self.look_at_shares(|_, shares| shares.tables)
    }

    /// How many owners `frame` has, which has one.
    fn owners_in(&self, shares: &mut Shares, frame: Frame) -> u32 {
        // SAFETY: the count lies in a table of ours.
        self.way(shares, frame).count.map_or(1, |count| 1 + unsafe { *count })
    }

    /// Refuses a frame that nobody owns.
    fn owned(&self, frame: Frame) -> Result<(), ShareError> {
        if !self.look_at_frames(|frames| frames.was_given(frame)) {
            Err(ShareError::NeverGiven)
        } else if self.is_free(frame) {
            Err(ShareError::Free)
        } else {
            Ok(())
        }
    }

    fn way(&self, shares: &mut Shares, frame: Frame) -> Way {
        let mut way = Way { entries: [core::ptr::null_mut(); MOST_LEVELS + 1], found: 0, count: None };
        let mut entry: *mut u64 = &mut shares.root;
        loop {
            way.entries[way.found] = entry;
            // SAFETY: an entry of the root or of a table of ours.
            let named = unsafe { *entry };
            if named == 0 {
                return way;
            }
            let table = self.window.at(Frame(named >> 12));
            let level = shares.levels - way.found;
            way.found += 1;
            if level == 0 {
                way.count = Some(table.cast::<u32>().wrapping_add(frame.0 as usize % (1 << COUNTS)));
                return way;
            }
            let index = frame.0 >> (COUNTS + (level as u32 - 1) * ENTRIES);
            entry = table.cast::<u64>().wrapping_add(index as usize % (1 << ENTRIES));
        }
    }
}
