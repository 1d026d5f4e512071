//! The naive memory map: what each page is, as a step function over the page numbers.

use std::collections::BTreeMap;

use mm::{Frame, FrameRun, Kind, Losses, MemoryMap};

/// The page after the last that any physical address can lie in.
const PAGES: u64 = 1 << 40;

/// What each page is: a key is the first page for which its value holds, up to the next key.
pub struct Layers {
    steps: BTreeMap<u64, Option<Kind>>,
    /// The page after the last that the CPU can reach.
    end: u64,
    /// Regions that reached beyond every physical address.
    clamped: u64,
}

impl Layers {
    /// Nothing is known of any page.
    pub fn new() -> Self {
        Self { steps: BTreeMap::from([(0, None)]), end: PAGES, clamped: 0 }
    }

    /// What `page` is.
    pub fn at(&self, page: u64) -> Option<Kind> {
        self.steps.range(..=page).next_back().and_then(|(_, kind)| *kind)
    }

    /// Makes of each page in `first .. end` what `change` makes of it.
    fn change(&mut self, first: u64, end: u64, change: impl Fn(Option<Kind>) -> Option<Kind>) {
        if first >= end {
            return;
        }
        for edge in [first, end] {
            let here = self.at(edge);
            self.steps.insert(edge, here);
        }
        self.steps.range_mut(first..end).for_each(|(_, kind)| *kind = change(*kind));
    }

    /// The first page and the page after the last that a region consists of, if all its pages could be reached.
    fn pages(start: u64, bytes: u64, kind: Kind) -> (u64, u64) {
        let (start, end) = (u128::from(start), u128::from(start) + u128::from(bytes));
        let (first, end) = match kind {
            _ if bytes == 0 => (0, 0),
            Kind::Usable => (start.div_ceil(4096), end / 4096),
            _ => (start / 4096, end.div_ceil(4096)),
        };
        (first as u64, end as u64)
    }

    /// As [`MemoryMap::insert`].
    pub fn insert(&mut self, start: u64, bytes: u64, kind: Kind) {
        let (first, end) = Self::pages(start, bytes, kind);
        self.clamped += u64::from(bytes > 0 && u128::from(start) + u128::from(bytes) > 1 << 52);
        self.change(first, end.min(self.end), |seen| Some(seen.map_or(kind, |seen| seen.max(kind))));
    }

    /// As [`MemoryMap::claim`], for what RAM can hold.
    pub fn claim(&mut self, start: u64, bytes: u64, kind: Kind) -> u64 {
        let (first, end) = Self::pages(start, bytes, kind);
        let claimed = |seen: Kind| if seen.is_ram() { seen.max(kind) } else { seen };
        // Bytes beyond the end are counted one by one, as far as numbers go; pages below it as a whole.
        let beyond = start.saturating_add(bytes).saturating_sub(start.max(self.end << 12));
        let ram = self.runs(is_ram).map(|(from, to)| to.min(end).saturating_sub(from.max(first))).sum::<u64>();
        self.change(first, end.min(self.end), |seen| seen.map(claimed));
        beyond.saturating_add((end.min(self.end).saturating_sub(first) - ram) * 4096)
    }

    /// As [`MemoryMap::overrule`], for any kind but usable RAM.
    pub fn overrule(&mut self, start: u64, end: u64, kind: Kind) -> u64 {
        let (first, end) = (start >> 12, end.div_ceil(4096).min(self.end));
        let ram = self.runs(is_ram).map(|(from, to)| to.min(end).saturating_sub(from.max(first))).sum::<u64>();
        self.change(first, end, |_| Some(kind));
        (end.saturating_sub(first) - ram) * 4096
    }

    /// As [`MemoryMap::cut_at`].
    pub fn cut_at(&mut self, phys_bits: u32) -> u64 {
        self.end = self.end.min(1 << (phys_bits.clamp(12, 52) - 12));
        let cut = self
            .runs(|kind| kind == Some(Kind::Usable))
            .map(|(first, end)| end - first.max(self.end).min(end))
            .sum::<u64>();
        self.change(self.end, PAGES, |_| None);
        cut * 4096
    }

