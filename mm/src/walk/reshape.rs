//! Changing how a range is mapped without changing what it maps: split, merge, trim.

use super::map::take;
use super::{Pages, Part, Table};
use crate::chain::Chain;
use crate::entry::{Entry, MARKS};
use crate::format::bit;
use crate::{Format, Frame, Level, Limits, MapError, Memory, PAGE_SHIFT, PageFlags, PageRange, Pte, Rights};
use crate::{Stale, Window};

pub(crate) fn split<F: Format>(memory: &mut Memory, root: Frame, range: PageRange) -> Result<Stale, MapError> {
    F::INFO.check(range)?;
    let pages = Pages::of::<F>(range);
    let root = Table::<F>::root(&memory.window, root);
    let mut spare = take(memory, tables_to_split(&memory.window, root, pages))?;
    let mut stale = Stale::new::<F>(range);
    split_ends(memory, root, pages, &mut spare, &mut stale);
    Ok(stale)
}

/// How many tables it takes until no large page crosses either end of `pages`.
pub(super) fn tables_to_split<F: Format>(window: &Window, table: Table<F>, pages: Pages) -> u64 {
    crossing::<F>(table.level, pages)
        .map(|part| match table.get(part.index) {
            Pte::Absent => 0,
            Pte::Leaf(..) => tables_within::<F>(table.level, part.pages),
            Pte::Table(next, _) => tables_to_split(window, table.below(window, next), part.pages),
        })
        .sum()
}

/// How many tables it takes to cut `pages` out of one leaf at `level`.
fn tables_within<F: Format>(level: Level, pages: Pages) -> u64 {
    1 + crossing::<F>(level - 1, pages).map(|part| tables_within::<F>(level - 1, part.pages)).sum::<u64>()
}

/// The entries at `level` that `pages` covers in part: the first, the last, both or neither.
fn crossing<F: Format>(level: Level, pages: Pages) -> impl Iterator<Item = Part> {
    let span = F::INFO.pages(level);
    let first_end = ((pages.first | (span - 1)) + 1).min(pages.end);
    let last_start = ((pages.end - 1) & !(span - 1)).max(first_end);
    let first = Pages { first: pages.first, end: first_end };
    let last = Pages { first: last_start, end: pages.end };
    let ends = first.parts::<F>(level).chain(last.parts::<F>(level));
    ends.filter(|part| !part.whole)
}

fn split_ends<F: Format>(memory: &Memory, table: Table<F>, pages: Pages, spare: &mut Chain, stale: &mut Stale) {
    for part in crossing::<F>(table.level, pages) {
        match table.get(part.index) {
            Pte::Absent => {}
            Pte::Leaf(frame, flags) => {
                // A page each: the range may begin and end anywhere in the large pages that it crosses into.
                stale.note(table.level, 1, flags.rights.contains(Rights::GLOBAL));
                let next = split_entry(memory, table, part, (frame, flags), spare);
                split_ends(memory, next, part.pages, spare, stale);
            }
            Pte::Table(next, _) => split_ends(memory, table.below(&memory.window, next), part.pages, spare, stale),
        }
    }
}

/// Puts a table of smaller pages in the place of a large page, and returns it.
///
/// Frames, rights and cache kind stay as they were: an entry must not change the page size and anything
/// else in one store, because the CPU may go on using either size until it is flushed (SDM vol. 3A, 4.10.2.3).
#[cold]
pub(super) fn split_entry<F: Format>(
    memory: &Memory,
    table: Table<F>,
    part: Part,
    (frame, flags): (Frame, PageFlags),
    spare: &mut Chain,
) -> Table<F> {
    let Some(new) = spare.pop(memory) else { unreachable!("the survey counted every table") };
    let next = table.below(&memory.window, new);
    let used = table.raw(part.index) & MARKS;
    let step = F::INFO.pages(next.level);
    for n in 0..F::INFO.entries(next.level) {
        let frame = frame.offset(n as u64 * step);
        next.prepare(n, frame.0 << PAGE_SHIFT | F::leaf_bits(flags, next.level) | used);
    }
    // SAFETY: the table is the caller's to change, and the slot one of its entries.
    let late =
        unsafe { F::Entry::exchange(table.slot(part.index), table.name_of(new, part.pages.first, true)) } & !used;
    if late != 0 {
        // The CPU has used the large page since it was read. Which of the smaller ones, nobody knows.
        (0..F::INFO.entries(next.level)).for_each(|n| next.mark(n, late));
    }
    next
}

pub(crate) fn merge<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    range: PageRange,
) -> Result<Stale, MapError> {
    F::INFO.check(range)?;
    let mut stale = Stale::new::<F>(range);
    let root = Table::<F>::root(&memory.window, root);
    merge_below(memory, root, limits.top_leaf, Pages::of::<F>(range), &mut stale);
    Ok(stale)
}

fn merge_below<F: Format>(memory: &Memory, table: Table<F>, top_leaf: Level, pages: Pages, stale: &mut Stale) {
    if table.level == 1 {
        return;
    }
    for part in pages.parts::<F>(table.level) {
        let Pte::Table(frame, _) = table.get(part.index) else { continue };
        let next = table.below(&memory.window, frame);
        merge_below(memory, next, top_leaf, part.pages, stale);
        if !part.whole || table.level > top_leaf {
            continue;
        }
        if let Some((first, flags, used)) = uniform(next) {
            let bits = F::leaf_bits(flags, table.level);
            table.store(part.index, first.0 << PAGE_SHIFT | bits | used);
            stale.note(next.level, F::INFO.pages(next.level), flags.rights.contains(Rights::GLOBAL));
            stale.hold_merged(memory, frame, next.level);
        }
    }
}

/// What one large page in the place of `table` would say, if it could: every entry a leaf, frames in a row
/// from an aligned one on, flags all the same. With it, the page counts as used if any of them was.
fn uniform<F: Format>(table: Table<F>) -> Option<(Frame, PageFlags, u64)> {
    let Pte::Leaf(first, flags) = table.get(0) else { return None };
    let step = F::INFO.pages(table.level);
    let mut used = 0;
    for index in 0..F::INFO.entries(table.level) {
        let raw = table.raw(index);
        used |= raw & MARKS;
        if F::decode(raw, table.level) != Pte::Leaf(first.offset(index as u64 * step), flags) {
            return None;
        }
    }
    (first.0 & (F::INFO.pages(table.level + 1) - 1) == 0).then_some((first, flags, used))
}

pub(crate) fn trim<F: Format>(memory: &mut Memory, root: Frame, range: PageRange) -> Result<Stale, MapError> {
    F::INFO.check(range)?;
    let mut stale = Stale::new::<F>(range);
    trim_below(memory, Table::<F>::root(&memory.window, root), Pages::of::<F>(range), &mut stale);
    Ok(stale)
}

/// Takes the empty tables below `table` out; whether `table` itself has no entry left.
fn trim_below<F: Format>(memory: &Memory, table: Table<F>, pages: Pages, stale: &mut Stale) -> bool {
    if table.level > 1 {
        for part in pages.parts::<F>(table.level) {
            if let Pte::Table(frame, _) = table.get(part.index)
                && trim_below(memory, table.below(&memory.window, frame), part.pages, stale)
                && !F::root_registers(table.level)
            {
                table.set(part.index, Pte::Absent);
                stale.note(table.level, part.pages.count(), false);
                stale.hold(memory, frame, table.level - 1, 1);
            }
        }
    }
    (0..F::INFO.entries(table.level)).all(|index| table.raw(index) & bit::PRESENT == 0)
}
