//! `mem`: the memory map, the frames, the heap.

use core::fmt::{self, Write};

use crate::Machine;
use crate::console::Console;

/// Prints what physical memory is, what of it is free, and how the heap does.
pub fn mem(console: &mut Console, machine: &Machine) -> fmt::Result {
    writeln!(console, "memory map:")?;
    for region in machine.memory_map.iter() {
        let last = region.end.0 - 1;
        writeln!(console, "  {:#014x}-{last:#014x} {:>11} KiB  {}", region.start.0, region.bytes() >> 10, region.kind)?;
    }
    let (used, total) = machine.platform.heap();
    let memory = machine.memory.lock();
    for zone in memory.frames.zones() {
        writeln!(console, "zone {}: {} of {} frames free", zone.name, zone.free, zone.total)?;
        write!(console, "  free blocks by order:")?;
        for (order, count) in zone.blocks.iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(console, " {order}:{count}")?;
        }
        writeln!(console)?;
    }
    let (free, all) = (memory.free_frames(), memory.frames.total_frames());
    writeln!(console, "frames: {free} of {all} free, {} KiB", free * 4)?;
    let cached = memory.cached_frames();
    writeln!(console, "cache: {cached} of them are at hand for single frames; the zones do not count them as free")?;
    let window = memory.window.frames();
    writeln!(console, "aperture: frames {:#x} to {:#x} can be reached by pointer", window.first, window.end().0)?;
    writeln!(console, "heap: {used} of {total} bytes in use")
}
