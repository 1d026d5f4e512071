//! Why a request for frames was refused.

use core::fmt;

/// Why a request for frames was refused. Whatever the reason, nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// No free block is large enough where the caller asked for one.
    NoMemory,
    /// The frame is free already.
    DoubleFree,
    /// The frame is none of those that the allocator was given: a hole, a device, the kernel's own image.
    NeverGiven,
    /// The frame is allocated, but not as a block of this order that begins here.
    WrongOrder,
    /// No block is that large: the order exceeds [`Frames::MAX_ORDER`](crate::Frames::MAX_ORDER).
    OrderTooLarge,
    /// The frame is not a multiple of the block's size, or the alignment asked for is not a power of two.
    Misaligned,
    /// The block would lie in two zones.
    CrossesZone,
    /// A run of no frames.
    Empty,
    /// The runs given at set-up are not in ascending order, overlap, or pass the last frame number.
    BadRuns,
    /// More boundaries than [`Frames::MAX_ZONES`](crate::Frames::MAX_ZONES) allows.
    TooManyZones,
    /// The metadata is smaller than [`Frames::metadata_words`](crate::Frames::metadata_words) says.
    MetadataTooSmall,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            FrameError::NoMemory => "no free block of frames is large enough",
            FrameError::DoubleFree => "the frame is free already",
            FrameError::NeverGiven => "the frame never belonged to the allocator",
            FrameError::WrongOrder => "no allocated block of this size begins at the frame",
            FrameError::OrderTooLarge => "no block of frames is that large",
            FrameError::Misaligned => "the frame is not aligned to the block's size",
            FrameError::CrossesZone => "the block crosses the edge of a zone",
            FrameError::Empty => "a run of no frames",
            FrameError::BadRuns => "the runs of free frames overlap or are out of order",
            FrameError::TooManyZones => "too many zone boundaries",
            FrameError::MetadataTooSmall => "too little memory for the frame allocator's bitmaps",
        })
    }
}

impl core::error::Error for FrameError {}
