//! Reading a tree word by word, for those who trust nothing in it.

use super::Table;
use crate::entry::MARKS;
use crate::format::bit;
use crate::{Format, Frame, Level, Memory, PAGE_SHIFT, PagingInfo, Pte, Rights, VirtAddr};

/// A present entry as [`entries`](crate::PagingRoutines::entries) comes across it; or a run of leaves, of which each maps
/// the page behind the one before and which are alike in everything else but the CPU's own marks, accessed and dirty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawEntry {
    /// The first address that the entry covers.
    pub start: VirtAddr,
    /// The level of the table that holds the entry.
    pub level: Level,
    /// How many entries the run has, all in one table.
    pub count: u64,
    /// The word; of a run, the first one.
    pub raw: u64,
    /// What it says.
    pub pte: Pte,
    /// What all levels down to this one let through.
    pub rights: Rights,
    /// Whether the entry is one of the self-map: it names a table that is met elsewhere in the tree.
    pub self_map: bool,
}

impl RawEntry {
    /// The entry number `n` of a run in tables of the shape `info`, by itself.
    pub fn one(&self, info: &PagingInfo, n: u64) -> Self {
        let pages = n * info.pages(self.level);
        let pte = match self.pte {
            Pte::Leaf(frame, flags) => Pte::Leaf(frame.offset(pages), flags),
            other => other,
        };
        let start = self.start.offset(pages << PAGE_SHIFT);
        Self { start, count: 1, raw: self.raw + (pages << PAGE_SHIFT), pte, ..*self }
    }

    /// Every bit that is set in the first or in the last word of a run. An address only grows in a run, so a bit above a
    /// power of two is among them if it is in any of the words.
    pub fn bits(&self, info: &PagingInfo) -> u64 {
        let pages = (self.count - 1) * info.pages(self.level);
        self.raw | (self.raw + (pages << PAGE_SHIFT))
    }
}

const EVERYTHING: Rights = Rights::WRITE.union(Rights::EXEC).union(Rights::USER);

pub(crate) fn entries<F: Format>(memory: &Memory, root: Frame, lowest: Level, each: &mut dyn FnMut(RawEntry)) {
    below::<F>(memory, Table::root(&memory.window, root), lowest, 0, EVERYTHING, each);
}

fn below<F: Format>(
    memory: &Memory,
    table: Table<F>,
    lowest: Level,
    first: u64,
    passed: Rights,
    each: &mut dyn FnMut(RawEntry),
) {
    let level = table.level;
    let end = F::INFO.entries(level);
    let mut next = 0;
    loop {
        let index = next_present(table, next);
        if index == end {
            return;
        }
        next = index + 1;
        let raw = table.raw(index);
        let page = first + index as u64 * F::INFO.pages(level);
        let start = F::INFO.page_address(page);
        let (pte, rights) = match F::decode(raw, level) {
            Pte::Absent => continue,
            pte @ Pte::Table(_, rights) => (pte, passed & rights),
            pte @ Pte::Leaf(_, flags) => (pte, flags.rights & (passed | Rights::GLOBAL)),
        };
        let self_map = matches!(pte, Pte::Table(..)) && F::INFO.in_self_map(start);
        if matches!(pte, Pte::Leaf(..)) {
            next = end_of_run(table, index, raw);
        }
        each(RawEntry { start, level, count: (next - index) as u64, raw, pte, rights, self_map });
        // A damaged entry may name a frame that is no RAM at all.
        if let Pte::Table(frame, _) = pte
            && !self_map
            && level > lowest
            && memory.window.frames().contains(frame)
        {
            below(memory, table.below(&memory.window, frame), lowest, page, rights, each);
        }
    }
}

/// How many entries are looked at between two jumps, where many are alike.
const GROUP: usize = 32;

/// The first index from `next` on whose entry is present, or the end of the table. Most of most tables is absent.
fn next_present<F: Format>(table: Table<F>, mut next: usize) -> usize {
    let end = F::INFO.entries(table.level);
    let absent = |index| table.peek(index) & bit::PRESENT == 0;
    if next < end && !absent(next) {
        return next;
    }
    while next + GROUP <= end && (0..GROUP).fold(0, |any, n| any | table.peek(next + n)) & bit::PRESENT == 0 {
        next += GROUP;
    }
    while next < end && absent(next) {
        next += 1;
    }
    next
}

/// The index behind the run of leaves that begins with the word `raw` at `index`. Most of a tree is such runs, so that what
/// there is to say of an entry is said once for a run.
fn end_of_run<F: Format>(table: Table<F>, index: usize, raw: u64) -> usize {
    let step = F::INFO.pages(table.level) << PAGE_SHIFT;
    let end = F::INFO.entries(table.level);
    let mut next = index + 1;
    let mut expected = raw.wrapping_add(step);
    loop {
        // The kernel's own pages are born with both marks, so that mostly these are alike too.
        while next + GROUP <= end && all_go_on(table, next, expected, step) {
            next += GROUP;
            expected = expected.wrapping_add(step * GROUP as u64);
        }
        // What a carry out of the topmost bit leaves is not present.
        let behind = end.min(next + GROUP);
        while next < behind {
            if (table.peek(next) ^ expected) & !MARKS != 0 {
                return next;
            }
            next += 1;
            expected = expected.wrapping_add(step);
        }
        if next == end {
            return end;
        }
    }
}

/// Whether the entries of the group that begins at `first` are `expected` and the words behind it, each `step` further.
fn all_go_on<F: Format>(table: Table<F>, first: usize, mut expected: u64, step: u64) -> bool {
    (0..GROUP).all(|n| {
        let alike = table.peek(first + n) == expected;
        expected = expected.wrapping_add(step);
        alike
    })
}
