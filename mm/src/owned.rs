//! Frames that belong to somebody.

use crate::{Frame, FrameRun, MapError, Memory};

/// 2^order consecutive frames that belong to whoever holds this, and to nobody else.
///
/// It is neither `Copy` nor dropped with a free behind it: who has it gives it back, to the memory it came from.
#[derive(Debug)]
#[must_use = "frames that are not given back are lost"]
pub struct OwnedFrames {
    first: Frame,
    order: u8,
}

impl OwnedFrames {
    /// Which frames.
    pub const fn run(&self) -> FrameRun {
        FrameRun { first: self.first, count: 1 << self.order }
    }

    /// What owns the 2^`order` frames from `first` on, for those who remember their frames by address.
    ///
    /// # Safety
    /// [`Memory::take`] gave an owner of just these frames, which was let go of, and nothing in them is used by others.
    pub const unsafe fn again(first: Frame, order: u8) -> Self {
        Self { first, order }
    }
}

impl Memory {
    /// Takes 2^`order` frames below `below`, with whatever was in them.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there is no such block.
    pub fn take(&mut self, order: u8, below: Frame) -> Result<OwnedFrames, MapError> {
        let first = self.alloc(order, below).map_err(|_| MapError::NoMemory)?;
        Ok(OwnedFrames { first, order })
    }

    /// Takes frames back.
    ///
    /// # Panics
    /// If they are free already, which means that they came from another memory or the allocator's books are
    /// damaged.
    pub fn put(&mut self, frames: OwnedFrames) {
        if let Err(error) = self.free(frames.first, frames.order) {
            panic!("frames at {} given back: {error}", frames.first);
        }
    }
}
