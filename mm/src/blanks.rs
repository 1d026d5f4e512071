//! Frames that were zeroed ahead of time, for tables to come.
//!
//! To zero a table takes longer than everything else about mapping the first page in it. A CPU that has nothing else to do can
//! do that before: [`Memory::zero_ahead`]. What lies here counts as free and goes back as soon as memory is short.

use crate::{Frame, MapError, Memory, PAGE_SIZE};

/// Zeroed frames of the window.
pub(crate) struct Blanks {
    frames: [Frame; Self::MOST],
    count: usize,
}

impl Blanks {
    /// The most there can be: as many as map 32 neighbourhoods of 2 or 4 MiB.
    pub const MOST: usize = 32;

    /// No frame.
    pub const NONE: Self = Self { frames: [Frame(0); Self::MOST], count: 0 };

    /// Those that there are.
    pub fn frames(&self) -> &[Frame] {
        &self.frames[..self.count]
    }

    /// Takes one out. It is zero still.
    #[inline]
    pub fn pop(&mut self) -> Option<Frame> {
        self.count = self.count.checked_sub(1)?;
        Some(self.frames[self.count])
    }
}

impl Memory {
    /// Zeroes a frame that a table can be made of later. `false` if there are enough such, or no frame is free.
    pub fn zero_ahead(&mut self) -> bool {
        if self.blanks.count == Blanks::MOST {
            return false;
        }
        // Nobody has asked for it, so other CPUs keep what they have, and none of the failures that are ordered is spent on it.
        let Ok(frame) = self.alloc_here(0, self.window.frames().end()) else { return false };
        self.zero(frame);
        self.blanks.frames[self.blanks.count] = frame;
        self.blanks.count += 1;
        true
    }

    /// A zeroed frame inside the window, if possible one that is zero already.
    #[inline]
    pub(crate) fn blank(&mut self) -> Result<Frame, MapError> {
        if self.is_refused() {
            return Err(MapError::NoMemory);
        }
        if let Some(frame) = self.blanks.pop() {
            return Ok(frame);
        }
        let frame = self.alloc_anyhow(0, self.window.frames().end()).map_err(|_| MapError::NoMemory)?;
        self.zero(frame);
        Ok(frame)
    }

    /// Zeroes a frame that has just been taken.
    #[inline]
    pub(crate) fn zero(&mut self, frame: Frame) {
        // SAFETY: the allocator has made the frame ours alone, and `at` checks that the window shows it.
        unsafe { self.window.at(frame).write_bytes(0, PAGE_SIZE as usize) };
    }
}
