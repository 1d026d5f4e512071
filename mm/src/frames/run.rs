//! Runs: contiguous frames whose count need not be a power of two.

use super::{FrameError, Frames};
use crate::{Frame, FrameRun};

impl Frames {
    /// Takes `count` contiguous frames, the first a multiple of `align` frames (a power of two), all below the frame
    /// `below`. Cut from the smallest block that holds them; its tail stays free.
    ///
    /// The run is kept as the fewest blocks that make it up, the largest first; [`free_run`](Self::free_run) gives
    /// them back together, and [`free`](Self::free) would take them one at a time.
    ///
    /// # Errors
    /// [`FrameError::NoMemory`], [`FrameError::Empty`], [`FrameError::OrderTooLarge`], [`FrameError::Misaligned`] if
    /// `align` is not a power of two.
    pub fn alloc_run(&mut self, count: u64, align: u64, below: Frame) -> Result<FrameRun, FrameError> {
        if count == 0 {
            return Err(FrameError::Empty);
        }
        if !align.is_power_of_two() {
            return Err(FrameError::Misaligned);
        }
        let size = count.checked_next_power_of_two().ok_or(FrameError::OrderTooLarge)?.max(align);
        let order = size.trailing_zeros() as u8;
        if order > Self::MAX_ORDER {
            return Err(FrameError::OrderTooLarge);
        }
        let first = self.alloc_block(order, count, below)?;
        if count < size
            && let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= first.0)
        {
            zone.trim(self.meta, first.0, u32::from(order), count);
        }
        Ok(FrameRun { first, count })
    }

    /// Gives back a run that [`alloc_run`](Self::alloc_run) gave, or any that the same blocks make up.
    ///
    /// # Errors
    /// As [`free`](Self::free), for the first block of the run that is not allocated as such; [`FrameError::Empty`].
    pub fn free_run(&mut self, run: FrameRun) -> Result<(), FrameError> {
        let end = run.first.0.checked_add(run.count).ok_or(FrameError::NeverGiven)?;
        if run.count == 0 {
            return Err(FrameError::Empty);
        }
        if self.zone_of(run.first).is_some_and(|zone| zone.end < end) && self.was_given(run.first) {
            return Err(FrameError::CrossesZone);
        }
        for (first, order) in pieces(run) {
            if self.zone_of(first).and_then(|zone| zone.allocated(self.meta, first.0, u32::from(order))).is_none() {
                return Err(self.refusal(first, order));
            }
        }
        pieces(run).try_for_each(|(first, order)| self.free(first, order))
    }
}

/// The fewest aligned blocks that make up `run`, in order.
fn pieces(run: FrameRun) -> impl Iterator<Item = (Frame, u8)> {
    let (mut at, end) = (run.first.0, run.end().0);
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let largest = (end - at).ilog2().min(at.trailing_zeros()).min(u32::from(Frames::MAX_ORDER));
        let piece = (Frame(at), largest as u8);
        at += 1 << largest;
        Some(piece)
    })
}
