//! What is free, zone by zone, for those who want to look.

use super::Frames;
use super::group::{CLASSES, census};
use super::place::State;
use super::section::{Section, unit_shift};
use super::word::Words;
use super::zone::Zone;
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
        let zone = self.zone_of(frame)?;
        let block = |order: u32| FrameRun { first: Frame(frame.0 & !((1 << order) - 1)), count: 1 << order };
        match zone.state(self.meta, frame.0) {
            State::NeverGiven => None,
            State::Free(order) => Some(Place { zone: zone.name, free: true, block: block(order) }),
            State::Allocated => {
                let is_taken = |order: &u32| zone.allocated(self.meta, block(*order).first.0, *order).is_some();
                let order = (0..=u32::from(Self::MAX_ORDER)).find(is_taken)?;
                Some(Place { zone: zone.name, free: false, block: block(order) })
            }
        }
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

fn count(zone: &Zone, meta: Words) -> [u64; Frames::MAX_ORDER as usize + 1] {
    let mut counts = [0; Frames::MAX_ORDER as usize + 1];
    for section in 0..zone.sections {
        let section = zone.section(meta, section);
        let shift = unit_shift(zone.top + 1);
        for place in section.first >> shift..=(section.end - 1) >> shift {
            count_group(zone, meta, &section, zone.top, (place << shift).max(section.first), &mut counts);
        }
    }
    counts
}

/// Counts the free blocks of the group of `level` around `frame`, and of those below its units that are split.
fn count_group(zone: &Zone, meta: Words, section: &Section, level: usize, frame: u64, counts: &mut [u64]) {
    let units = zone.levels[level].group(meta, zone.group_of(meta, level, frame));
    let shift = unit_shift(level);
    for (class, blocks) in census(units.vacant()).into_iter().enumerate() {
        counts[shift as usize + class] += u64::from(blocks);
    }
    if level == 0 {
        return;
    }
    let mut split = units.split();
    while split != 0 {
        let start = ((frame >> shift & !63) + u64::from(split.trailing_zeros())) << shift;
        split &= split - 1;
        let first = start.max(section.first);
        // What lies outside of the section was never given, or is counted with another.
        if first < section.end && first >> shift == start >> shift {
            count_group(zone, meta, section, level - 1, first, counts);
        }
    }
}

const _: () = assert!(unit_shift(super::section::LEVELS) == CLASSES * super::section::LEVELS as u32);
