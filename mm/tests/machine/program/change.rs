//! The changes: what each should come to, what it comes to, and that a refused one changes nothing.

use std::collections::BTreeSet;

use mm::{Frame, FrameRun, MapError, MapRequest, PageFlags, PageRange, VirtAddr};

use super::super::Booted;
use super::super::mmu::Mode;
use super::super::model::{Run, effective, wrong_with};
use super::{Held, Program, TOKENS};

/// The changes that leave a token behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Unmap,
    Clear,
    Protect(PageFlags),
    Split,
    Merge,
    Trim,
}

impl Program {
    pub(super) fn map(&mut self, start: u64, pages: u64, frame: u8, flags: PageFlags) {
        let frame = self.frame(frame, start, pages);
        let beyond = frame.checked_add(pages).is_none_or(|end| end > 1 << (self.booted.cpu.width() - 12));
        let expected = match wrong_with(self.mode, start, pages) {
            Some(error) => Err(error),
            None if beyond => Err(MapError::BeyondPhys),
            None if !self.model.within(start >> 12, pages).is_empty() => Err(MapError::Occupied),
            None => Ok(()),
        };
        let before = self.bytes_of_tables();
        let request = MapRequest { range: PageRange::new(VirtAddr(start), pages), first: Frame(frame), flags };
        let result = self.among_others(|booted| booted.map.map(&mut booted.machine.memory, &request));
        if self.compare(expected, result, (start, pages), &before, &request) {
            let flags = effective(&self.booted.cpu, start, flags);
            let before_model = self.model.clone();
            self.model.insert(start >> 12, Run { pages, frame, flags });
            self.check_seen(&before_model, false);
            self.check_tree(0);
        }
    }

    /// Unmap, clear, protect, split, merge and trim: everything that leaves a token behind.
    pub(super) fn change(&mut self, change: Change, start: u64, pages: u64, choice: u8) {
        let whole = matches!(change, Change::Unmap | Change::Protect(_));
        let expected = match wrong_with(self.mode, start, pages) {
            Some(error) => Err(error),
            None if whole && !self.model.all_mapped(start >> 12, pages) => Err(MapError::NotMapped),
            None => Ok(()),
        };
        let before = self.bytes_of_tables();
        let before_self = self.self_probes.iter().map(|va| self.booted.tlb.tables_say(*va)).collect();
        let range = PageRange::new(VirtAddr(start), pages);
        let mut reported = Vec::new();
        let mut report = |run: FrameRun| reported.push((run.first.0, run.count));
        let result = self.among_others(|Booted { machine, map, .. }| match change {
            Change::Unmap => map.unmap(&mut machine.memory, range, Some(&mut report)),
            Change::Clear => map.clear(&mut machine.memory, range, Some(&mut report)),
            Change::Protect(flags) => map.protect(&mut machine.memory, range, flags),
            Change::Split => map.split(&mut machine.memory, range),
            Change::Merge => map.merge(&mut machine.memory, range),
            Change::Trim => map.trim(&mut machine.memory, range),
        });
        let (result, stale) = match result {
            Ok(stale) => (Ok(()), Some(stale)),
            Err(error) => (Err(error), None),
        };
        let done = self.compare(expected, result, (start, pages), &before, &change);
        let Some(stale) = stale.filter(|_| done) else {
            assert!(reported.is_empty(), "frames reported by a change that was refused");
            return;
        };
        let first = start >> 12;
        let before_model = self.model.clone();
        match change {
            Change::Unmap | Change::Clear => {
                let cut = self.model.remove(first, pages);
                self.dirty.retain(|va| (va >> 12).wrapping_sub(first) >= pages);
                assert_eq!(reported, joined_frames(&cut), "the frames that {change:?} reported");
            }
            Change::Protect(flags) => self.model.protect(first, pages, effective(&self.booted.cpu, start, flags)),
            Change::Split | Change::Merge | Change::Trim => {}
        }
        let was = std::mem::take(&mut self.tables);
        self.check_tree(stale.tables_held());
        let tables: BTreeSet<u64> = was.difference(&self.tables).copied().collect();
        assert_eq!(tables.len() as u64, stale.tables_held(), "tables taken out of the tree and held");
        self.tally.tables_held += stale.tables_held();
        // A trim takes out tables that lie partly in its range: until the flush, what is mapped anew beside the range
        // may still be looked for in them.
        let pages = if change == Change::Trim { self.rounded_out(first, pages) } else { (first, pages) };
        let has_empty_tables = change != Change::Merge && !tables.is_empty();
        // Split in two stores or joined in two, a large page beyond 4 GiB is absent for a moment.
        let may_be_absent = self.mode == Mode::Pml3 && !matches!(change, Change::Trim);
        self.check_seen(&before_model, may_be_absent);
        self.held.push(Held { stale, pages, before: before_model, before_self, tables, has_empty_tables });
        if self.held.len() > TOKENS || choice & 0x80 == 0 {
            self.check_caches();
            self.flush_one(usize::from(choice));
        }
    }

    /// Whether the change was made. If not, nothing may have changed; and no other error than the expected one is
    /// right, except a lack of frames where there can have been one.
    fn compare(
        &mut self,
        expected: Result<(), MapError>,
        result: Result<(), MapError>,
        (start, pages): (u64, u64),
        before: &[(u64, Vec<u64>)],
        what: &dyn std::fmt::Debug,
    ) -> bool {
        if result == Ok(()) && expected == Ok(()) {
            self.tally.done += 1;
            return true;
        }
        self.tally.refused += 1;
        if result == Err(MapError::NoMemory) && expected == Ok(()) {
            let (free, bound) = (self.booted.machine.free_frames(), self.tables_for(start, pages));
            assert!(free < bound, "{what:?}: out of memory with {free} frames free and no more than {bound} needed");
            self.tally.no_memory += 1;
        } else {
            assert_eq!(result, expected, "{what:?} at {start:#x}, {pages:#x} pages");
        }
        let held: u64 = self.held.iter().map(|held| held.stale.tables_held()).sum();
        let counted = self.booted.machine.free_frames() + self.tables.len() as u64 + held;
        assert_eq!(counted, self.booted.machine.total(), "{what:?} failed with {result:?} and kept frames");
        let now = self.bytes_of_tables();
        assert!(*before == *now, "{what:?} failed with {result:?} and changed the tables");
        false
    }

    /// The pages of all root entries that a range touches.
    fn rounded_out(&self, first: u64, pages: u64) -> (u64, u64) {
        let span = 1u64 << (self.mode.shift(self.mode.levels()) - 12);
        let start = first & !(span - 1);
        (start, ((first + pages - 1) | (span - 1)) + 1 - start)
    }

    /// No range touches more tables than this below the root.
    fn tables_for(&self, start: u64, pages: u64) -> u64 {
        let last = start + ((pages - 1) << 12);
        (2..=self.mode.levels())
            .map(|level| (last >> self.mode.shift(level)) - (start >> self.mode.shift(level)) + 1)
            .sum()
    }
}

/// Frames as an unmap reports them: in the order of pages, joined where they go on.
fn joined_frames(cut: &[(u64, Run)]) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (_, run) in cut {
        match joined.last_mut() {
            Some((first, count)) if *first + *count == run.frame => *count += run.pages,
            _ => joined.push((run.frame, run.pages)),
        }
    }
    joined
}
