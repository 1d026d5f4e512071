//! Where a frame's group is, where a group's frames are, and what a frame is.

use super::group::{SHIFT, largest_around};
use super::section::{LEVELS, SECTION_WORDS, Section, unit_shift};
use super::word::Words;
use super::zone::{Zone, bit_of};

/// What a frame is to its zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was in none of the runs given at set-up.
    NeverGiven,
    /// It is free; the largest free block that it is part of is of this order.
    Free(u32),
    /// It is part of an allocated block.
    Allocated,
}

impl Zone {
    /// What `frame` is, read from the highest level downwards.
    pub fn state(&self, meta: Words, frame: u64) -> State {
        if !self.has(meta, frame) {
            return State::NeverGiven;
        }
        for level in (0..=self.top).rev() {
            let units = self.levels[level].group(meta, self.group_of(meta, level, frame));
            let bit = bit_of(level, frame);
            if !units.exists() {
                return State::NeverGiven;
            } else if units.vacant() >> bit & 1 != 0 {
                return State::Free(unit_shift(level) + largest_around(units.vacant(), bit));
            } else if units.split() >> bit & 1 == 0 {
                return State::Allocated;
            }
        }
        State::NeverGiven
    }

    /// The number of the group of `level` that `frame` belongs to, if it lies in a section. Whether it was ever given, its
    /// group tells.
    #[inline(always)]
    pub fn locate(&self, meta: Words, level: usize, frame: u64) -> Option<usize> {
        let section = &self.first_section;
        if frame.wrapping_sub(section.first) < section.end - section.first {
            return Some((frame >> unit_shift(level + 1)).wrapping_add(section.offset[level % LEVELS]) as usize);
        }
        if self.sections == 1 { None } else { self.locate_elsewhere(meta, level, frame) }
    }

    #[inline(never)]
    fn locate_elsewhere(&self, meta: Words, level: usize, frame: u64) -> Option<usize> {
        let section = self.section(meta, self.last_section(|n| self.section(meta, n).first <= frame));
        (section.first..section.end)
            .contains(&frame)
            .then_some((frame >> unit_shift(level + 1)).wrapping_add(section.offset[level % LEVELS]) as usize)
    }

    /// The same for a frame that lies in a section.
    #[inline(always)]
    pub fn group_of(&self, meta: Words, level: usize, frame: u64) -> usize {
        self.locate(meta, level, frame).unwrap_or_default()
    }

    /// Whether `frame` lies in a section, though not whether it was ever given.
    #[inline]
    pub fn has(&self, meta: Words, frame: u64) -> bool {
        self.locate(meta, 0, frame).is_some()
    }

    /// The first frame of a unit.
    #[inline(always)]
    pub fn frame(&self, meta: Words, level: usize, group: usize, bit: u32) -> u64 {
        let own = self.first_section.offset[level % LEVELS];
        let offset = if self.sections == 1 { own } else { self.offset_of_group(meta, level, group) };
        let place = (group as u64).wrapping_sub(offset);
        (place << SHIFT | u64::from(bit)) << unit_shift(level)
    }

    /// The section number `section`.
    pub fn section(&self, meta: Words, section: usize) -> Section {
        if self.sections == 1 {
            return self.first_section;
        }
        Section::load(&meta[self.section_words + section * SECTION_WORDS..][..SECTION_WORDS])
    }

    /// What is added to a group's place in physical memory for its number.
    #[inline(never)]
    fn offset_of_group(&self, meta: Words, level: usize, group: usize) -> u64 {
        let section = self.last_section(|n| self.section(meta, n).first_group(level) <= group);
        self.section(meta, section).offset[level]
    }

    /// The last section for which `holds`, which it does for all up to some point; else the first.
    fn last_section(&self, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.sections);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if holds(middle) { low = middle } else { high = middle }
        }
        low
    }
}
