//! What the tables should say: a map from pages to frames and flags, and nothing of tables.

use std::collections::BTreeMap;

use mm::{Cache, MapError, PageFlags, Rights};

use super::mmu::{Cpu, Mode};

/// Pages in a row that map frames in a row with the same flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub pages: u64,
    pub frame: u64,
    pub flags: PageFlags,
}

/// Runs by the number of their first page: bits 63:12 of the address, so that no sum overflows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Model {
    runs: BTreeMap<u64, Run>,
}

impl Model {
    /// The frame and flags of a page.
    pub fn at(&self, page: u64) -> Option<(u64, PageFlags)> {
        let (first, run) = self.runs.range(..=page).next_back()?;
        (page - first < run.pages).then(|| (run.frame + (page - first), run.flags))
    }

    /// Adds a run behind all others, joined with the last one if it goes on.
    pub fn push(&mut self, page: u64, run: Run) {
        if let Some(mut last) = self.runs.last_entry() {
            let (first, before) = (*last.key(), *last.get());
            assert!(first + before.pages <= page, "leaves overlap at page {page:#x}");
            let goes_on = first + before.pages == page && before.frame + before.pages == run.frame;
            if goes_on && before.flags == run.flags {
                last.get_mut().pages += run.pages;
                return;
            }
        }
        self.runs.insert(page, run);
    }

    /// The same with neighbours joined, so that two models can be compared.
    pub fn joined(&self) -> Self {
        let mut joined = Self::default();
        self.runs.iter().for_each(|(page, run)| joined.push(*page, *run));
        joined
    }

    /// How many runs.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Run number `n`, counted from the lowest page.
    pub fn nth(&self, n: usize) -> Option<(u64, Run)> {
        self.runs.iter().nth(n).map(|(page, run)| (*page, *run))
    }

    /// The mapped parts of `first .. first + pages`.
    pub fn within(&self, first: u64, pages: u64) -> Vec<(u64, Run)> {
        let end = first + pages;
        let from = self.runs.range(..=first).next_back().map_or(first, |(page, _)| *page);
        let overlapping = self.runs.range(from..end).filter(|(page, run)| **page + run.pages > first);
        overlapping
            .map(|(page, run)| {
                let start = first.max(*page);
                let pages = end.min(page + run.pages) - start;
                (start, Run { pages, frame: run.frame + (start - page), flags: run.flags })
            })
            .collect()
    }

    /// Whether every page of the range is mapped.
    pub fn all_mapped(&self, first: u64, pages: u64) -> bool {
        self.within(first, pages).iter().map(|(_, run)| run.pages).sum::<u64>() == pages
    }

    /// Forgets every page of the range and returns what was mapped.
    pub fn remove(&mut self, first: u64, pages: u64) -> Vec<(u64, Run)> {
        let cut = self.within(first, pages);
        let end = first + pages;
        let touched: Vec<(u64, Run)> = {
            let from = self.runs.range(..=first).next_back().map_or(first, |(page, _)| *page);
            let overlapping = self.runs.range(from..end).filter(|(page, run)| **page + run.pages > first);
            overlapping.map(|(page, run)| (*page, *run)).collect()
        };
        for (page, run) in touched {
            self.runs.remove(&page);
            if page < first {
                self.runs.insert(page, Run { pages: first - page, ..run });
            }
            if page + run.pages > end {
                let skip = end - page;
                self.runs.insert(end, Run { pages: run.pages - skip, frame: run.frame + skip, flags: run.flags });
            }
        }
        cut
    }

    /// Maps a range of which no page is mapped.
    pub fn insert(&mut self, first: u64, run: Run) {
        self.runs.insert(first, run);
    }

    /// Gives a range other flags.
    pub fn protect(&mut self, first: u64, pages: u64, flags: PageFlags) {
        for (page, run) in self.remove(first, pages) {
            self.runs.insert(page, Run { flags, ..run });
        }
    }
}

/// What is wrong with the range `start .. start + pages * 4096`, from the words of the documentation alone.
pub fn wrong_with(mode: Mode, start: u64, pages: u64) -> Option<MapError> {
    let last_of_all = if matches!(mode, Mode::Pml2 | Mode::Pml3) { 0xFFFF_FFFF } else { u128::from(u64::MAX) };
    let last = (u128::from(start) + u128::from(pages) * 4096).saturating_sub(1);
    let (self_first, self_last) = mode.self_map();
    if pages == 0 {
        Some(MapError::Empty)
    } else if !start.is_multiple_of(4096) {
        Some(MapError::Misaligned)
    } else if !mode.is_canonical(start) {
        Some(MapError::NotCanonical)
    } else if last > last_of_all {
        Some(MapError::Wraps)
    } else if !mode.is_canonical(last as u64) {
        Some(MapError::NotCanonical)
    } else if start < mode.kernel_half() && last as u64 >= mode.kernel_half() {
        Some(MapError::CrossesHole)
    } else if start <= self_last && last as u64 >= self_first {
        Some(MapError::SelfMap)
    } else {
        None
    }
}

/// What a mapping at `start` that asks for `flags` comes to on `cpu`.
pub fn effective(cpu: &Cpu, start: u64, flags: PageFlags) -> PageFlags {
    let mut rights = flags.rights;
    if !cpu.nxe {
        rights |= Rights::EXEC;
    }
    if !cpu.pge || start < cpu.mode.kernel_half() {
        rights -= Rights::GLOBAL;
    }
    if start >= cpu.mode.kernel_half() {
        rights -= Rights::USER;
    }
    let cache = if flags.cache == Cache::WriteCombining && !cpu.pat { Cache::Uncached } else { flags.cache };
    PageFlags { rights, cache }
}
