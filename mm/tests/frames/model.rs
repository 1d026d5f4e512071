//! The naive allocator: free blocks in sets, split and merged as a textbook does it.
//!
//! The fuzz target of the frame allocator includes this file by path.

use std::collections::{BTreeMap, BTreeSet};

use mm::frames::Boundary;
use mm::{Frame, FrameError, FrameRun, Frames};

const MAX_ORDER: u8 = Frames::MAX_ORDER;

/// The naive allocator. It is told where the real one puts a block, and judges whether that was allowed.
pub struct Model {
    runs: Vec<FrameRun>,
    zones: Vec<ModelZone>,
    allocated: BTreeMap<u64, u8>,
}

struct ModelZone {
    start: u64,
    end: u64,
    /// The free blocks by order, none of them half of a larger free one.
    free: Vec<BTreeSet<u64>>,
}

impl ModelZone {
    fn put(&mut self, mut first: u64, mut order: u8) {
        while order < MAX_ORDER && self.free[order as usize].remove(&(first ^ 1 << order)) {
            first &= !(1 << order);
            order += 1;
        }
        self.free[order as usize].insert(first);
    }

    fn put_run(&mut self, mut first: u64, end: u64) {
        while first < end {
            let order = (end - first).ilog2().min(first.trailing_zeros()).min(u32::from(MAX_ORDER)) as u8;
            self.put(first, order);
            first += 1 << order;
        }
    }

    /// The free block that `frame` lies in.
    fn around(&self, frame: u64) -> Option<(u64, u8)> {
        (0..=MAX_ORDER)
            .map(|order| (frame & !((1 << order) - 1), order))
            .find(|&(first, order)| self.free[order as usize].contains(&first))
    }

    fn can(&self, order: u8, needed: u64, below: u64) -> bool {
        (order..=MAX_ORDER)
            .any(|larger| self.free[larger as usize].first().is_some_and(|first| first + needed <= below))
    }

    fn take(&mut self, first: u64, order: u8) {
        let (block, size) = self.around(first).expect("a block handed out was not free");
        assert!(size >= order, "a block handed out was only partly free");
        self.free[size as usize].remove(&block);
        self.put_run(block, first);
        self.put_run(first + (1 << order), block + (1 << size));
    }
}

impl Model {
    pub fn new(runs: &[FrameRun], boundaries: &[Boundary]) -> Self {
        let mut ends: Vec<u64> = boundaries.iter().map(|boundary| boundary.end.0).filter(|&end| end > 0).collect();
        ends.push(u64::MAX);
        ends.sort();
        ends.dedup();
        let mut start = 0;
        let mut zones = Vec::new();
        for end in ends {
            let mut zone = ModelZone { start, end, free: vec![BTreeSet::new(); MAX_ORDER as usize + 1] };
            for run in runs {
                zone.put_run(run.first.0.max(start), run.end().0.min(end));
            }
            zones.push(zone);
            start = end;
        }
        Self { runs: runs.to_vec(), zones, allocated: BTreeMap::new() }
    }

    fn zone(&mut self, frame: u64) -> &mut ModelZone {
        self.zones.iter_mut().find(|zone| frame >= zone.start && frame < zone.end).unwrap()
    }

    pub fn is_free(&mut self, frame: u64) -> bool {
        self.zone(frame).around(frame).is_some()
    }

    fn judge_alloc(&mut self, order: u8, needed: u64, below: u64, got: Result<Frame, FrameError>) -> Option<u64> {
        let expected = self.zones.iter().rposition(|zone| zone.can(order, needed, below));
        let Some(expected) = expected else {
            assert_eq!(got, Err(FrameError::NoMemory));
            return None;
        };
        let first = got.expect("refused though a block is free").0;
        assert_eq!(first % (1 << order), 0, "misaligned");
        assert!(first + needed <= below, "not below the limit");
        let zone = &mut self.zones[expected];
        assert!(first >= zone.start && first < zone.end, "not out of the highest zone that could serve");
        zone.take(first, order);
        Some(first)
    }

