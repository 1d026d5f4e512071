//! Reading a tree word by word, for those who trust nothing in it.

use super::Table;
use crate::{Format, Frame, Level, Memory, Pte, Rights, VirtAddr};

/// A present entry as [`entries`](crate::PagingRoutines::entries) comes across it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawEntry {
    /// The first address that the entry covers.
    pub start: VirtAddr,
    /// The level of the table that holds the entry.
    pub level: Level,
    /// The word.
    pub raw: u64,
    /// What it says.
    pub pte: Pte,
    /// What all levels down to this one let through.
    pub rights: Rights,
    /// Whether the entry is one of the self-map: it names a table that is met elsewhere in the tree.
    pub self_map: bool,
}

const EVERYTHING: Rights = Rights::WRITE.union(Rights::EXEC).union(Rights::USER);

pub(crate) fn entries<F: Format>(memory: &Memory, root: Frame, each: &mut dyn FnMut(RawEntry)) {
    below::<F>(memory, Table::root(&memory.window, root), 0, EVERYTHING, each);
}

fn below<F: Format>(memory: &Memory, table: Table<F>, first: u64, passed: Rights, each: &mut dyn FnMut(RawEntry)) {
    let level = table.level;
    for index in 0..F::INFO.entries(level) {
        let raw = table.raw(index);
        let page = first + index as u64 * F::INFO.pages(level);
        let start = F::INFO.page_address(page);
        let (pte, rights) = match F::decode(raw, level) {
            Pte::Absent => continue,
            pte @ Pte::Table(_, rights) => (pte, passed & rights),
            pte @ Pte::Leaf(_, flags) => (pte, flags.rights & (passed | Rights::GLOBAL)),
        };
        let self_map = matches!(pte, Pte::Table(..)) && F::INFO.in_self_map(start);
        each(RawEntry { start, level, raw, pte, rights, self_map });
        // A damaged entry may name a frame that is no RAM at all.
        if let Pte::Table(frame, _) = pte
            && !self_map
            && level > 1
            && memory.window.frames().contains(frame)
        {
            below(memory, table.below(&memory.window, frame), page, rights, each);
        }
    }
}
