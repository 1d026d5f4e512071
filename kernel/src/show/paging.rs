//! `paging`: the mode and what follows from it.

use core::fmt::{self, Write};

use mm::{Layout, Limits, PAGE_SIZE, PageRange, PagingInfo, PagingRoutines};

use super::{Size, page_size};
use crate::console::Console;
use crate::{Machine, Registers};

/// Where some bits of a register are, and their names.
type Bits = &'static [(u32, &'static str)];

/// Bits of the control registers that concern paging, by the manual's names (SDM vol. 3A, 2.5; vol. 4, IA32_EFER).
const CR0: Bits = &[(0, "PE"), (16, "WP"), (30, "CD"), (31, "PG")];
const CR4: Bits = &[
    (4, "PSE"),
    (5, "PAE"),
    (7, "PGE"),
    (11, "UMIP"),
    (12, "LA57"),
    (17, "PCIDE"),
    (20, "SMEP"),
    (21, "SMAP"),
    (22, "PKE"),
];
const EFER: Bits = &[(8, "LME"), (10, "LMA"), (11, "NXE")];

/// Prints the mode, why it was chosen, its shape, what the CPU takes away, the layout and the registers.
pub fn paging(console: &mut Console, machine: &Machine) -> fmt::Result {
    let tables = machine.map.tables();
    let paging = tables.paging();
    let (info, limits) = (&paging.routines.info, &paging.limits);
    writeln!(console, "{}: {}", info.name, machine.selection.reason)?;
    writeln!(
        console,
        "shape:    {} levels of {}-byte entries, {} index bits, {} virtual address bits, root at {:#x}",
        info.levels,
        info.entry_bytes,
        info.index_bits(),
        info.va_bits,
        tables.root().start()
    )?;
    write!(console, "this CPU: {} physical address bits, pages of", limits.phys_bits)?;
    for level in 1..=limits.top_leaf {
        write!(console, " {}", page_size(info, level))?;
    }
    for (name, has) in [("NX", limits.no_execute), ("global pages", limits.global), ("PAT", limits.pat)] {
        write!(console, ", {}{name}", if has { "" } else { "no " })?;
    }
    writeln!(console)?;
    levels(console, info, limits)?;
    regions(console, info)?;
    registers(console, &machine.platform.registers())?;
    routines(console, paging.routines)
}

fn levels(console: &mut Console, info: &PagingInfo, limits: &Limits) -> fmt::Result {
    writeln!(console, "level  entries  shift  an entry covers  page  entries in the self-map from")?;
    for level in (1..=info.levels).rev() {
        let (entries, shift, base) = (info.entries(level), info.shift(level), info.entry_base(level));
        let page = if level <= limits.top_leaf { page_size(info, level) } else { "-" };
        let covers = Size(info.pages(level) * PAGE_SIZE);
        writeln!(console, "{level:5}  {entries:7}  {shift:5}  {covers:>15}  {page:>4}  {base:#x}")?;
    }
    Ok(())
}

fn regions(console: &mut Console, info: &PagingInfo) -> fmt::Result {
    let layout = Layout::of(info);
    let self_map = PageRange::new(info.self_map_base(), info.self_map_pages());
    let regions = [
        ("user", layout.user),
        ("aperture", layout.aperture),
        ("self-map", self_map),
        ("dynamic", layout.dynamic),
        ("image", layout.image),
    ];
    for (name, range) in regions {
        let size = Size(range.pages * PAGE_SIZE);
        writeln!(console, "{name:9} {:#018x}-{:#018x} {size:>8}", range.start, range.last_byte())?;
    }
    Ok(())
}

fn registers(console: &mut Console, registers: &Registers) -> fmt::Result {
    let named: [(&str, u64, Bits); 4] = [
        ("CR0", registers.cr0, CR0),
        ("CR3", registers.cr3, &[]),
        ("CR4", registers.cr4, CR4),
        ("EFER", registers.efer, EFER),
    ];
    for (name, value, bits) in named {
        write!(console, "{name:4} {value:#018x}")?;
        for (_, bit) in bits.iter().filter(|(bit, _)| value >> bit & 1 != 0) {
            write!(console, " {bit}")?;
        }
        writeln!(console)?;
    }
    Ok(())
}

/// The table that boot has bound, and where each of its routines begins.
fn routines(console: &mut Console, table: &'static PagingRoutines) -> fmt::Result {
    let named = [
        ("new_root", table.new_root as usize),
        ("map", table.map as usize),
        ("unmap", table.unmap as usize),
        ("protect", table.protect as usize),
        ("split", table.split as usize),
        ("merge", table.merge as usize),
        ("trim", table.trim as usize),
        ("query", table.query as usize),
        ("path", table.path as usize),
        ("visit", table.visit as usize),
        ("free", table.free as usize),
    ];
    writeln!(console, "routines: table at {:#x}, bound once at boot", core::ptr::from_ref(table).addr())?;
    for row in named.chunks(3) {
        for (name, at) in row {
            write!(console, "  {name:8} {at:#018x}")?;
        }
        writeln!(console)?;
    }
    Ok(())
}
