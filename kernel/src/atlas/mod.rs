//! The atlas: page tables as a picture, one table at a time, each entry a cell.
//!
//! [`table`] reads a table of the live tree, [`draw`] turns it into letters and colours, and [`browse()`] lets one walk
//! through the tree with the keys. Letters say what colours say, so that a log without colours can be read too, and the
//! screen and COM1 show the same.

mod browse;
mod draw;
mod table;

pub use browse::browse;

use core::fmt::{self, Write};

use mm::{PAGE_SIZE, PageRange, VirtAddr};

use crate::Machine;
use crate::console::Console;
use crate::show::Size;
use table::Table;

/// Draws the root table and lists what lies where.
pub fn overview(console: &mut Console, machine: &Machine) -> fmt::Result {
    let info = &machine.map.tables().paging().routines.info;
    let Some(root) = Table::find(machine, VirtAddr(0), info.levels) else { return Ok(()) };
    draw::table(console, info, &root)?;
    let layout = machine.map.layout();
    let self_map = PageRange::new(info.self_map_base(), info.self_map_pages());
    let mut regions = [
        ("user", layout.user),
        ("aperture", layout.aperture),
        ("self-map", self_map),
        ("dynamic", layout.dynamic),
        ("image", layout.image),
    ];
    regions.sort_unstable_by_key(|(_, range)| info.page_number(range.start));
    for (name, range) in regions {
        let bytes = range.pages * PAGE_SIZE;
        let last = VirtAddr(range.start.0 + (bytes - 1));
        writeln!(console, "{name:9} {:#x}-{last:#x}, {}", range.start, Size(bytes))?;
    }
    Ok(())
}

/// Draws the last table on the way to `address`: the one whose entry maps it, or would.
pub fn around(console: &mut Console, machine: &Machine, address: VirtAddr) -> fmt::Result {
    let info = &machine.map.tables().paging().routines.info;
    let tables = (1..=info.levels).filter_map(|level| Table::find(machine, address, level));
    for table in tables.take(1) {
        draw::table(console, info, &table)?;
        draw::entry(console, machine, &table, info.index(address, table.level))?;
    }
    Ok(())
}
