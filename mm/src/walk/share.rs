//! One kernel half in several trees.

use super::Table;
use crate::entry::MARKS;
use crate::{Format, Frame, Level, Memory, Pte, VirtAddr};

/// Has the kernel half of the tree at `to` lead where that of the tree at `from` does, but for the self-map, which shows each
/// tree its own tables; without `from`, nowhere.
///
/// Shared is what the topmost entries name: those of the root, or of the directories behind PAE's four. Who has accessed it is not
/// copied.
pub(crate) fn share<F: Format>(memory: &mut Memory, from: Option<Frame>, to: Frame) {
    let level = if F::INFO.root_is_registers { F::INFO.levels - 1 } else { F::INFO.levels };
    let first = F::INFO.page_number(F::INFO.kernel_half());
    let end = F::INFO.page_count();
    let mut page = first;
    while page < end {
        let va = F::INFO.page_address(page);
        page += F::INFO.pages(level);
        if F::INFO.in_self_map(va) {
            continue;
        }
        let index = F::INFO.index(va, level);
        let wanted = from.map_or(0, |from| topmost::<F>(memory, from, va, level).raw(index));
        let table = topmost::<F>(memory, to, va, level);
        if (table.raw(index) ^ wanted) & !MARKS != 0 {
            table.store(index, wanted);
        }
    }
}

/// The table of `level` on the way to `va`: the root, or the directory that it names in PAE.
fn topmost<F: Format>(memory: &Memory, root: Frame, va: VirtAddr, level: Level) -> Table<F> {
    let table = Table::<F>::root(&memory.window, root);
    if level == F::INFO.levels {
        return table;
    }
    let Pte::Table(directory, _) = table.get(F::INFO.index(va, F::INFO.levels)) else {
        unreachable!("all directories are linked")
    };
    table.below(&memory.window, directory)
}
