//! Reading a whole tree out of physical memory, word by word, with the independent MMU's eyes.

use std::collections::BTreeSet;

use super::arena::Arena;
use super::mmu::{Cpu, EVERYTHING, Leaf, Mode, Passed, Word};

/// A tree as it lies in memory.
#[derive(Default)]
pub struct Scan {
    /// The frames of all tables, the root among them.
    pub tables: BTreeSet<u64>,
    /// (level of the entry, first address, frame) of every entry that names a table below.
    pub directories: Vec<(u8, u64, u64)>,
    /// (level of the entry, leaf), in the order of addresses.
    pub leaves: Vec<(u8, Leaf)>,
    /// (level of the entry, first address, frame) of the self-map's own entries.
    pub self_map: Vec<(u8, u64, u64)>,
}

/// Reads the tree at frame number `root`.
///
/// # Panics
/// If a table is linked twice, lies outside memory, or an entry has a reserved bit or is cached in another
/// way than write-back.
pub fn scan(cpu: &Cpu, memory: &Arena, root: u64) -> Scan {
    let mut found = Scan::default();
    found.table(cpu, memory, root, cpu.mode.levels(), 0, EVERYTHING);
    found
}

impl Scan {
    fn table(&mut self, cpu: &Cpu, memory: &Arena, frame: u64, level: u8, base: u64, above: Passed) {
        assert!(memory.contains(frame), "a table at frame {frame:#x}, outside memory");
        assert!(self.tables.insert(frame), "the table at frame {frame:#x} is linked twice");
        let bytes = cpu.mode.entry_bytes();
        let words = memory.copy(frame);
        for index in 0..cpu.mode.entries(level) {
            let at = (frame << 12) + index * bytes;
            let raw = match bytes {
                4 => words[index as usize / 2] >> (index % 2 * 32) & 0xFFFF_FFFF,
                _ => words[index as usize],
            };
            if raw & 1 == 0 {
                assert_eq!(raw, 0, "an absent entry that says something: speculation may follow it (L1TF)");
                continue;
            }
            let start = cpu.mode.extend(base + (index << cpu.mode.shift(level)));
            assert!(start < cpu.mode.kernel_half() || raw & 4 == 0, "U/S set at level {level} for {start:#x}");
            let entry = cpu.meet(level, at, raw, above);
            match entry.word {
                Word::Absent => {}
                Word::Reserved => panic!("a reserved bit in {raw:#x} at level {level} for {start:#x}"),
                Word::Page(..) => self.leaves.push((level, cpu.leaf(&entry, start))),
                Word::Table(next) => {
                    assert_eq!(raw & 0x18, 0, "a table that is not cached write-back: {raw:#x}");
                    if in_self_map(cpu.mode, start) {
                        self.self_map.push((level, start, next >> 12));
                    } else {
                        self.directories.push((level, start, next >> 12));
                        self.table(
                            cpu,
                            memory,
                            next >> 12,
                            level - 1,
                            base + (index << cpu.mode.shift(level)),
                            entry.passed,
                        );
                    }
                }
            }
        }
    }
}

fn in_self_map(mode: Mode, va: u64) -> bool {
    let (first, last) = mode.self_map();
    (first..=last).contains(&va)
}
