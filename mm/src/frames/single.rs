//! Single frames: one, or by the group of 64 for caches.

use super::cache::Purpose;
use super::group::{CLASSES, Group, SHIFT, crumbs, largest_around, mask};
use super::section::unit_shift;
use super::shape::shape;
use super::word::Words;
use super::zone::{SINGLES, Zone, bit_of};
use super::{FrameError, Frames};
use crate::Frame;

/// Blocks of this class and more are left whole while such are wanted: 16 frames.
const WORTH: u32 = 4;

/// For how many refills of caches they are, after the last time that one was wanted.
const SPARE: u32 = 1024;

/// Classes of level 1 whose blocks are smaller than 2 MiB.
const WHOLE_CLASSES: u32 = 3;

/// The bits of `available` that stand for those.
const WHOLE: u32 = ((1 << WHOLE_CLASSES) - 1) << CLASSES;

impl Frames {
    /// Takes free frames that lie below `below`, at least `least` if they are near one another, and tells `give` of each group
    /// of 64 that they belong to: the number of its first frame divided by 64, and a bit for each frame taken. There are no more
    /// groups than `least`.
    ///
    /// They come from the lowest groups that are broken, or from a whole one that lies lower, unless a free block of 2 MiB would
    /// be broken for it: what is broken for good had better be used up. While blocks of 16 frames and more are asked for, those
    /// are left whole as well, because a request for one would break a block of 2 MiB instead.
    ///
    /// # Errors
    /// [`FrameError::NoMemory`].
    pub(super) fn take_singles(
        &mut self,
        below: Frame,
        purpose: Purpose,
        least: u32,
        mut give: impl FnMut(u64, u64),
    ) -> Result<(), FrameError> {
        let fixed = purpose == Purpose::Fixed;
        let end = if self.spare > 0 { WORTH } else { CLASSES };
        self.spare = self.spare.saturating_sub(1);
        for zone in self.zones[..self.count].iter_mut().filter(|zone| zone.start < below.0) {
            if zone.given_end > below.0 {
                break;
            }
            if zone.take_lowest(self.meta, end, fixed, least, &mut give) {
                return Ok(());
            }
        }
        let first = self.alloc_block(0, 1, below)?.0;
        let mut taken = 1 << (first % 64);
        if let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= first) {
            let low = below.0.saturating_sub(first & !63);
            taken |= zone.take_rest(self.meta, first, if low >= 64 { !0 } else { (1 << low) - 1 }, fixed);
        }
        give(first / 64, taken);
        Ok(())
    }

    /// Gives back those frames of a group of 64 whose bits are set, as far as they are allocated one by one. Which
    /// of them were.
    #[inline]
    pub(super) fn give_group(&mut self, group: u64, frames: u64) -> u64 {
        let first = group * 64 + u64::from(frames.trailing_zeros() % 64);
        let Some(zone) = self.zones[..self.count].iter_mut().find(|zone| zone.start <= first) else { return 0 };
        let before_end = zone.end - group * 64;
        if before_end < 64 && frames >> before_end != 0 {
            return self.give_two_zones(group, frames, before_end);
        }
        zone.give_singles(self.meta, first, frames)
    }

    /// The same for a group in which two zones meet, `edge` frames behind its first.
    #[cold]
    fn give_two_zones(&mut self, group: u64, frames: u64, edge: u64) -> u64 {
        let below = frames & ((1 << edge) - 1);
        self.give_group(group, below) | self.give_group(group, frames & !below)
    }

    /// Gives back blocks of one order. Returns how many of them were not allocated as such.
    #[inline]
    pub(super) fn give_blocks(&mut self, order: u8, blocks: impl Iterator<Item = u64>) -> u64 {
        let (mut refused, shape) = (0, *shape(order.into()));
        for first in blocks {
            let zone = self.zones[..self.count].iter_mut().find(|zone| zone.start <= first);
            refused += u64::from(!zone.is_some_and(|zone| zone.free_shaped(self.meta, first, order.into(), shape)));
        }
        refused
    }

    /// Takes up to `most` blocks of `order` from one zone and tells `give` where each begins. Returns how many.
    #[inline]
    pub(super) fn take_blocks(&mut self, order: u8, most: u32, mut give: impl FnMut(u64)) -> u32 {
        self.want(order);
        for zone in &mut self.zones[..self.count] {
            let count = zone.alloc_some(self.meta, order.into(), most, &mut give);
            if count > 0 {
                return count;
            }
        }
        0
    }

    /// Where the zone that `frame` lies in begins, and how many frames behind that the next refill of a cache would end.
    pub(super) fn active_end(&self, frame: Frame) -> (u64, u64) {
        let end = if self.spare > 0 { WORTH } else { CLASSES };
        self.zone_of(frame).map_or((0, 0), |zone| (zone.start, zone.next_single(self.meta, end) - zone.start))
    }

    /// Notes that a block of `order` is wanted, as [`take_singles`](Self::take_singles) has to know.
    #[inline]
    pub(super) fn want(&mut self, order: u8) {
        if u32::from(order) >= WORTH {
            self.spare = SPARE;
        }
    }
}

