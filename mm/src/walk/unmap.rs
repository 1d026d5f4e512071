//! Unmapping a range.

use super::map::take;
use super::reshape::{split_entry, tables_to_split};
use super::{By, One, Pages, Part, Table, in_kernel_half};
use crate::chain::Chain;
use crate::format::bit;
use crate::routines::{Holes, Report};
use crate::{Format, Frame, FrameRun, Level, MapError, Memory, PAGE_SHIFT, PageRange, Pte, Stale, Window};

pub(crate) fn unmap<F: Format>(
    memory: &mut Memory,
    root: Frame,
    range: PageRange,
    holes: Holes,
    report: Report,
) -> Result<Stale, MapError> {
    if report.is_none()
        && range.pages == 1
        && let Some(entry) = memory.hints.leaf::<F>(root, range.start.0, true)
        && let Some((stale, _)) = unmap_entry::<F>(entry, range, 1)
    {
        return Ok(stale);
    }
    unmap_elsewhere::<F>(memory, root, range, holes, report)
}

/// The same where the table is another than the last time, or somebody wants to know the frame.
#[inline(never)]
fn unmap_elsewhere<F: Format>(
    memory: &mut Memory,
    root: Frame,
    range: PageRange,
    holes: Holes,
    report: Report,
) -> Result<Stale, MapError> {
    if let Some(one) = One::of::<F>(range, 1)
        && let Some(entry) = one.entry::<F>(memory, root, By::Hint, true)
        && let Some((stale, run)) = unmap_entry::<F>(entry, range, 1)
    {
        if let Some(report) = report {
            report(run);
        }
        return Ok(stale);
    }
    unmap_from_root::<F>(memory, root, range, holes, report)
}

/// The same where no hint helps, and whatever else there is.
#[inline(never)]
fn unmap_from_root<F: Format>(
    memory: &mut Memory,
    root: Frame,
    range: PageRange,
    holes: Holes,
    report: Report,
) -> Result<Stale, MapError> {
    if let Some(one) = One::of::<F>(range, 1)
        && let Some(entry) = one.entry::<F>(memory, root, By::Walk, true)
        && let Some((stale, run)) = unmap_entry::<F>(entry, range, 1)
    {
        if let Some(report) = report {
            report(run);
        }
        return Ok(stale);
    }
    if let Some(one) = One::of::<F>(range, 2)
        && let Some(entry) = one.entry::<F>(memory, root, By::Walk, true)
        && let Some((stale, run)) = unmap_entry::<F>(entry, range, 2)
    {
        if let Some(report) = report {
            report(run);
        }
        return Ok(stale);
    }
    unmap_range::<F>(memory, root, range, holes, report)
}

/// Unmaps the page that an entry at `level` maps if it is one; else nothing has happened.
#[inline(always)]
fn unmap_entry<F: Format>(
    (table, index): (Table<F>, usize),
    range: PageRange,
    level: Level,
) -> Option<(Stale, FrameRun)> {
    let raw = table.raw(index);
    if !F::is_present_leaf(raw, level) {
        return None;
    }
    table.store(index, 0);
    let run = FrameRun { first: F::leaf_frame(raw, level), count: range.pages };
    Some((Stale::of_one::<F>(range, level, raw & bit::GLOBAL != 0), run))
}

#[cold]
#[inline(never)]
fn unmap_range<F: Format>(
    memory: &mut Memory,
    root: Frame,
    range: PageRange,
    holes: Holes,
    report: Report,
) -> Result<Stale, MapError> {
    F::INFO.check(range)?;
    let pages = Pages::of::<F>(range);
    let root = Table::<F>::root(&memory.window, root);
    if holes == Holes::Refuse {
        all_mapped(&memory.window, root, pages)?;
    }
    let spare = take(memory, tables_to_split(&memory.window, root, pages))?;
    let runs = Runs { report, run: FrameRun::default() };
    let mut cut = Cut { memory, stale: Stale::new::<F>(range), spare, runs };
    cut.table(root, pages);
    cut.runs.end();
    Ok(cut.stale)
}

/// Refuses a range that has a hole.
pub(super) fn all_mapped<F: Format>(window: &Window, table: Table<F>, pages: Pages) -> Result<(), MapError> {
    if table.level == 1 {
        let all = pages.indices::<F>().fold(bit::PRESENT, |all, index| all & table.peek(index));
        return if all != 0 { Ok(()) } else { Err(MapError::NotMapped) };
    }
    for part in pages.parts::<F>(table.level) {
        let raw = table.raw(part.index);
        match F::decode(raw, table.level) {
            Pte::Absent => return Err(MapError::NotMapped),
            Pte::Leaf(..) => {}
            Pte::Table(..) if raw & bit::FULL != 0 => {}
            Pte::Table(next, _) => all_mapped(window, table.below(window, next), part.pages)?,
        }
    }
    Ok(())
}

struct Cut<'a, 'r> {
    memory: &'a Memory,
    stale: Stale,
    spare: Chain,
    runs: Runs<'r>,
}

