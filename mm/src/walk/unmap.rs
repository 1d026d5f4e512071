//! Unmapping a range.

use super::map::take;
use super::reshape::{split_entry, tables_to_split};
use super::{Pages, Table};
use crate::routines::{Holes, Report};
use crate::{Chain, Format, Frame, FrameRun, MapError, Memory, PageRange, Pte, Rights, Stale, Window};

pub(crate) fn unmap<F: Format>(
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
    let mut cut =
        Cut { memory, stale: Stale::new(F::SHAPE, range), spare, runs: Runs { report, run: FrameRun::default() } };
    cut.table(root, pages);
    cut.runs.end();
    Ok(cut.stale)
}

/// Refuses a range that has a hole.
pub(super) fn all_mapped<F: Format>(window: &Window, table: Table<F>, pages: Pages) -> Result<(), MapError> {
    for part in pages.parts::<F>(table.level) {
        match table.get(part.index) {
            Pte::Absent => return Err(MapError::NotMapped),
            Pte::Leaf(..) => {}
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
        for part in pages.parts::<F>(table.level) {
            match table.get(part.index) {
                Pte::Absent => {}
                Pte::Leaf(frame, flags) if part.whole => {
                    table.set(part.index, Pte::Absent);
                    self.stale.note(table.level, part.pages.count(), flags.rights.contains(Rights::GLOBAL));
                    self.runs.add(frame, part.pages.count());
                }
                Pte::Leaf(frame, flags) => {
                    self.stale.note_level(table.level);
                    let next = split_entry(self.memory, table, part, (frame, flags), &mut self.spare);
                    self.table(next, part.pages);
                }
                Pte::Table(next, _) => {
                    self.table(table.below(&self.memory.window, next), part.pages);
                    // PAE's root entries are registers: they stay as the root was made.
                    if part.whole && !F::root_registers(table.level) {
                        table.set(part.index, Pte::Absent);
                        self.stale.hold(self.memory, next, table.level, part.pages.count());
                    }
                }
            }
        }
    }
}

/// Joins neighbouring frames, so that whoever is told of them is called once a run.
struct Runs<'a> {
    report: Report<'a>,
    run: FrameRun,
}

impl Runs<'_> {
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
