//! Changing what a range permits.

use super::map::{effective, take, user_bits};
use super::reshape::{split_entry, tables_to_split};
use super::unmap::all_mapped;
use super::{By, One, Pages, Table};
use crate::chain::Chain;
use crate::entry::MARKS;
use crate::format::bit;
use crate::{Format, Frame, Level, Limits, MapError, Memory, PAGE_SHIFT, PageFlags, ProtectRequest, Pte, Stale};

pub(crate) fn protect<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &ProtectRequest,
) -> Result<Stale, MapError> {
    if request.range.pages == 1
        && let Some(entry) = memory.hints.leaf::<F>(root, request.range.start.0, false)
        && let Some(stale) = protect_entry::<F>(entry, limits, request, 1)
    {
        return Ok(stale);
    }
    protect_elsewhere::<F>(memory, root, limits, request)
}

/// The same where the table is another than the last time.
#[inline(never)]
fn protect_elsewhere<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &ProtectRequest,
) -> Result<Stale, MapError> {
    if let Some(one) = One::of::<F>(request.range, 1)
        && let Some(entry) = one.entry::<F>(memory, root, By::Hint, false)
        && let Some(stale) = protect_entry::<F>(entry, limits, request, 1)
    {
        return Ok(stale);
    }
    protect_from_root::<F>(memory, root, limits, request)
}

/// The same where no hint helps, and whatever else there is.
#[inline(never)]
fn protect_from_root<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &ProtectRequest,
) -> Result<Stale, MapError> {
    if let Some(one) = One::of::<F>(request.range, 1)
        && let Some(entry) = one.entry::<F>(memory, root, By::Walk, false)
        && let Some(stale) = protect_entry::<F>(entry, limits, request, 1)
    {
        return Ok(stale);
    }
    if let Some(one) = One::of::<F>(request.range, 2)
        && let Some(entry) = one.entry::<F>(memory, root, By::Walk, false)
        && let Some(stale) = protect_entry::<F>(entry, limits, request, 2)
    {
        return Ok(stale);
    }
    protect_range::<F>(memory, root, limits, request)
}

/// Changes the page that an entry at `level` maps if it is one; else nothing has happened.
#[inline(always)]
fn protect_entry<F: Format>(
    (table, index): (Table<F>, usize),
    limits: &Limits,
    request: &ProtectRequest,
    level: Level,
) -> Option<Stale> {
    let raw = table.raw(index);
    if !F::is_present_leaf(raw, level) {
        return None;
    }
    let new = kept::<F>(raw, level) | user_bits::<F>(limits, request.flags, level)?;
    if request.live && raw & MARKS != MARKS {
        table.replace(index, new)
    } else {
        table.store(index, new)
    }
    Some(Stale::of_one::<F>(request.range, level, raw & bit::GLOBAL != 0))
}

/// What stays of a leaf when its flags change: where it leads, and what the CPU has noted of its use.
#[inline]
fn kept<F: Format>(raw: u64, level: Level) -> u64 {
    F::leaf_frame(raw, level).0 << PAGE_SHIFT | raw & MARKS
}

#[cold]
#[inline(never)]
fn protect_range<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &ProtectRequest,
) -> Result<Stale, MapError> {
    let ProtectRequest { range, flags, live } = *request;
    F::INFO.check(range)?;
    let pages = Pages::of::<F>(range);
    let root = Table::<F>::root(&memory.window, root);
    all_mapped(&memory.window, root, pages)?;
    let spare = take(memory, tables_to_split(&memory.window, root, pages))?;
    let flags = effective::<F>(limits, flags, pages.first);
    let mut change = Change { memory, stale: Stale::new::<F>(range), spare, flags, live };
    change.table(root, pages);
    Ok(change.stale)
}

struct Change<'a> {
    memory: &'a Memory,
    stale: Stale,
    spare: Chain,
    flags: PageFlags,
    live: bool,
}

impl Change<'_> {
    fn table<F: Format>(&mut self, table: Table<F>, pages: Pages) {
        if table.level == 1 {
            return self.leaves(table, pages);
        }
        for part in pages.parts::<F>(table.level) {
            let raw = table.raw(part.index);
            match F::decode(raw, table.level) {
                Pte::Absent => {}
                Pte::Leaf(..) if part.whole => {
                    table.replace(part.index, kept::<F>(raw, table.level) | F::leaf_bits(self.flags, table.level));
                    let global = (raw | F::leaf_bits(self.flags, table.level)) & bit::GLOBAL != 0;
                    self.stale.note(table.level, part.pages.count(), global);
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

    /// The tight loop. All pages are there: that has been looked at.
    fn leaves<F: Format>(&mut self, table: Table<F>, pages: Pages) {
        let bits = F::leaf_bits(self.flags, 1);
        let live = self.live;
        // A page that becomes global counts too: between the two stores of an entry of pml3, another CPU may have seen it
        // global already and still without the right to execute.
        let mut global = bits;
        let mut change = |index| {
            let raw = table.raw(index);
            global |= raw;
            let new = kept::<F>(raw, 1) | bits;
            if live && raw & MARKS != MARKS { table.replace(index, new) } else { table.store(index, new) }
        };
        let indices = pages.indices::<F>();
        let mut index = indices.start;
        // Compilers unroll no loop of atomic stores.
        while index + STEPS <= indices.end {
            (0..STEPS).for_each(|step| change(index + step));
            index += STEPS;
        }
        (index..indices.end).for_each(&mut change);
        self.stale.note(1, 1, global & bit::GLOBAL != 0);
    }
}

/// How many entries the tight loop changes before it looks whether there are as many more.
const STEPS: usize = 8;