    /// Stretches of pages as long as can be of which `is_hit` is true: first, and the one after the last.
    fn runs(&self, is_hit: impl Fn(Option<Kind>) -> bool) -> impl Iterator<Item = (u64, u64)> {
        let ends = self.steps.keys().skip(1).copied().chain([PAGES]);
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for ((first, _), end) in self.steps.iter().zip(ends).filter(|((_, kind), _)| is_hit(**kind)) {
            match runs.last_mut() {
                Some((_, last)) if *last == *first => *last = end,
                _ => runs.push((*first, end)),
            }
        }
        runs.into_iter()
    }

    /// Compares with a map that had room for everything.
    ///
    /// # Panics
    /// If they differ anywhere.
    pub fn agree(&self, map: &MemoryMap) {
        self.in_order(map);
        let frames = |runs: &mut dyn Iterator<Item = FrameRun>| -> Vec<(u64, u64)> {
            runs.map(|run| (run.first.0, run.end().0)).collect()
        };
        let usable: Vec<_> = self.runs(|kind| kind == Some(Kind::Usable)).collect();
        let ram: Vec<_> = self.runs(is_ram).collect();
        assert_eq!(frames(&mut map.usable_runs()), usable, "usable frames");
        assert_eq!(frames(&mut map.ram_runs()), ram, "frames of RAM");
        let kib = |runs: &[(u64, u64)]| runs.iter().map(|(first, end)| (end - first) * 4).sum::<u64>();
        assert_eq!(map.total_ram_kib(), kib(&ram));
        assert_eq!(map.losses(), Losses { clamped: self.clamped, ..Losses::default() });
        for page in self.edges(map) {
            assert_eq!(map.kind_of(Frame(page)), self.at(page), "page {page:#x}");
        }
    }

    /// Compares with a map that may have been too small: it may have lost usable RAM, and nothing else.
    ///
    /// # Panics
    /// If it invented any, or lost what is to be left alone.
    pub fn contain(&self, map: &MemoryMap) {
        self.in_order(map);
        for page in self.edges(map) {
            let (found, wanted) = (map.kind_of(Frame(page)), self.at(page));
            match wanted {
                Some(Kind::Usable) => {}
                Some(wanted) if !wanted.is_ram() => {
                    assert!(found >= Some(wanted), "page {page:#x} is {found:?} and not {wanted:?}");
                }
                None => assert!(!is_ram(found), "page {page:#x} is no RAM and {found:?}"),
                // What was RAM when it was claimed may have been forgotten by then.
                _ => assert_ne!(found, Some(Kind::Usable), "page {page:#x} was invented"),
            }
        }
        let usable: u64 = self.runs(|kind| kind == Some(Kind::Usable)).map(|(first, end)| end - first).sum();
        let kept: u64 = map.usable_runs().map(|run| run.count).sum();
        let losses = map.losses();
        assert!(kept <= usable, "more usable RAM than there is");
        assert!(kept == usable || losses.joined + losses.dropped > 0, "usable RAM was given up and nothing says so");
        assert_eq!(losses.clamped, self.clamped);
    }

    /// Sorted, disjoint, whole pages, nothing empty, and nothing apart that belongs together.
    fn in_order(&self, map: &MemoryMap) {
        let mut last = None;
        for region in map.iter() {
            let (first, end) = (region.start.0, region.end.0);
            assert!(first < end && first % 4096 == 0 && end % 4096 == 0, "{region:?}");
            assert!(end >> 12 <= self.end, "{region:?} is out of reach");
            let follows = last.is_none_or(|(at, kind)| at < first || at == first && kind != region.kind);
            assert!(follows, "{region:?} does not follow what ends at {last:x?}");
            last = Some((end, region.kind));
        }
    }

    /// The pages on both sides of every edge that there is here or there.
    fn edges(&self, map: &MemoryMap) -> Vec<u64> {
        let there = map.iter().flat_map(|region| [region.start.0 >> 12, region.end.0 >> 12]);
        self.steps.keys().copied().chain(there).flat_map(|page| [page.saturating_sub(1), page]).collect()
    }
}

fn is_ram(kind: Option<Kind>) -> bool {
    kind.is_some_and(Kind::is_ram)
}
