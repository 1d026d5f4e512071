//! Single frames that came back one at a time from all over memory.
//!
//! To put such a frame in its place takes the words of its group, which are in no CPU's cache, and then a decision on
//! what is in them, which no CPU can foresee: together they would cost more than everything else that a free does. So
//! the frame is only marked in its group as *loose*, for which nothing need be waited for, and put in its place a few
//! frees later, when the words are at hand.
//!
//! Frames below the hand would be the first to be dealt, as memory is used from its lower end. They are not put in
//! their places at all as long as there is room for them here, but dealt again, the last one first.

use super::{FrameError, Frames};
use crate::Frame;

/// How many frames below the hand are kept.
const LOW: usize = 128;

/// How many frames above it are on their way: about as many as words that a CPU can wait for at the same time.
const LATE: usize = 8;

/// How often it is looked where the hand would be.
const LOOK: u32 = 16;

/// No frame.
const NONE: Frame = Frame(u64::MAX);

/// The loose frames of one CPU.
pub(super) struct Loose {
    /// From where on frames are dealt again: where the hand's zone begins.
    start: u64,
    /// To how far from there they are: where the hand is, or has been lately.
    reach: u64,
    count: usize,
    turn: u32,
    next: usize,
    low: [Frame; LOW],
    late: [Frame; LATE],
}

impl Loose {
    /// The most frames that can be loose.
    pub const MOST: u64 = (LOW + LATE) as u64;

    /// No loose frames.
    pub const fn new() -> Self {
        Self { start: 0, reach: 0, count: 0, turn: 0, next: 0, low: [NONE; LOW], late: [NONE; LATE] }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        (self.count + self.late.iter().filter(|frame| **frame != NONE).count()) as u64
    }

    /// Whether `frame` is one of them. A search, for those who are in no hurry.
    pub fn holds(&self, frame: Frame) -> bool {
        self.low[..self.count].iter().chain(&self.late).any(|loose| *loose == frame)
    }

    /// Notes that the hand now is at `frame`, in a zone that begins at `start`.
    ///
    /// When it is back at lower frames, because more was given back there than is kept here, most of what is below
    /// where it has been is still likely to be dealt before long.
    pub fn hand_at(&mut self, frame: Frame, start: Frame) {
        let reach = frame.0 - start.0;
        let nearer = if start.0 == self.start { self.reach - self.reach / 16 } else { 0 };
        (self.start, self.reach) = (start.0, reach.max(nearer));
    }

    /// Takes a frame that is given back.
    ///
    /// # Errors
    /// As [`Frames::free`] of order 0.
    #[inline]
    pub fn put(&mut self, frames: &mut Frames, frame: Frame) -> Result<(), FrameError> {
        frames.loosen(frame)?;
        if frame.0.wrapping_sub(self.start) < self.reach && self.count < LOW {
            self.low[self.count] = frame;
            self.count += 1;
            return Ok(());
        }
        let earlier = core::mem::replace(&mut self.late[self.next % LATE], frame);
        self.next += 1;
        if earlier != NONE {
            frames.settle(earlier);
        }
        Ok(())
    }

    /// Whether there is one below the hand to be dealt next. Now and then it is none though there are some: where
    /// the hand would be by now has to be seen, or the same frames would be dealt for ever.
    #[inline]
    pub fn has_low(&mut self) -> bool {
        self.turn = self.turn.wrapping_add(1);
        self.count > 0 && !self.turn.is_multiple_of(LOOK)
    }

    /// Deals one of those below the hand again.
    #[inline]
    pub fn take(&mut self, frames: &mut Frames) -> Option<Frame> {
        let frame = *self.low.get(self.count.wrapping_sub(1))?;
        self.count -= 1;
        frames.fasten(frame);
        Some(frame)
    }

    /// Puts all in their places.
    pub fn drain(&mut self, frames: &mut Frames) {
        for frame in &self.low[..self.count] {
            frames.settle(*frame);
        }
        (self.count, self.reach) = (0, 0);
        for frame in &mut self.late {
            if *frame != NONE {
                frames.settle(core::mem::replace(frame, NONE));
            }
        }
    }
}

impl Frames {
    /// Marks an allocated single frame as loose: free, though nobody else can have it.
    ///
    /// # Errors
    /// As [`free`](Self::free) of order 0.
    #[inline]
    fn loosen(&mut self, frame: Frame) -> Result<(), FrameError> {
        if let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= frame.0)
            && zone.loosen(self.meta, frame.0)
        {
            return Ok(());
        }
        Err(self.refusal(frame, 0))
    }

    /// Makes a loose frame an allocated one again.
    #[inline]
    fn fasten(&mut self, frame: Frame) {
        if let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= frame.0) {
            zone.fasten(self.meta, frame.0);
        }
    }

    /// Puts a loose frame in its place, so that anyone can have it.
    #[inline]
    fn settle(&mut self, frame: Frame) {
        if let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= frame.0) {
            zone.settle(self.meta, frame.0);
        }
    }
}
