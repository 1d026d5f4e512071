//! Single frames by the group of 64, for caches.

use super::group::Group;
use super::zone::Zone;
use super::{FrameError, Frames};
use crate::Frame;

impl Frames {
    /// Takes a free frame that lies below `below`, as [`alloc`](Self::alloc) would, and with it every other of its
    /// group of 64 that is free. The number of the group's first frame divided by 64, and a bit for each frame taken.
    ///
    /// # Errors
    /// [`FrameError::NoMemory`].
    pub fn take_group(&mut self, below: Frame) -> Result<(u64, u64), FrameError> {
        for zone in self.zones[..self.count].iter_mut().filter(|zone| zone.start < below.0) {
            if zone.given_end > below.0 {
                break;
            }
            if let Some((first, taken)) = zone.take_lowest(self.meta) {
                return Ok((first / 64, taken));
            }
        }
        let first = self.alloc(0, below)?;
        let group = first.0 / 64;
        let mut taken = 1 << (first.0 % 64);
        if let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= first.0) {
            let low = below.0.saturating_sub(group * 64);
            let reach = if low >= 64 { !0 } else { (1 << low) - 1 };
            taken |= zone.take_all(self.meta, first.0, reach);
        }
        Ok((group, taken))
    }

    /// Gives back those frames of a group of 64 whose bits are set, as far as they are allocated one by one. Which
    /// of them were. They must lie in one zone, as those that [`take_group`](Self::take_group) gave do.
    pub fn give_group(&mut self, group: u64, frames: u64) -> u64 {
        let first = group * 64 + u64::from(frames.trailing_zeros() % 64);
        match self.zones[..self.count].iter_mut().find(|zone| zone.start <= first) {
            Some(zone) => zone.give_singles(self.meta, first, frames),
            None => 0,
        }
    }

    /// Which frames of the group of 64 around `frame` are allocated one by one, as far as they are in its zone.
    pub fn singles(&self, frame: Frame) -> u64 {
        self.zone_of(frame).map_or(0, |zone| zone.singles(self.meta, frame.0, !0))
    }
}

impl Zone {
    /// Takes what is free of the group of single frames around `frame`, of which one has just been taken.
    fn take_all(&mut self, meta: &mut [u64], frame: u64, reach: u64) -> u64 {
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        let taken = units.vacant() & reach;
        if taken != 0 {
            let after = Group { free: units.free & !taken, head: units.head | taken };
            self.levels[0].set_group(meta, group, after);
            self.restate(meta, 0, group, self.levels[0].state(meta, group), after.vacant());
            self.free -= u64::from(taken.count_ones());
        }
        taken
    }

    fn singles(&self, meta: &[u64], frame: u64, among: u64) -> u64 {
        if !self.has(meta, frame) {
            return 0;
        }
        let group = self.group_of(meta, 0, frame);
        let state = self.levels[0].state(meta, group);
        if !state.exists() {
            return 0;
        }
        let mut singles = self.levels[0].group(meta, group).singles() & among;
        if state.has_holes() {
            let start = frame & !63;
            for bit in (0..64).filter(|bit| among >> bit & 1 != 0) {
                let there = self.has(meta, start + bit) && self.was_given(meta, start + bit);
                singles &= !(u64::from(!there) << bit);
            }
        }
        singles
    }

    fn give_singles(&mut self, meta: &mut [u64], frame: u64, frames: u64) -> u64 {
        let given = self.singles(meta, frame, frames);
        if given == 0 {
            return 0;
        }
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        let after = Group { free: units.free | given, head: units.head & !given };
        self.free += u64::from(given.count_ones());
        if after.vacant() == !0 && self.top > 0 {
            self.complete(meta, 0, frame);
        } else {
            self.levels[0].set_group(meta, group, after);
            self.restate(meta, 0, group, self.levels[0].state(meta, group), after.vacant());
        }
        given
    }
}
