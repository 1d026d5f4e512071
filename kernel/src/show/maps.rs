//! `maps`: what the live tables map, neighbours that are alike in one line.

use core::fmt::{self, Write};

use mm::{Mapping, PAGE_SIZE, PagingInfo, PhysAddr, Seen, VirtAddr};

use super::page_size;
use crate::Machine;
use crate::console::Console;

/// Prints one line for each run of leaves that continue one another in virtual and in physical memory and are alike in
/// everything else, then how many lines and tables there are:
///
/// `0xc0100000-0xc010ffff 64K r-x-g 4K wb text -> 0x100000`
pub fn maps(console: &mut Console, machine: &Machine) -> fmt::Result {
    let memory = machine.memory.lock();
    let tables = machine.map.tables();
    let info = &tables.paging().routines.info;
    let mut lines = Lines { info, run: None, count: 0, out: console, told: Ok(()) };
    let mut table_count = 1u64;
    let mut self_map_told = false;
    tables.visit(&memory, &mut |seen| match seen {
        Seen::Table { .. } => table_count += 1,
        Seen::Leaf(leaf) => lines.add(Run::of(info, &leaf, machine.map.name_of(leaf.start))),
        // The self-map is told as a whole: its entries are the tables counted above.
        Seen::SelfMap { .. } if self_map_told => {}
        Seen::SelfMap { rights, .. } => {
            self_map_told = true;
            lines.end();
            let last = VirtAddr(info.self_map_base().0 + (info.self_map_span() - 1));
            lines.say(format_args!(
                "{:#x}-{last:#x} {}K {rights} - wb self-map -> {:#x}",
                info.self_map_base(),
                info.self_map_span() >> 10,
                tables.root().start(),
            ));
        }
    });
    lines.end();
    let (count, told) = (lines.count, lines.told);
    told?;
    writeln!(console, "maps: {count} mappings, {table_count} tables")
}

/// A run of leaves that are alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    pages: u64,
    what: &'static str,
    /// The first leaf.
    leaf: Mapping,
}

impl Run {
    fn of(info: &PagingInfo, leaf: &Mapping, what: &'static str) -> Self {
        Self { pages: info.pages(leaf.level), what, leaf: *leaf }
    }

    /// Whether `next` continues this run.
    fn continues_with(&self, next: &Self) -> bool {
        next.leaf.start == self.leaf.start.offset(self.pages * PAGE_SIZE)
            && next.leaf.frame == self.leaf.frame.offset(self.pages)
            && (next.leaf.level, next.leaf.flags, next.what) == (self.leaf.level, self.leaf.flags, self.what)
    }
}

struct Lines<'a> {
    info: &'a PagingInfo,
    run: Option<Run>,
    count: u64,
    out: &'a mut dyn Write,
    told: fmt::Result,
}

impl Lines<'_> {
    fn add(&mut self, next: Run) {
        match &mut self.run {
            Some(run) if run.continues_with(&next) => run.pages += next.pages,
            _ => {
                self.end();
                self.run = Some(next);
            }
        }
    }

    fn end(&mut self) {
        let Some(Run { pages, what, leaf }) = self.run.take() else { return };
        let last = leaf.start.offset(pages * PAGE_SIZE - 1);
        let size = page_size(self.info, leaf.level);
        let PhysAddr(target) = leaf.frame.start();
        self.say(format_args!(
            "{:#x}-{last:#x} {}K {} {size} {} {what} -> {target:#x}",
            leaf.start,
            pages * (PAGE_SIZE >> 10),
            leaf.flags.rights,
            leaf.flags.cache,
        ));
    }

    fn say(&mut self, line: fmt::Arguments) {
        self.count += 1;
        self.told = self.told.and(writeln!(self.out, "{line}"));
    }
}

#[cfg(test)]
mod tests {
    use mm::{Frame, Mapping, PageFlags, VirtAddr, amd64};

    use super::{Lines, Run};

    fn lines(leaves: &[(u64, u64, u8, PageFlags, &'static str)]) -> String {
        let mut text = String::new();
        let info = &amd64::PML4.info;
        let mut lines = Lines { info, run: None, count: 0, out: &mut text, told: Ok(()) };
        for (start, frame, level, flags, what) in leaves {
            let leaf = Mapping { start: VirtAddr(*start), frame: Frame(*frame), level: *level, flags: *flags };
            lines.add(Run::of(info, &leaf, what));
        }
        lines.end();
        assert_eq!(lines.count, text.lines().count() as u64);
        text
    }

    #[test]
    fn neighbours_that_are_alike_are_one_line() {
        let data = PageFlags::DATA;
        let text = lines(&[(0x1000, 1, 1, data, "data"), (0x2000, 2, 1, data, "data"), (0x3000, 3, 1, data, "data")]);
        assert_eq!(text, "0x1000-0x3fff 12K rw--g 4K wb data -> 0x1000\n");
    }

    #[test]
    fn any_difference_begins_a_line() {
        let data = PageFlags::DATA;
        let first = (0x1000, 1, 1, data, "data");
        assert_eq!(lines(&[first, (0x3000, 2, 1, data, "data")]).lines().count(), 2, "a hole");
        assert_eq!(lines(&[first, (0x2000, 3, 1, data, "data")]).lines().count(), 2, "another frame");
        assert_eq!(lines(&[first, (0x2000, 2, 1, PageFlags::TEXT, "data")]).lines().count(), 2, "other rights");
        assert_eq!(lines(&[first, (0x2000, 2, 1, data, "stack")]).lines().count(), 2, "something else");
        let large = (0x20_0000, 0x200, 2, data, "data");
        assert_eq!(lines(&[(0x1F_F000, 0x1FF, 1, data, "data"), large]).lines().count(), 2, "another size");
    }
}
