//! Where a frame's group is, and where a group's frames are.

use super::group::SHIFT;
use super::section::{SECTION_WORDS, Section, unit_shift};
use super::zone::{Zone, bit_of};

impl Zone {
    /// Whether `frame` is free.
    pub fn is_free(&self, meta: &[u64], frame: u64) -> bool {
        let Some(section) = self.section_of_frame(meta, frame) else { return false };
        for level in (0..=self.top).rev() {
            let group = self.group_of(meta, section, level, frame);
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

    /// The number of the group of `level` that `frame` belongs to.
    #[inline]
    pub fn group_of(&self, meta: &[u64], section: usize, level: usize, frame: u64) -> usize {
        (frame >> unit_shift(level + 1)).wrapping_add(self.offset(meta, section, level)) as usize
    }

    /// The first frame of a unit.
    #[inline]
    pub fn frame(&self, meta: &[u64], section: usize, level: usize, group: usize, bit: u32) -> u64 {
        let place = (group as u64).wrapping_sub(self.offset(meta, section, level));
        (place << SHIFT | u64::from(bit)) << unit_shift(level)
    }

    #[inline]
    fn offset(&self, meta: &[u64], section: usize, level: usize) -> u64 {
        if self.sections == 1 { self.first_section.offset[level] } else { self.section(meta, section).offset[level] }
    }

    fn section(&self, meta: &[u64], section: usize) -> Section {
        Section::load(&meta[self.section_words + section * SECTION_WORDS..][..SECTION_WORDS])
    }

    #[inline]
    pub fn section_of_frame(&self, meta: &[u64], frame: u64) -> Option<usize> {
        if self.sections == 1 {
            return (self.first_section.first <= frame && frame < self.first_section.end).then_some(0);
        }
        let section = self.last_section(meta, |section| section.first <= frame);
        let Section { first, end, .. } = self.section(meta, section);
        (first <= frame && frame < end).then_some(section)
    }

    #[inline]
    pub fn section_of_group(&self, meta: &[u64], level: usize, group: usize) -> usize {
        if self.sections == 1 {
            return 0;
        }
        self.last_section(meta, |section| section.first_group(level) <= group)
    }

    /// The last section for which `holds`, which it does for all up to some point; else the first.
    #[inline(never)]
    fn last_section(&self, meta: &[u64], holds: impl Fn(&Section) -> bool) -> usize {
        let (mut low, mut high) = (0, self.sections);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if holds(&self.section(meta, middle)) { low = middle } else { high = middle }
        }
        low
    }
}