    pub fn alloc(&mut self, order: u8, below: u64, got: Result<Frame, FrameError>) -> Option<u64> {
        if order > MAX_ORDER {
            assert_eq!(got, Err(FrameError::OrderTooLarge));
            return None;
        }
        let first = self.judge_alloc(order, 1 << order, below, got)?;
        self.allocated.insert(first, order);
        Some(first)
    }

    pub fn alloc_run(
        &mut self,
        count: u64,
        align: u64,
        below: u64,
        got: Result<FrameRun, FrameError>,
    ) -> Option<FrameRun> {
        let order = count.next_power_of_two().max(align).ilog2() as u8;
        assert!(got.is_err() || got.unwrap().count == count);
        let first = self.judge_alloc(order, count, below, got.map(|run| run.first))?;
        self.zone(first).put_run(first + count, first + (1 << order));
        let run = FrameRun { first: Frame(first), count };
        for (first, order) in pieces(run) {
            self.allocated.insert(first, order);
        }
        Some(run)
    }

    pub fn given(&self, frame: u64) -> bool {
        self.runs.iter().any(|run| run.contains(Frame(frame)))
    }

    pub fn refusal(&mut self, first: u64, order: u8) -> Result<(), FrameError> {
        Err(if order > MAX_ORDER {
            FrameError::OrderTooLarge
        } else if !first.is_multiple_of(1 << order) {
            FrameError::Misaligned
        } else if !self.given(first) {
            FrameError::NeverGiven
        } else if self.is_free(first) {
            FrameError::DoubleFree
        } else if first + (1 << order) > self.zone(first).end {
            FrameError::CrossesZone
        } else if self.allocated.get(&first) != Some(&order) {
            FrameError::WrongOrder
        } else {
            return Ok(());
        })
    }

    pub fn free(&mut self, first: u64, order: u8, got: Result<(), FrameError>) {
        assert_eq!(got, self.refusal(first, order), "freeing {first:#x}, order {order}");
        if got.is_ok() {
            self.allocated.remove(&first);
            self.zone(first).put(first, order);
        }
    }

    pub fn free_run(&mut self, run: FrameRun, got: Result<(), FrameError>) {
        let first_refusal = pieces(run).map(|(first, order)| self.refusal(first, order)).find(Result::is_err);
        let crosses = self.given(run.first.0) && run.end().0 > self.zone(run.first.0).end;
        if crosses {
            assert_eq!(got, Err(FrameError::CrossesZone));
        } else {
            assert_eq!(got, first_refusal.unwrap_or(Ok(())), "freeing {run:?}");
        }
        if got.is_ok() {
            for (first, order) in pieces(run) {
                self.allocated.remove(&first);
                self.zone(first).put(first, order);
            }
        }
    }

    /// The numbers of free blocks by order are a full account of a zone, because both sides merge whatever can be.
    pub fn agrees(&self, frames: &Frames) {
        let mut reported = frames.zones().peekable();
        for zone in &self.zones {
            let counts: Vec<u64> = zone.free.iter().map(|blocks| blocks.len() as u64).collect();
            let Some(info) = reported.next_if(|info| info.start.0 == zone.start) else {
                assert_eq!(counts.iter().sum::<u64>(), 0, "a zone is missing");
                continue;
            };
            assert_eq!(info.end.0, zone.end);
            assert_eq!(info.blocks.to_vec(), counts, "zone {}", info.name);
            assert_eq!(info.largest(), counts.iter().rposition(|&n| n > 0).map(|order| order as u8));
            assert_eq!(info.free, counts.iter().enumerate().map(|(order, n)| n << order).sum::<u64>());
        }
        assert!(reported.next().is_none());
        assert_eq!(frames.free_frames(), frames.zones().map(|zone| zone.free).sum::<u64>());
    }
}

/// The fewest aligned blocks that make up `run`.
pub fn pieces(run: FrameRun) -> impl Iterator<Item = (u64, u8)> {
    let mut at = run.first.0;
    std::iter::from_fn(move || {
        let left = run.end().0.checked_sub(at).filter(|&left| left > 0)?;
        let order = left.ilog2().min(at.trailing_zeros()).min(u32::from(MAX_ORDER)) as u8;
        at += 1 << order;
        Some((at - (1 << order), order))
    })
}
