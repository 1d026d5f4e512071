//! `mem`: the memory map, the frames by zone and order, and what they are used for.

use core::fmt::{self, Write};

use mm::{Kind, Memory, PAGE_SIZE, Seen};

use crate::console::Console;
use crate::{Machine, audit};

/// Prints what physical memory is, what of it is free, and how the heap does.
pub fn mem(console: &mut Console, machine: &Machine) -> fmt::Result {
    writeln!(console, "memory map:")?;
    for region in machine.memory_map.iter() {
        let last = region.end.0 - 1;
        writeln!(console, "  {:#014x}-{last:#014x} {:>11} KiB  {}", region.start.0, region.bytes() >> 10, region.kind)?;
    }
    let (used, total) = machine.platform.heap();
    let memory = machine.memory.lock();
    let mut all_blocks = [0; mm::Frames::MAX_ORDER as usize + 1];
    // One at a time: the reader is waited for in between, but not with the allocator locked.
    let zone = |number| memory.look_at_frames(|frames| frames.zones().nth(number));
    for zone in (0..mm::Frames::MAX_ZONES).map_while(zone) {
        writeln!(console, "zone {}: {} of {} frames free", zone.name, zone.free, zone.total)?;
        blocks(console, &zone.blocks)?;
        all_blocks.iter_mut().zip(zone.blocks).for_each(|(all, count)| *all += count);
    }
    let (free, all) = (memory.free_frames(), memory.look_at_frames(mm::Frames::total_frames));
    writeln!(console, "frames: {free} of {all} free, {} KiB", free * 4)?;
    blocks(console, &all_blocks)?;
    let cached = memory.cached_frames();
    match machine.memory.count() {
        1 => writeln!(console, "cache: {cached} of them are at hand; the zones do not count them as free")?,
        cpus => writeln!(
            console,
            "caches: {cached} of them are at hand on {cpus} CPUs; the zones do not count them as free"
        )?,
    }
    uses(console, machine, &memory, total as u64 / PAGE_SIZE)?;
    let window = memory.window.frames();
    writeln!(console, "aperture: frames {:#x} to {:#x} can be reached by pointer", window.first, window.end().0)?;
    writeln!(console, "heap: {used} of {total} bytes in use")
}

/// How many free blocks there are of each order of which there are any.
fn blocks(console: &mut Console, counts: &[u64]) -> fmt::Result {
    write!(console, "  free blocks by order:")?;
    for (order, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        write!(console, " {order}:{count}")?;
    }
    writeln!(console)
}

/// What all RAM is used for. Every frame of it is in one line.
fn uses(console: &mut Console, machine: &Machine, memory: &Memory, heap: u64) -> fmt::Result {
    let kept = |kind: Kind| -> u64 {
        machine.memory_map.iter().filter(|region| region.kind == kind).map(|region| region.frames().count).sum()
    };
    let given = memory.look_at_frames(mm::Frames::total_frames);
    let (free, cached) = (memory.free_frames(), memory.cached_frames());
    let tables = audit::count_tables(&machine.map, memory);
    let user = user_frames(machine, memory);
    let counts = memory.share_tables();
    let named = free + tables + heap + user + counts;
    writeln!(console, "use, in KiB:")?;
    for (what, frames) in [
        ("free", free - cached),
        ("free, in caches", cached),
        ("page tables", tables),
        ("heap", heap),
        ("user pages", user),
        ("share counts", counts),
        ("stacks and other", given.saturating_sub(named)),
        ("kernel image", kept(Kind::Image)),
        ("frame metadata", kept(Kind::Metadata)),
        ("boot information", kept(Kind::BootInfo) + kept(Kind::Module)),
        ("ACPI tables", kept(Kind::AcpiReclaimable)),
    ] {
        writeln!(console, "  {what:18} {:>11}", frames * (PAGE_SIZE / 1024))?;
    }
    writeln!(console, "  {:18} {:>11}", "all RAM", machine.memory_map.total_ram_kib())
}

/// Frames that are mapped in the user half.
fn user_frames(machine: &Machine, memory: &Memory) -> u64 {
    let (user, info) = (&machine.map.layout().user, &machine.map.tables().paging().routines.info);
    let mut frames = 0;
    machine.map.tables().visit(memory, &mut |seen| match seen {
        Seen::Leaf(leaf) if user.contains(leaf.start) => frames += info.pages(leaf.level),
        _ => {}
    });
    frames
}
