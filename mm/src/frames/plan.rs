//! Set-up: what metadata some runs of frames need, and its first state.
//!
//! The metadata holds, in this order: the hints of each level of each zone, their groups, the sections. Hints and groups are
//! cleared, a quarter of a byte for each frame: words of 0 say that there is no such group, which a check without the lock relies
//! on. Everything else that set-up does grows with the runs.

use super::level::Level;
use super::section::{SECTION_WORDS, Section, Stretches, highest_level, sections, unit_shift};
use super::word::Words;
use super::zone::Zone;
use super::{Boundary, FrameError, Frames};
use crate::FrameRun;

/// The zones that hold frames, lowest first, and how the metadata is divided among them.
pub(super) struct Plan {
    /// The zones, their words assigned but not yet written.
    pub zones: [Zone; Frames::MAX_ZONES],
    /// How many of them there are.
    pub count: usize,
    /// Words of hints and groups, from the first word of the metadata on.
    pub cleared: u64,
    /// Words in all.
    pub words: u64,
}

impl Plan {
    /// Plans for `runs`, divided at `boundaries`.
    pub fn new(runs: &[FrameRun], boundaries: &[Boundary]) -> Result<Self, FrameError> {
        check(runs)?;
        let mut plan = Self { zones: Default::default(), count: 0, cleared: 0, words: 0 };
        plan.divide(runs, boundaries)?;
        let mut at = 0;
        for zone in &mut plan.zones[..plan.count] {
            for level in 0..=zone.top {
                (zone.levels[level], at) = Level::plan(groups(zone, runs, level), at);
            }
        }
        for zone in &mut plan.zones[..plan.count] {
            for level in 0..=zone.top {
                at = zone.levels[level].plan_units(at);
            }
        }
        plan.cleared = at;
        for zone in &mut plan.zones[..plan.count] {
            zone.section_words = at as usize;
            // A single section is kept in the zone itself.
            at += if zone.sections > 1 { (zone.sections * SECTION_WORDS) as u64 } else { 0 };
        }
        plan.words = at;
        Ok(plan)
    }

    /// Finds the zones that hold frames.
    fn divide(&mut self, runs: &[FrameRun], boundaries: &[Boundary]) -> Result<(), FrameError> {
        let mut start = 0;
        loop {
            // The next boundary in ascending order; of two in the same place, the first that the caller named.
            let next = boundaries.iter().filter(|boundary| boundary.end.0 > start).min_by_key(|boundary| boundary.end);
            let (name, end) = next.map_or(("high", u64::MAX), |boundary| (boundary.name, boundary.end.0));
            let stretches = Stretches::new(runs, start, end);
            let mut zone = Zone { name, start, end, ..Zone::default() };
            for (first, stretch_end) in stretches.clone() {
                zone.total += stretch_end - first;
                zone.given_end = stretch_end;
                zone.top = zone.top.max(highest_level(first, stretch_end));
            }
            if zone.total > 0 {
                zone.sections = sections(stretches).count();
                *self.zones.get_mut(self.count).ok_or(FrameError::TooManyZones)? = zone;
                self.count += 1;
            }
            if next.is_none() {
                return Ok(());
            }
            start = end;
        }
    }

    /// Writes the first state, in which every frame is free, to metadata of which the first [`cleared`](Self::cleared) words
    /// are 0.
    pub fn carry_out(&mut self, runs: &[FrameRun], meta: Words) {
        for zone in &mut self.zones[..self.count] {
            let stretches = Stretches::new(runs, zone.start, zone.end);
            let mut numbered = [0; super::section::LEVELS];
            for (n, mut section) in sections(stretches.clone()).enumerate() {
                for (level, numbered) in numbered.iter_mut().enumerate() {
                    let place = section.first >> unit_shift(level + 1);
                    section.offset[level] = u64::wrapping_sub(*numbered, place);
                    *numbered += section.groups(level);
                }
                if zone.sections > 1 {
                    section.store(&meta[zone.section_words + n * SECTION_WORDS..][..SECTION_WORDS]);
                }
                if n == 0 {
                    zone.first_section = section;
                }
            }
            for (first, end) in stretches {
                zone.give(meta, first, end);
            }
        }
    }
}

/// How many groups `level` has in all sections of a zone.
fn groups(zone: &Zone, runs: &[FrameRun], level: usize) -> u64 {
    sections(Stretches::new(runs, zone.start, zone.end)).map(|section: Section| section.groups(level)).sum()
}

/// Refuses runs out of order, and frame numbers whose byte addresses would not fit 64 bits.
fn check(runs: &[FrameRun]) -> Result<(), FrameError> {
    let mut from = 0;
    for run in runs {
        let end = run.first.0.checked_add(run.count).ok_or(FrameError::BadRuns)?;
        if run.first.0 < from || end > Frames::FRAME_END {
            return Err(FrameError::BadRuns);
        }
        from = end;
    }
    Ok(())
}
