//! Walking through the tables with the keys.

use core::fmt::{self, Write};

use super::draw;
use super::table::{Entry, Table};
use crate::console::Console;
use crate::prompt::keys::{Decoder, Key};
use crate::{Machine, threads, typed};
use mm::VirtAddr;

/// What the keys do.
const KEYS: &str = "arrows: another entry   Enter: into the table   Backspace: out of it   q: back to the prompt";

/// Shows the root table, and follows the keys until somebody has seen enough.
pub fn browse(console: &mut Console, machine: &Machine) -> fmt::Result {
    // The keys are read here.
    typed::unwatch();
    let info = &machine.map.tables().paging().routines.info;
    let mut decoder = Decoder::new();
    let mut level = info.levels;
    let mut at = VirtAddr(0);
    while let Some(table) = Table::find(machine, at, level) {
        let index = info.index(at, level);
        console.write_str("\x1b[H\x1b[2J")?;
        draw::table(console, info, &table)?;
        draw::entry(console, machine, &table, index)?;
        writeln!(console, "{KEYS}")?;
        let width = draw::cells_in_line(info);
        let (line, column) = (draw::ABOVE + index / width, draw::margin(info) + index % width);
        // The terminal's own cursor marks the entry.
        write!(console, "\x1b[{};{}H", line + 1, column + 1)?;

        let count = table.count;
        let mut go = index;
        match key(machine, &mut decoder) {
            Key::Left => go = index.saturating_sub(1),
            Key::Right => go = (index + 1).min(count - 1),
            Key::Up => go = index.checked_sub(width).unwrap_or(index),
            Key::Down if index + width < count => go = index + width,
            Key::Home => go = index - index % width,
            Key::End => go = (index - index % width + width - 1).min(count - 1),
            Key::Enter if level > 1 && matches!(table.entry(index), Entry::Table(..) | Entry::SelfMap(_)) => {
                level -= 1;
            }
            Key::Backspace if level < info.levels => level += 1,
            Key::Letter(b'q' | b'Q') | Key::Interrupt => break,
            _ => {}
        }
        if go != index {
            at = table.address(go);
        }
    }
    console.write_str("\x1b[H\x1b[2J")
}

/// Waits for a key.
fn key(machine: &Machine, decoder: &mut Decoder) -> Key {
    loop {
        match typed::read(machine.platform) {
            Some((byte, _)) => {
                if let Some(key) = decoder.take(byte) {
                    return key;
                }
            }
            None => threads::wait_for_input(machine.platform),
        }
    }
}
