//! Out of memory, while tables are wanted.

use mm::{Frames, MapError, MapRequest, Memory, OwnedFrames, PageFlags, PageRange, Rights, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::Machine;

/// More blocks than free memory usually falls into: a run that begins and ends anywhere makes a few dozen.
const BLOCKS: usize = 512;

/// More tables than one page needs in any mode.
const SPARE: usize = 8;

/// Far from everything that is mapped, so that every level below the root needs a table of its own.
const HERE: VirtAddr = VirtAddr(0x4000_0000);

/// With no frame left, with one, with two: a page is mapped as soon as there is a frame for each table that it needs,
/// and until then nothing changes.
pub fn of_tables(machine: &mut Machine) -> Verdict {
    let mut spare = [const { None }; SPARE];
    let mut rest = [const { None }; BLOCKS];
    let leaf = {
        let memory = &mut machine.memory.lock();
        let reach = memory.window.frames().end();
        let leaf = memory.take(0, reach).named("take a frame")?;
        for slot in &mut spare {
            // Of those that tables are made of.
            *slot = memory.take(0, reach).ok();
        }
        let mut order = Frames::MAX_ORDER;
        rest.iter_mut().for_each(|slot| *slot = largest(memory, &mut order));
        leaf
    };
    let verdict = one_by_one(machine, &leaf, &mut spare);
    let memory = &mut machine.memory.lock();
    memory.put(leaf);
    // In place: a copy of the blocks is more than the stack has to spare.
    for slot in spare.iter_mut().chain(&mut rest) {
        if let Some(frames) = slot.take() {
            memory.put(frames);
        }
    }
    verdict
}

/// Takes a block of the largest order up to `order` that there still is, and remembers which.
fn largest(memory: &mut Memory, order: &mut u8) -> Option<OwnedFrames> {
    loop {
        match memory.take(*order, Frames::ANYWHERE) {
            Ok(block) => return Some(block),
            Err(_) => *order = order.checked_sub(1)?,
        }
    }
}

fn one_by_one(machine: &mut Machine, leaf: &OwnedFrames, spare: &mut [Option<OwnedFrames>; SPARE]) -> Verdict {
    let info = &machine.map.tables().paging().routines.info;
    // PAE's directories are there from the start.
    let needed = u64::from(info.levels - 1) - u64::from(info.root_is_registers);
    let memory = &mut machine.memory.lock();
    if memory.free_frames() != 0 {
        return Ok(Outcome::Skipped("free memory is in too many pieces to hold it all"));
    }
    let range = PageRange::new(HERE, 1);
    let request = MapRequest { range, first: leaf.run().first, flags: PageFlags::new(Rights::WRITE) };
    for slot in spare {
        let free = memory.free_frames();
        let told = machine.map.map_user(memory, &request);
        if free >= needed {
            told.named("map with a frame for each table")?;
            let left = memory.free_frames();
            machine.map.unmap_user(memory, range, None).named("unmap")?.flush(memory, machine.platform.mmu());
            machine.map.trim_user(memory).named("trim")?.flush(memory, machine.platform.mmu());
            expect(left == free - needed, "a page takes one frame for each table that it needs")?;
            expect(memory.free_frames() == free, "the tables come home")?;
            return Ok(Outcome::Passed);
        }
        expect(told == Err(MapError::NoMemory), "without a frame for each table a page is refused for want of memory")?;
        expect(memory.free_frames() == free, "what was taken for a refused request is given back")?;
        expect(machine.map.tables().query(memory, HERE).is_none(), "a refused request maps nothing")?;
        if let Some(frame) = slot.take() {
            memory.put(frame);
        }
    }
    Err(Failure::Not("a page needs no more tables than the mode has levels"))
}
