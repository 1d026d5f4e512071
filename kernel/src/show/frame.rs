//! `frame`: what one frame is, and who owns it.

use core::fmt::{self, Write};

use mm::{Frame, KernelMap, Memory, PAGE_SIZE, Pte, ShareError};

use crate::Machine;
use crate::console::Console;

/// What to do with the frame before it is shown.
#[derive(Clone, Copy)]
pub enum Change {
    /// Add an owner.
    Share,
    /// Take one away.
    Unshare,
}

/// Prints what `frame` is, after its owners were changed, if that is wanted.
pub fn frame(console: &mut Console, machine: &mut Machine, frame: Frame, change: Option<Change>) -> fmt::Result {
    let memory = &mut machine.memory.lock();
    let changed = match change {
        Some(Change::Share) => memory.share(frame),
        Some(Change::Unshare) => memory.unshare(frame),
        None => Ok(0),
    };
    if let Err(error) = changed {
        return writeln!(console, "frame: {error}");
    }
    let first = frame.start().0;
    write!(console, "frame {frame:#x} ({first:#x}-{:#x}): ", first + (PAGE_SIZE - 1))?;
    match machine.memory_map.kind_of(frame) {
        Some(kind) => writeln!(console, "{kind}")?,
        None => writeln!(console, "not in the memory map")?,
    }
    let Some(place) = memory.look_at_frames(|frames| frames.place_of(frame)) else {
        return writeln!(console, "  the frame allocator was never given it");
    };
    let order = place.block.count.ilog2();
    let state = match (place.free, memory.is_cached(frame)) {
        (true, _) => "free, part of a block",
        (false, true) => "free and at hand in a cache, a block",
        (false, false) => "in use, part of a block",
    };
    writeln!(console, "  {state} of order {order} from frame {:#x} on, in zone {}", place.block.first, place.zone)?;
    match memory.owners(frame) {
        Ok(1) => writeln!(console, "  one owner")?,
        Ok(owners) => writeln!(console, "  {owners} owners")?,
        Err(ShareError::Free) => writeln!(console, "  no owner")?,
        Err(error) => writeln!(console, "  {error}")?,
    }
    if is_table(&machine.map, memory, frame) {
        writeln!(console, "  it is one of the live page tables")?;
    }
    match memory.window.frames().contains(frame) {
        true => writeln!(console, "  in the aperture at {:#x}", machine.map.layout().aperture.start.offset(first)),
        false => writeln!(console, "  beyond the aperture: reached through a temporary window"),
    }
}

fn is_table(map: &KernelMap, memory: &Memory, frame: Frame) -> bool {
    let mut found = map.tables().root() == frame;
    map.tables().entries(memory, 2, &mut |entry| found |= matches!(entry.pte, Pte::Table(table, _) if table == frame));
    found
}
