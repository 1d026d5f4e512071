//! Where metadata is laid out: a zone's runs, its sections, and the numbering of their groups.
//!
//! A section is a stretch of memory without a hole of 1 GiB or more. Groups are numbered through all sections of a
//! zone, level by level, so that the bitmaps over them have no gaps where memory has.

use super::group::SHIFT;
use super::word::{Cell64, Word};
use crate::FrameRun;

/// Levels of units: of 1 frame, 64 frames (256 KiB), 4096 frames (16 MiB), 262144 frames (1 GiB).
pub(super) const LEVELS: usize = 4;

/// The least hole that divides two sections, in frames: 1 GiB. A unit of the highest level is no larger, so that no
/// unit lies in two sections.
const HOLE: u64 = 1 << 18;

/// Words that a section takes in the metadata.
pub(super) const SECTION_WORDS: usize = Section::OFFSETS + LEVELS;

/// log2 of the frames in a unit of `level`.
#[inline]
pub(super) const fn unit_shift(level: usize) -> u32 {
    SHIFT * level as u32
}

/// A stretch of memory and where its groups are.
#[derive(Clone, Copy, Default)]
pub(super) struct Section {
    /// The first frame that was given.
    pub first: u64,
    /// The frame after the last one.
    pub end: u64,
    /// By level: what is added, modulo 2^64, to a group's place in physical memory to have its number in the zone.
    pub offset: [u64; LEVELS],
}

impl Section {
    /// Where the offsets stand among the words of a section.
    pub const OFFSETS: usize = 2;

    /// Reads back what [`store`](Self::store) wrote.
    pub fn load(words: &[Word]) -> Self {
        let word = |n: usize| words[n].get();
        Self { first: word(0), end: word(1), offset: core::array::from_fn(|level| word(Self::OFFSETS + level)) }
    }

    /// Writes the section to the metadata.
    pub fn store(&self, words: &[Word]) {
        words[0].set(self.first);
        words[1].set(self.end);
        words[Self::OFFSETS..].iter().zip(self.offset).for_each(|(word, offset)| word.set(offset));
    }

    /// How many groups of `level` it has.
    pub fn groups(&self, level: usize) -> u64 {
        let shift = unit_shift(level + 1);
        ((self.end - 1) >> shift) - (self.first >> shift) + 1
    }

    /// The number of its first group of `level`.
    pub fn first_group(&self, level: usize) -> usize {
        (self.first >> unit_shift(level + 1)).wrapping_add(self.offset[level]) as usize
    }
}

/// The runs of frames in `first .. end`, in order, cut to fit and with those that touch joined.
#[derive(Clone)]
pub(super) struct Stretches<'a> {
    runs: &'a [FrameRun],
    first: u64,
    end: u64,
}

impl<'a> Stretches<'a> {
    /// Of `runs`, which are sorted and disjoint, what lies in `first .. end`.
    pub fn new(runs: &'a [FrameRun], first: u64, end: u64) -> Self {
        Self { runs, first, end }
    }

    fn next_cut(&mut self) -> Option<(u64, u64)> {
        while let Some((run, rest)) = self.runs.split_first() {
            let (first, end) = (run.first.0.max(self.first), run.end().0.min(self.end));
            if first < end {
                return Some((first, end));
            }
            self.runs = rest;
        }
        None
    }
}

impl Iterator for Stretches<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let (first, mut end) = self.next_cut()?;
        self.first = end;
        while let Some((next, next_end)) = self.next_cut().filter(|cut| cut.0 == end) {
            debug_assert_eq!(next, end);
            end = next_end;
            self.first = end;
        }
        Some((first, end))
    }
}

/// The sections that hold these stretches, with their offsets still 0.
pub(super) fn sections(stretches: Stretches) -> impl Iterator<Item = Section> {
    let mut stretches = stretches.peekable();
    core::iter::from_fn(move || {
        let (first, mut end) = stretches.next()?;
        while let Some((_, next_end)) = stretches.next_if(|next| next.0 - end < HOLE) {
            end = next_end;
        }
        Some(Section { first, end, offset: [0; LEVELS] })
    })
}

/// The highest level of which `first .. end` holds a whole unit.
pub(super) fn highest_level(first: u64, end: u64) -> usize {
    (1..LEVELS)
        .rev()
        .find(|&level| {
            let shift = unit_shift(level);
            first.div_ceil(1 << shift) < end >> shift
        })
        .unwrap_or(0)
}
