//! One table of the live tree, read entry by entry.

use mm::{Cache, Frame, Level, PAGE_SIZE, Pte, Rights, VirtAddr};

use crate::Machine;

/// What an entry is, after all levels have had their say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A table of the level below, and what may be done with what it maps.
    Table(Frame, Rights),
    /// A table that is met elsewhere in the tree.
    SelfMap(Frame),
    /// A page.
    Page(Frame, Rights, Cache),
}

/// A table. Its entries are read when they are asked for: a thousand of them have no place on a stack.
pub struct Table<'a> {
    machine: &'a Machine,
    /// Where it lies.
    pub frame: Frame,
    /// Its level.
    pub level: Level,
    /// The number of the first page that it covers.
    first: u64,
    /// How many entries it has.
    pub count: usize,
}

impl<'a> Table<'a> {
    /// The table of `level` on the way to `address`, if there is one.
    pub fn find(machine: &'a Machine, address: VirtAddr, level: Level) -> Option<Self> {
        let tables = machine.map.tables();
        let info = &tables.paging().routines.info;
        let mut frame = None;
        tables.path(&machine.memory.lock(), address, &mut |step| {
            if step.level == level {
                frame = Some(Frame(step.at.0 / PAGE_SIZE));
            }
        });
        let count = info.entries(level);
        let first = info.page_number(address) & !(info.pages(level) * count as u64 - 1);
        frame.map(|frame| Self { machine, frame, level, first, count })
    }

    /// The first address that the entry `index` covers.
    pub fn address(&self, index: usize) -> VirtAddr {
        let info = &self.machine.map.tables().paging().routines.info;
        info.page_address(self.first + index as u64 * info.pages(self.level))
    }

    /// The entry `index`.
    pub fn entry(&self, index: usize) -> Entry {
        let tables = self.machine.map.tables();
        let address = self.address(index);
        let mut passed = Rights::all();
        let mut entry = Entry::Absent;
        tables.path(&self.machine.memory.lock(), address, &mut |step| {
            passed &= match step.pte {
                Pte::Absent => Rights::all(),
                Pte::Table(_, rights) => rights | Rights::GLOBAL,
                Pte::Leaf(_, flags) => flags.rights,
            };
            if step.level == self.level {
                entry = match step.pte {
                    Pte::Absent => Entry::Absent,
                    Pte::Table(frame, _) if tables.paging().routines.info.in_self_map(address) => Entry::SelfMap(frame),
                    Pte::Table(frame, _) => Entry::Table(frame, passed),
                    Pte::Leaf(frame, flags) => Entry::Page(frame, passed, flags.cache),
                };
            }
        });
        entry
    }
}
