//! Changing what a range permits.

use super::map::{effective, take};
use super::reshape::{split_entry, tables_to_split};
use super::unmap::all_mapped;
use super::{Pages, Table};
use crate::format::bit;
use crate::{Chain, Format, Frame, Limits, MapError, Memory, PAGE_SHIFT, PageFlags, PageRange, Pte, Stale};

pub(crate) fn protect<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    range: PageRange,
    flags: PageFlags,
) -> Result<Stale, MapError> {
    F::INFO.check(range)?;
    let pages = Pages::of::<F>(range);
    let root = Table::<F>::root(&memory.window, root);
    all_mapped(&memory.window, root, pages)?;
    let spare = take(memory, tables_to_split(&memory.window, root, pages))?;
    let flags = effective::<F>(limits, flags, pages.first);
    let mut change = Change { memory, stale: Stale::new(F::SHAPE, range), spare, flags };
    change.table(root, pages);
    Ok(change.stale)
}

struct Change<'a> {
    memory: &'a Memory,
    stale: Stale,
    spare: Chain,
    flags: PageFlags,
}

impl Change<'_> {
    fn table<F: Format>(&mut self, table: Table<F>, pages: Pages) {
        for part in pages.parts::<F>(table.level) {
            let raw = table.raw(part.index);
            match F::decode(raw, table.level) {
                Pte::Absent => {}
                Pte::Leaf(frame, _) if part.whole => {
                    // What the CPU has noted of the page's use survives.
                    let used = raw & (bit::ACCESSED | bit::DIRTY);
                    let bits = F::leaf_bits(self.flags, table.level);
                    table.store(part.index, frame.0 << PAGE_SHIFT | bits | used);
                    self.stale.note(table.level, part.pages.count(), raw & bit::GLOBAL != 0);
                }
                Pte::Leaf(frame, flags) => {
                    self.stale.note_level(table.level);
                    let next = split_entry(self.memory, table, part, (frame, flags), &mut self.spare);
                    self.table(next, part.pages);
                }
                Pte::Table(next, _) => self.table(table.below(&self.memory.window, next), part.pages),
            }
        }
    }
}
