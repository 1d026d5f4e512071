//! The beginning and the end of a tree.

use super::Table;
use crate::{Format, Frame, Level, Limits, MapError, Memory, Pte, Rights};

pub(crate) fn new_root<F: Format>(memory: &mut Memory, limits: &Limits) -> Result<Frame, MapError> {
    let frame = memory.root_table()?;
    let root = Table::<F>::root(&memory.window, frame);
    if F::INFO.root_is_registers {
        // The CPU reads PAE's root entries when CR3 is loaded and not again. With all directories in place from
        // the start it never has to: the tree is a two-level one with a root of four frames.
        for index in 0..F::INFO.entries(F::INFO.levels) {
            match memory.table() {
                Ok(directory) => root.set(index, Pte::Table(directory, Rights::empty())),
                Err(error) => {
                    free::<F>(memory, frame);
                    return Err(error);
                }
            }
        }
    }
    link_self_map(memory, root, frame, limits);
    Ok(frame)
}

/// Makes the tables visible as one array of entries: read-only, because the walker writes through the window,
/// and of course not executable.
fn link_self_map<F: Format>(memory: &Memory, root: Table<F>, frame: Frame, limits: &Limits) {
    let mut rights = Rights::empty();
    rights.set(Rights::EXEC, !limits.no_execute);
    let base = F::INFO.self_map_base();
    if !F::INFO.root_is_registers {
        root.set(F::INFO.index(base, F::INFO.levels), Pte::Table(frame, rights));
        return;
    }
    let top = F::INFO.index(base, F::INFO.levels);
    let Pte::Table(last, _) = root.get(top) else { unreachable!("all directories are linked") };
    let directory = root.below(&memory.window, last);
    for index in 0..F::INFO.entries(F::INFO.levels) {
        let Pte::Table(shown, _) = root.get(index) else { unreachable!("all directories are linked") };
        directory.set(F::INFO.index(base, F::INFO.levels - 1) + index, Pte::Table(shown, rights));
    }
}

pub(crate) fn free<F: Format>(memory: &mut Memory, root: Frame) {
    memory.forget_hints();
    free_below::<F, true>(memory, root, F::INFO.levels, 0);
}

/// Gives a tree back that was unlinked from a larger one and has no part of the self-map.
pub(crate) fn free_tree<F: Format>(memory: &mut Memory, top: Frame, level: Level) {
    free_below::<F, false>(memory, top, level, 0);
}

/// Gives `frame`, a table of `level`, back with all below it. Its first entry covers page `first`, and `WHOLE` says that the
/// self-map may be in it. Tables of level 1 are not looked at: nothing is below them.
fn free_below<F: Format, const WHOLE: bool>(memory: &mut Memory, frame: Frame, level: Level, first: u64) {
    let entries = if level == 1 { 0 } else { F::INFO.entries(level) };
    let table = Table::<F>::at(&memory.window, frame, level);
    for index in 0..entries {
        let page = first + index as u64 * F::INFO.pages(level);
        if let Pte::Table(next, _) = F::decode(table.peek(index), level)
            && !(WHOLE && F::INFO.in_self_map(F::INFO.page_address(page)))
        {
            if level == 2 { memory.give_back(next) } else { free_below::<F, WHOLE>(memory, next, level - 1, page) }
        }
    }
    memory.give_back(frame);
}
