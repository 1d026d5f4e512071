//! The self-map against the walker.

use mm::{Level, Seen, VirtAddr};

use super::{Failure, Outcome, Verdict, expect};
use crate::Machine;

/// Bits 12 to 51: what an entry of PAE's root and the directory entry that stands for it in the self-map have in common.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// What a CPU sets in an entry when it uses it (SDM vol. 3A, 4.8).
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// Every entry of every table of the live tree, read through the self-map, is what the walker reads.
pub fn agrees(machine: &Machine) -> Verdict {
    let memory = machine.memory.lock();
    let tables = machine.map.tables();
    let info = &tables.paging().routines.info;
    let mut verdict = Ok(());
    let mut compared = 0u64;
    let mut compare = |start: VirtAddr, level: Level| {
        let mut walked = None;
        tables.path(&memory, start, &mut |step| {
            if step.level == level {
                walked = Some(step.raw);
            }
        });
        // Another CPU may set a bit between the two looks.
        let mask = if info.root_is_registers && level == info.levels { ADDRESS } else { !(ACCESSED | DIRTY) };
        let shown = machine.map.self_map_entry(&memory, start, level);
        if shown.is_none() || shown.map(|raw| raw & mask) != walked.map(|raw| raw & mask) {
            verdict = Err(Failure::NotAt("the self-map shows the entry that the walker reads", start));
        }
        compared += 1;
    };
    tables.visit(&memory, &mut |seen| match seen {
        Seen::Table { start, level, .. } => compare(start, level),
        Seen::Leaf(leaf) => compare(leaf.start, leaf.level),
        // Read as a page of its own: the entry of the self-map that shows this table.
        Seen::SelfMap { start, level, .. } => compare(start, level),
    });
    verdict?;
    expect(compared > 0, "something is mapped")?;
    Ok(Outcome::Passed)
}
