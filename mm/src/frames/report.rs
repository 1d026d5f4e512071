//! What is free, zone by zone, for those who want to look.

use super::Frames;
use super::group::{CLASSES, census};
use super::section::unit_shift;
use super::zone::Zone;
use crate::Frame;

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

impl Frames {
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
