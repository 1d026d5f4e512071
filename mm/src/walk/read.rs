//! Reading a tree: nothing here changes anything.

use super::Table;
use super::one::{self, table_address};
use crate::format::bit;
use crate::routines::{Mapping, Seen, Step};
use crate::{Format, Frame, Level, Memory, PAGE_SIZE, PhysAddr, Pte, Rights, VirtAddr};

const EVERYTHING: Rights = Rights::WRITE.union(Rights::EXEC).union(Rights::USER);

/// The walk for those who want to know no more than where a byte lies: it keeps no rights in mind, and in the user half it
/// goes by the hints.
pub(crate) fn translate<F: Format>(memory: &Memory, root: Frame, va: VirtAddr) -> Option<PhysAddr> {
    let within = va.0 & (PAGE_SIZE - 1);
    if F::INFO.levels > 2
        && let Some((directory, page)) = memory.hints.directory::<F>(root, va.0 - within)
        && let Some(table) = one::step(&memory.window, directory, directory.peek(page / F::INFO.entries(1)))
    {
        let raw = table.peek(page % F::INFO.entries(1));
        return (raw & bit::PRESENT != 0).then_some(PhysAddr(raw & F::ADDRESS | within));
    }
    translate_from_root::<F>(memory, root, va)
}

/// The same where no hint helps, or where no table of level 1 is on the way.
#[inline(never)]
fn translate_from_root<F: Format>(memory: &Memory, root: Frame, va: VirtAddr) -> Option<PhysAddr> {
    if va.0 < F::INFO.user_end()
        && let Some(directory) = one::find_directory::<F>(memory, root, va.0)
        && let Some(table) = one::step(&memory.window, directory, directory.peek(one::index::<F>(va.0, 2)))
    {
        let raw = table.peek(one::index::<F>(va.0, 1));
        return (raw & bit::PRESENT != 0).then_some(PhysAddr(raw & F::ADDRESS | va.0 & (PAGE_SIZE - 1)));
    }
    let leaf = query::<F>(memory, root, va)?;
    Some(PhysAddr(leaf.frame.start().0 + (va.0 - leaf.start.0)))
}

pub(crate) fn query<F: Format>(memory: &Memory, root: Frame, va: VirtAddr) -> Option<Mapping> {
    if !F::INFO.is_canonical(va) {
        return None;
    }
    let window = &memory.window;
    let mut table = Table::<F>::root(window, root);
    // What every entry so far has set, and what any of them has.
    let (mut all, mut any) = (u64::MAX, 0);
    for level in (2..=F::INFO.levels).rev() {
        let raw = table.raw(F::INFO.index(va, level));
        let Some(below) = window.frame_from(table_address::<F>(raw, level)) else {
            return match F::decode(raw, level) {
                Pte::Absent => None,
                Pte::Leaf(..) => Some(leaf::<F>(va, raw, level, all, any)),
                Pte::Table(frame, _) => unreachable!("a page table outside the window, at {frame}"),
            };
        };
        if !F::root_registers(level) {
            (all, any) = (all & raw, any | raw);
        }
        table = Table { entries: below.cast(), level: level - 1 };
    }
    let raw = table.raw(F::INFO.index(va, 1));
    if raw & bit::PRESENT == 0 { None } else { Some(leaf::<F>(va, raw, 1, all, any)) }
}

/// What the leaf `raw` comes to below entries that all have `all` set, and of which one at least has whatever is in `any`.
#[inline(always)]
pub(super) fn leaf<F: Format>(va: VirtAddr, raw: u64, level: Level, all: u64, any: u64) -> Mapping {
    // One entry without the right to write or for ring 3 forbids it, one with NX forbids to execute.
    let passed = raw & (all | !(bit::WRITE | bit::USER)) | any & bit::NO_EXECUTE;
    let within = F::INFO.pages(level) * PAGE_SIZE - 1;
    Mapping {
        start: VirtAddr(va.0 & !within),
        frame: F::leaf_frame(raw, level),
        level,
        flags: F::leaf_flags(passed, level),
    }
}

/// Where the byte at an address lies, in a tree that others change meanwhile. A table may have become anything at all when it is
/// read, so nothing in it is believed before the window has shown where it leads; what comes of that, the caller has to ask the
/// [`Epoch`](crate::Epoch).
pub(crate) fn look<F: Format>(memory: &Memory, root: Frame, va: VirtAddr) -> Option<PhysAddr> {
    if !F::INFO.is_canonical(va) {
        return None;
    }
    let mut table = Table::<F>::root(&memory.window, root);
    loop {
        let raw = table.raw(F::INFO.index(va, table.level));
        match one::step(&memory.window, table, raw).filter(|_| table.level > 1) {
            Some(below) => table = below,
            None if F::is_present_leaf(raw, table.level) => {
                let within = va.0 & (F::INFO.pages(table.level) * PAGE_SIZE - 1);
                return Some(PhysAddr(F::leaf_frame(raw, table.level).start().0 + within));
            }
            None => return None,
        }
    }
}

pub(crate) fn depth<F: Format>(memory: &Memory, root: Frame, va: VirtAddr) -> Level {
    if F::INFO.levels > 2 && memory.hints.directory::<F>(root, va.0 & !(PAGE_SIZE - 1)).is_some() {
        return 2;
    }
    let mut table = Table::<F>::root(&memory.window, root);
    while table.level > 2 {
        match one::step(&memory.window, table, table.peek(one::index::<F>(va.0, table.level))) {
            Some(below) => table = below,
            None => break,
        }
    }
    table.level
}

pub(crate) fn path<F: Format>(memory: &Memory, root: Frame, va: VirtAddr, each: &mut dyn FnMut(Step)) {
    if !F::INFO.is_canonical(va) {
        return;
    }
    let mut frame = root;
    let mut table = Table::<F>::root(&memory.window, root);
    loop {
        let index = F::INFO.index(va, table.level);
        let raw = table.raw(index);
        let pte = F::decode(raw, table.level);
        let at = PhysAddr(frame.start().0 + index as u64 * u64::from(F::INFO.entry_bytes));
        each(Step { level: table.level, at, raw, pte });
        let Pte::Table(next, _) = pte else { return };
        frame = next;
        table = table.below(&memory.window, next);
    }
}

pub(crate) fn visit<F: Format>(memory: &Memory, root: Frame, each: &mut dyn FnMut(Seen)) {
    visit_below(memory, Table::<F>::root(&memory.window, root), 0, EVERYTHING, each);
}

fn visit_below<F: Format>(memory: &Memory, table: Table<F>, first: u64, passed: Rights, each: &mut dyn FnMut(Seen)) {
    let level = table.level;
    for index in 0..F::INFO.entries(level) {
        let page = first + index as u64 * F::INFO.pages(level);
        let start = F::INFO.page_address(page);
        match table.get(index) {
            Pte::Absent => {}
            Pte::Table(frame, rights) if F::INFO.in_self_map(start) => {
                each(Seen::SelfMap { start, level, frame, rights: passed & rights });
            }
            Pte::Table(frame, rights) => {
                let rights = passed & rights;
                each(Seen::Table { start, level, frame, rights });
                visit_below(memory, table.below(&memory.window, frame), page, rights, each);
            }
            Pte::Leaf(frame, mut flags) => {
                flags.rights &= passed | Rights::GLOBAL;
                each(Seen::Leaf(Mapping { start, frame, level, flags }));
            }
        }
    }
}
