//! Why a change to the page tables was refused.

use core::fmt;

/// Why a change to the page tables was refused. Whatever the reason, nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// An address of the range is not canonical in this mode.
    NotCanonical,
    /// The range begins in the user half and ends in the kernel half: across the canonical hole, or on i686
    /// across 0xC0000000. No mapping belongs to both.
    CrossesHole,
    /// The range runs past the end of the address space.
    Wraps,
    /// The range's start is not the start of a page.
    Misaligned,
    /// The range holds no page.
    Empty,
    /// A frame lies beyond the CPU's physical width, or beyond what the mode's entries can hold.
    BeyondPhys,
    /// The range touches the self-map, whose entries are the tables themselves.
    SelfMap,
    /// Something is mapped there already.
    Occupied,
    /// Some page of the range is not mapped.
    NotMapped,
    /// No frame is left.
    NoMemory,
    /// The region of the kernel's address space where it would lie is full.
    NoRoom,
    /// There are as many of its kind as there can be.
    TooMany,
    /// The page map does not offer this range for such a change (see [`KernelMap`](crate::KernelMap)).
    NotOffered,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            MapError::NotCanonical => "not a canonical address in this mode",
            MapError::CrossesHole => "the range crosses from the user half into the kernel half",
            MapError::Wraps => "the range runs past the end of the address space",
            MapError::Misaligned => "the address is not the start of a page",
            MapError::Empty => "the range is empty",
            MapError::BeyondPhys => "a frame lies beyond the physical address width",
            MapError::SelfMap => "the range touches the self-map",
            MapError::Occupied => "something is mapped there already",
            MapError::NotMapped => "not mapped",
            MapError::NoMemory => "out of frames",
            MapError::NoRoom => "its region of the kernel's address space is full",
            MapError::TooMany => "there are as many of its kind as there can be",
            MapError::NotOffered => "the kernel's map does not offer this range",
        })
    }
}

impl core::error::Error for MapError {}