impl Cut<'_, '_> {
    fn table<F: Format>(&mut self, table: Table<F>, pages: Pages) {
        if table.level == 1 {
            return self.leaves(table, pages);
        }
        for part in pages.parts::<F>(table.level) {
            let raw = table.raw(part.index);
            match F::decode(raw, table.level) {
                Pte::Absent => {}
                Pte::Leaf(frame, _) if part.whole => {
                    table.set(part.index, Pte::Absent);
                    self.stale.note(table.level, part.pages.count(), raw & bit::GLOBAL != 0);
                    self.runs.add(frame, part.pages.count());
                }
                Pte::Leaf(frame, flags) => {
                    self.stale.note_level(table.level);
                    let next = split_entry(self.memory, table, part, (frame, flags), &mut self.spare);
                    self.table_below(table, part, next);
                }
                // PAE's root entries are registers: they stay as the root was made.
                Pte::Table(next, _) if part.whole && !F::root_registers(table.level) => self.unlink(table, part, next),
                Pte::Table(next, _) => self.table_below(table, part, table.below(&self.memory.window, next)),
            }
        }
    }

    /// The tight loop.
    fn leaves<F: Format>(&mut self, table: Table<F>, pages: Pages) {
        let mut any = 0;
        for index in pages.indices::<F>() {
            let raw = table.raw(index);
            if raw & bit::PRESENT != 0 {
                table.store(index, 0);
                any |= raw;
                self.runs.add(F::leaf_frame(raw, 1), 1);
            }
        }
        if any != 0 {
            self.stale.note(1, 1, any & bit::GLOBAL != 0);
        }
    }

    /// Goes on in a table of which something stays.
    fn table_below<F: Format>(&mut self, table: Table<F>, part: Part, next: Table<F>) {
        let raw = table.raw(part.index);
        if raw & bit::FULL != 0 {
            table.store(part.index, raw & !bit::FULL);
        }
        self.table(next, part.pages);
    }

    /// Takes a table with all below it out of the tree. It is read only if somebody wants to know what it mapped.
    fn unlink<F: Format>(&mut self, table: Table<F>, part: Part, frame: Frame) {
        let next = table.below(&self.memory.window, frame);
        let tables = if self.runs.report.is_some() {
            self.read(next)
        } else {
            // The user half has no global page.
            self.stale.note(next.level, 1, in_kernel_half::<F>(part.pages.first));
            count(&self.memory.window, next)
        };
        table.set(part.index, Pte::Absent);
        self.stale.hold(self.memory, frame, next.level, tables);
    }

    /// Notes the pages of a table of level 1 if all are there and their frames are in a row; whether they were.
    #[inline]
    fn read_row<F: Format>(&mut self, table: Table<F>) -> bool {
        let first = table.peek(0);
        let (mut other, mut all, mut any) = (0, u64::MAX, 0);
        for index in 0..F::INFO.entries(1) {
            let raw = table.peek(index);
            other |= (raw ^ (first & F::ADDRESS).wrapping_add((index as u64) << PAGE_SHIFT)) & F::ADDRESS;
            (all, any) = (all & raw, any | raw);
        }
        if other != 0 || all & bit::PRESENT == 0 {
            return false;
        }
        self.stale.note(1, 1, any & bit::GLOBAL != 0);
        self.runs.add(F::leaf_frame(first, 1), F::INFO.entries(1) as u64);
        true
    }

    /// Notes every page that `table` maps. How many tables there are, `table` included.
    fn read<F: Format>(&mut self, table: Table<F>) -> u64 {
        if table.level == 1 && self.read_row(table) {
            return 1;
        }
        let mut tables = 1;
        let (pages, mut global) = (F::INFO.pages(table.level), 0);
        for index in 0..F::INFO.entries(table.level) {
            let raw = table.raw(index);
            if raw & bit::PRESENT == 0 {
                continue;
            }
            if F::is_leaf(raw, table.level) {
                global |= raw & bit::GLOBAL;
                self.runs.add(F::leaf_frame(raw, table.level), pages);
            } else if let Pte::Table(next, _) = F::decode(raw, table.level) {
                tables += self.read(table.below(&self.memory.window, next));
            }
        }
        self.stale.note(table.level, pages, global != 0);
        tables
    }
}

/// How many tables the tree below `table` has, itself included. Tables of level 1 are not looked at.
fn count<F: Format>(window: &Window, table: Table<F>) -> u64 {
    if table.level == 1 {
        return 1;
    }
    let entries = 0..F::INFO.entries(table.level);
    if table.level == 2 {
        return 1 + entries.filter(|index| matches!(F::decode(table.peek(*index), 2), Pte::Table(..))).count() as u64;
    }
    let below = |index| match table.get(index) {
        Pte::Table(next, _) => count(window, table.below(window, next)),
        _ => 0,
    };
    1 + entries.map(below).sum::<u64>()
}

/// Joins neighbouring frames, so that whoever is told of them is called once a run.
struct Runs<'a> {
    report: Report<'a>,
    run: FrameRun,
}

impl Runs<'_> {
    #[inline]
    fn add(&mut self, first: Frame, count: u64) {
        if self.run.count > 0 && self.run.end() == first {
            self.run.count += count;
            return;
        }
        self.end();
        self.run = FrameRun { first, count };
    }

    fn end(&mut self) {
        if let Some(report) = &mut self.report
            && self.run.count > 0
        {
            report(self.run);
        }
    }
}
