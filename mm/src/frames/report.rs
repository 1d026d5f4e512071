//! What is free, zone by zone, for those who want to look.

use super::Frames;
use super::group::{CLASSES, census, mask};
use super::section::unit_shift;
use super::zone::{Zone, bit_of};
use crate::{Frame, FrameRun};

/// A zone as it is now.
#[derive(Clone, Copy, Debug)]
pub struct ZoneInfo {
    /// The name that the boundary above it gave, `high` for the last.
    pub name: &'static str,
    /// The first frame that may belong to it.
    pub start: Frame,
    /// The frame after the last that may belong to it; [`Frames::ANYWHERE`] for the zone `high`.
    pub end: Frame,
    /// How many frames it was given.
    pub total: u64,
    /// How many of them are free.
    pub free: u64,
    /// How many free blocks there are of each order, each counted once, at the largest that it is part of.
    pub blocks: [u64; Frames::MAX_ORDER as usize + 1],
}

impl ZoneInfo {
    /// The order of the largest free block.
    pub fn largest(&self) -> Option<u8> {
        self.blocks.iter().rposition(|&count| count > 0).map(|order| order as u8)
    }
}

/// What a frame is to the allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The name of its zone.
    pub zone: &'static str,
    /// Whether it is free.
    pub free: bool,
    /// The block that it is part of: the largest free one, or the one that was taken; its size is a power of two.
    pub block: FrameRun,
}

impl Frames {
    /// The frame after the last that was given at set-up.
    pub fn given_end(&self) -> Frame {
        Frame(self.zones[..self.count].first().map_or(0, |zone| zone.given_end))
    }

    /// What `frame` is; `None` if it was never given.
    pub fn place_of(&self, frame: Frame) -> Option<Place> {
        let zone = self.zone_of(frame).filter(|_| self.was_given(frame))?;
        let block = |order: u32| FrameRun { first: Frame(frame.0 & !((1 << order) - 1)), count: 1 << order };
        if let Some(order) = free_order(zone, self.meta, frame.0) {
            return Some(Place { zone: zone.name, free: true, block: block(order) });
        }
        let is_taken = |order: &u32| {
            zone.allocated(self.meta, block(*order).first.0, *order).is_some()
                || *order == 0 && zone.is_loose(self.meta, frame.0)
        };
        let order = (0..=u32::from(Self::MAX_ORDER)).find(is_taken)?;
        Some(Place { zone: zone.name, free: false, block: block(order) })
    }

    /// The zones that were given frames, lowest first. Counting the blocks visits every group that is broken: this is
    /// for people, not for hot paths.
    pub fn zones(&self) -> impl Iterator<Item = ZoneInfo> {
        self.zones[..self.count].iter().rev().map(|zone| ZoneInfo {
            name: zone.name,
            start: Frame(zone.start),
            end: Frame(zone.end),
            total: zone.total,
            free: zone.free,
            blocks: count(zone, self.meta),
        })
    }
}

/// The order of the largest free block that `frame` is part of.
fn free_order(zone: &Zone, meta: &[u64], frame: u64) -> Option<u32> {
    for level in (0..=zone.top).rev() {
        let group = zone.group_of(meta, level, frame);
        if !zone.levels[level].state(meta, group).exists() {
            return None;
        }
        let (vacant, bit) = (zone.levels[level].group(meta, group).vacant(), bit_of(level, frame));
        let is_free = |class: &u32| !vacant & mask(bit & !((1 << class) - 1), *class) == 0;
        if let Some(class) = (0..CLASSES).rev().find(is_free) {
            return Some(unit_shift(level) + class);
        }
    }
    None
}

fn count(zone: &Zone, meta: &[u64]) -> [u64; Frames::MAX_ORDER as usize + 1] {
    let mut counts = [0; Frames::MAX_ORDER as usize + 1];
    for level in 0..=zone.top {
        for group in zone.levels[level].existing(meta) {
            let base = unit_shift(level) as usize;
            for (class, blocks) in census(zone.levels[level].group(meta, group).vacant()).into_iter().enumerate() {
                counts[base + class] += u64::from(blocks);
            }
        }
    }
    counts
}

const _: () = assert!(unit_shift(super::section::LEVELS) == CLASSES * super::section::LEVELS as u32);