impl Zone {
    /// Takes the lowest frame of the lowest group that has one, if a group is broken.
    #[inline]
    pub fn alloc_single(&mut self, meta: Words) -> Option<u64> {
        while self.available & SINGLES != 0 {
            let (row, groups) = self.levels[0].lowest_of(meta, CLASSES);
            let group = row << SHIFT | groups.trailing_zeros() as usize & 63;
            let vacant = self.levels[0].group(meta, group).vacant();
            if vacant == 0 {
                self.available &= !self.levels[0].strike_all(meta, CLASSES, row, 1 << (group % 64));
                continue;
            }
            let bit = vacant.trailing_zeros();
            return Some(self.take(meta, largest_around(vacant, bit), group, bit, 0));
        }
        None
    }

    /// The end of the group that [`take_lowest`](Self::take_lowest) would take from, or of all, if it would have to break larger
    /// blocks.
    fn next_single(&self, meta: Words, end: u32) -> u64 {
        if self.available & ((1 << end) - 1) == 0 {
            return self.given_end;
        }
        let (row, groups) = self.levels[0].lowest_of(meta, end);
        self.frame(meta, 0, row << SHIFT | groups.trailing_zeros() as usize & 63, 63) + 1
    }

    /// See [`Frames::take_singles`]. Free blocks of class `end` and more are left whole as long as there are others. Returns
    /// whether any were taken.
    #[inline]
    fn take_lowest(&mut self, meta: Words, end: u32, fixed: bool, least: u32, give: &mut impl FnMut(u64, u64)) -> bool {
        let single = (1 << end) - 1;
        let whole = if end == CLASSES { WHOLE } else { 0 };
        while self.available & (single | whole) != 0 {
            let (mut row, mut groups) = (0, 0);
            let mut first = u64::MAX;
            if self.available & single != 0 {
                (row, groups) = self.levels[0].lowest_of(meta, end);
                let own = self.levels[0].of_kind(meta, row, groups, fixed);
                groups = if own == 0 { groups } else { own };
                first = self.frame(meta, 0, row << SHIFT | groups.trailing_zeros() as usize & 63, 0);
            }
            if self.available & whole != 0
                && let Some((above, bit)) = self.lowest_whole(meta)
                && self.frame(meta, 1, above, bit) < first
            {
                let group = self.take_whole(meta, above, bit, fixed);
                give(group, !0);
                return true;
            }
            let (mut seen, mut count) = (0, 0);
            while groups != 0 && count < least {
                let group = row << SHIFT | groups.trailing_zeros() as usize & 63;
                groups &= groups - 1;
                seen |= 1 << (group % 64);
                let units = self.levels[0].group(meta, group);
                let taken = crumbs(units.vacant(), end);
                if taken != 0 {
                    let after = Group { free: units.free & !taken, head: units.head | taken };
                    self.levels[0].set_group(meta, group, after);
                    count += taken.count_ones();
                    give(self.frame(meta, 0, group, 0) / 64, taken);
                }
            }
            self.free -= u64::from(count);
            self.available &= !self.levels[0].strike_all(meta, end, row, seen);
            if count > 0 {
                self.levels[0].set_kind(meta, row, seen, fixed);
                return true;
            }
        }
        if let Some((group, taken)) = self.take_larger(meta, fixed) {
            give(group, taken);
            return true;
        }
        false
    }

