//! A table as letters and colours.

use core::fmt::{self, Write};

use mm::{Cache, PAGE_SIZE, PagingInfo, Rights, VirtAddr};

use super::table::{Entry, Table};
use crate::Machine;
use crate::console::Console;
use crate::show::Size;

/// A letter, and the number of its background colour (ECMA-48, 8.3.117).
type Look = (char, u8);

const ABSENT: Look = ('.', 49);
const TABLE: Look = ('#', 44);
const SELF_MAP: Look = ('s', 46);
const DEVICE: Look = ('d', 45);
const READ: Look = ('r', 100);
const WRITE: Look = ('w', 43);
const EXECUTE: Look = ('x', 42);
const BOTH: Look = ('!', 41);

/// Lines above the cells.
pub const ABOVE: usize = 1;

/// How many cells a line has: so many that the addresses before them leave room on 80 columns.
pub fn cells_in_line(info: &PagingInfo) -> usize {
    if info.va_bits == 32 { 64 } else { 32 }
}

/// The column of the first cell.
pub fn margin(info: &PagingInfo) -> usize {
    2 + digits(info) + 1
}

fn digits(info: &PagingInfo) -> usize {
    if info.va_bits == 32 { 8 } else { 16 }
}

fn look(info: &PagingInfo, entry: Entry) -> Look {
    match entry {
        Entry::Absent => ABSENT,
        Entry::Table(..) => TABLE,
        Entry::SelfMap(_) => SELF_MAP,
        Entry::Page(_, _, cache) if cache != Cache::WriteBack => DEVICE,
        Entry::Page(_, rights, _) => {
            // Where no entry can forbid to execute, that something can be executed says nothing.
            let execute = rights.contains(Rights::EXEC) && info.no_execute;
            match (rights.contains(Rights::WRITE), execute) {
                (false, false) => READ,
                (true, false) => WRITE,
                (false, true) => EXECUTE,
                (true, true) => BOTH,
            }
        }
    }
}

/// Whether ring 3 may use what the entry maps: such a cell has a capital letter.
fn for_programs(entry: Entry) -> bool {
    matches!(entry, Entry::Page(_, rights, _) if rights.contains(Rights::USER))
}

/// Draws `table`: a title, its cells, and what they mean.
pub fn table(console: &mut Console, info: &PagingInfo, table: &Table) -> fmt::Result {
    let span = info.pages(table.level) * PAGE_SIZE;
    let (name, level, at) = (info.name, table.level, table.frame.start());
    writeln!(console, "{name}, a table of level {level} at {at:#x}: an entry covers {}", Size(span))?;
    let width = cells_in_line(info);
    for first in (0..table.count).step_by(width) {
        write!(console, "{:#0w$x} ", table.address(first), w = 2 + digits(info))?;
        let mut last = None;
        for index in first..table.count.min(first + width) {
            let entry = table.entry(index);
            let (letter, color) = look(info, entry);
            if last.replace(color) != Some(color) {
                paint(console, color)?;
            }
            console.write_char(if for_programs(entry) { letter.to_ascii_uppercase() } else { letter })?;
        }
        console.write_str("\x1b[0m\n")?;
    }
    let named = [
        (TABLE, "table"),
        (SELF_MAP, "self-map"),
        (READ, "read"),
        (WRITE, "write"),
        (EXECUTE, "execute"),
        (BOTH, "both"),
        (DEVICE, "device"),
    ];
    for ((letter, color), name) in named {
        paint(console, color)?;
        write!(console, "{letter}\x1b[0m {name}  ")?;
    }
    console.write_str("R: for programs too\n")
}

/// Chooses a background, and black letters on it if it is one.
fn paint(console: &mut Console, color: u8) -> fmt::Result {
    let front = if color == ABSENT.1 { 39 } else { 30 };
    write!(console, "\x1b[{front};{color}m")
}

/// Says what is in the entry `index` of `table`.
pub fn entry(console: &mut Console, machine: &Machine, table: &Table, index: usize) -> fmt::Result {
    let info = &machine.map.tables().paging().routines.info;
    let start = table.address(index);
    let last = VirtAddr(start.0 + (info.pages(table.level) * PAGE_SIZE - 1));
    write!(console, "[{index}] {start:#x}-{last:#x}: ")?;
    match table.entry(index) {
        Entry::Table(frame, rights) => writeln!(console, "a table at {:#x}, {rights}", frame.start()),
        Entry::SelfMap(frame) => writeln!(console, "the table at {:#x}, in the self-map", frame.start()),
        Entry::Page(frame, rights, cache) => {
            let what = machine.map.name_of(start);
            writeln!(console, "{what} at {:#x}, {rights} {cache}", frame.start())
        }
        Entry::Absent => writeln!(console, "nothing"),
    }
}
