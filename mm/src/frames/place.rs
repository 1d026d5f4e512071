//! Where a frame's group is, and where a group's frames are.

use super::group::SHIFT;
use super::section::{SECTION_WORDS, Section, unit_shift};
use super::zone::{Zone, bit_of};

impl Zone {
    /// Whether `frame` is free.
    pub fn is_free(&self, meta: &[u64], frame: u64) -> bool {
        if !self.has(meta, frame) {
            return false;
        }
        for level in (0..=self.top).rev() {
            let group = self.group_of(meta, level, frame);
            if !self.levels[level].state(meta, group).exists() {
                return false;
            }
            if self.levels[level].group(meta, group).vacant() >> bit_of(level, frame) & 1 != 0 {
                return true;
            }
        }
        false
    }

    /// Whether `frame` was in one of the runs given at set-up.
    #[cold]
    pub fn was_given(&self, meta: &[u64], frame: u64) -> bool {
        let run = |n: usize| (meta[self.run_words + 2 * n], meta[self.run_words + 2 * n + 1]);
        let (mut low, mut high) = (0, self.runs);
        while low < high {
            let middle = low.midpoint(high);
            let (first, end) = run(middle);
            if frame < first {
                high = middle;
            } else if frame < end {
                return true;
            } else {
                low = middle + 1;
            }
        }
        false
    }

    /// The number of the group of `level` that `frame`, which lies in the zone's memory, belongs to.
    #[inline]
    pub fn group_of(&self, meta: &[u64], level: usize, frame: u64) -> usize {
        let section = if self.sections == 1 { 0 } else { self.section_of_frame(meta, frame) };
        (frame >> unit_shift(level + 1)).wrapping_add(self.offset(meta, section, level)) as usize
    }

    /// Whether `frame` lies in a section, though not whether it was ever given.
    #[inline]
    pub fn has(&self, meta: &[u64], frame: u64) -> bool {
        let Section { first, end, .. } = if self.sections == 1 { self.first_section } else { self.around(meta, frame) };
        first <= frame && frame < end
    }

    /// The first frame of a unit.
    #[inline]
    pub fn frame(&self, meta: &[u64], level: usize, group: usize, bit: u32) -> u64 {
        let section = if self.sections == 1 { 0 } else { self.section_of_group(meta, level, group) };
        let place = (group as u64).wrapping_sub(self.offset(meta, section, level));
        (place << SHIFT | u64::from(bit)) << unit_shift(level)
    }

    #[inline]
    fn offset(&self, meta: &[u64], section: usize, level: usize) -> u64 {
        if self.sections == 1 {
            self.first_section.offset[level]
        } else {
            meta[self.section_words + section * SECTION_WORDS + Section::OFFSETS + level]
        }
    }

    #[cold]
    fn around(&self, meta: &[u64], frame: u64) -> Section {
        self.section(meta, self.section_of_frame(meta, frame))
    }

    fn section(&self, meta: &[u64], section: usize) -> Section {
        Section::load(&meta[self.section_words + section * SECTION_WORDS..][..SECTION_WORDS])
    }

    #[inline(never)]
    fn section_of_frame(&self, meta: &[u64], frame: u64) -> usize {
        self.last_section(|n| self.section(meta, n).first <= frame)
    }

    #[inline(never)]
    fn section_of_group(&self, meta: &[u64], level: usize, group: usize) -> usize {
        self.last_section(|n| self.section(meta, n).first_group(level) <= group)
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