    /// The lowest unit of 64 frames that is free as such, but not part of a larger block than one of 1 MiB: the group of level
    /// 1 it belongs to, and its place there.
    #[inline]
    fn lowest_whole(&mut self, meta: Words) -> Option<(usize, u32)> {
        while self.available & WHOLE != 0 {
            let (row, groups) = self.levels[1].lowest_of(meta, WHOLE_CLASSES);
            let group = row << SHIFT | groups.trailing_zeros() as usize & 63;
            let units = crumbs(self.levels[1].group(meta, group).vacant(), WHOLE_CLASSES);
            if units != 0 {
                return Some((group, units.trailing_zeros()));
            }
            let emptied = self.levels[1].strike_all(meta, WHOLE_CLASSES, row, 1 << (group % 64));
            self.available &= !(emptied << unit_shift(1));
        }
        None
    }

    /// Splits the free unit at `bit` of a group of level 1, which is the first of a free block, and takes its frames.
    fn take_whole(&mut self, meta: Words, group: usize, bit: u32, fixed: bool) -> u64 {
        let mut units = self.levels[1].group(meta, group);
        let class = largest_around(units.vacant(), bit);
        units.head |= 1 << bit;
        self.levels[1].set_group(meta, group, units);
        for left in 0..class {
            self.hint(meta, 1, left, group);
        }
        self.free -= 64;
        let first = self.frame(meta, 1, group, bit);
        let group = self.group_of(meta, 0, first);
        self.levels[0].set_group(meta, group, Group { free: 0, head: !0 });
        self.levels[0].set_kind(meta, group >> SHIFT, 1 << (group % 64), fixed);
        first / 64
    }

    /// Takes the frames of the smallest free block, up to 64.
    #[inline(never)]
    fn take_larger(&mut self, meta: Words, fixed: bool) -> Option<(u64, u64)> {
        let order = self.available.trailing_zeros().min(CLASSES);
        let first = self.alloc(meta, order)?;
        let group = self.group_of(meta, 0, first);
        let taken = if order == CLASSES {
            // A unit of the level above is split, so that its frames are allocated one by one.
            let above = self.group_of(meta, 1, first);
            let mut units = self.levels[1].group(meta, above);
            units.free |= 1 << bit_of(1, first);
            self.levels[1].set_group(meta, above, units);
            !0
        } else {
            mask(bit_of(0, first), order)
        };
        let mut units = self.levels[0].group(meta, group);
        units.head |= taken;
        self.levels[0].set_group(meta, group, units);
        self.levels[0].set_kind(meta, group >> SHIFT, 1 << (group % 64), fixed);
        Some((first / 64, taken))
    }

    /// Takes what is free among `reach` of the group around `frame`, which has just been taken.
    fn take_rest(&mut self, meta: Words, frame: u64, reach: u64, fixed: bool) -> u64 {
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        let taken = units.vacant() & reach;
        let after = Group { free: units.free & !taken, head: units.head | taken };
        self.levels[0].set_group(meta, group, after);
        self.hint_blocks(meta, 0, group, after.vacant(), after.vacant());
        self.levels[0].set_kind(meta, group >> SHIFT, 1 << (group % 64), fixed);
        self.free -= u64::from(taken.count_ones());
        taken
    }

    /// See [`Frames::give_group`].
    #[inline]
    fn give_singles(&mut self, meta: Words, frame: u64, frames: u64) -> u64 {
        if !self.has(meta, frame) {
            return 0;
        }
        let group = self.group_of(meta, 0, frame);
        let units = self.levels[0].group(meta, group);
        let given = frames & units.singles();
        if given == 0 {
            return 0;
        }
        let after = Group { free: units.free | given, head: units.head & !given };
        self.free += u64::from(given.count_ones());
        if given & (given - 1) == 0 || after.vacant() == !0 {
            self.vacate(meta, 0, group, after, given.trailing_zeros(), frame);
        } else {
            self.levels[0].set_group(meta, group, after);
            self.hint_blocks(meta, 0, group, after.vacant(), given);
        }
        given
    }
}
