//! The lift, the way back, and again.

use mm::{Frame, KernelMap, MapRequest, OwnedFrames, PageFlags, PageRange, Paging, PagingRoutines, Rights};
use mm::{Memory, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::{Machine, Platform, modes};

const ROUNDS: u32 = 100;

/// The end of the memory in which a trampoline of the usual kind would lie.
const LOW: Frame = Frame(256);

/// The end of the frames that both modes reach: pml2 has 32 physical address bits.
pub(super) const BOTH: Frame = Frame(1 << 20);

/// Where the other mode maps a page: in the user region of every mode, and not where this mode maps it.
const THERE: VirtAddr = VirtAddr(0x5000_0000);
const HERE: VirtAddr = VirtAddr(0x4000_0000);

/// A hundred times into the other mode and back: what was written there is found here, every register that must be
/// preserved is, and nothing else has changed.
pub fn hundred_times(machine: &mut Machine) -> Verdict {
    let Some(other) = modes::other(machine) else { return Ok(Outcome::Skipped("this CPU has one mode only")) };
    let mut frames = machine.memory.lock().take(0, BOTH).named("take a frame")?;
    let mut low = [const { None }; LOW.0 as usize];
    for slot in &mut low {
        // Whatever is left down there is held, so that nobody has reason to write to it.
        *slot = machine.memory.lock().take(0, LOW).ok();
    }
    let before = fingerprint(machine, &low);
    let verdict = (0..ROUNDS).try_for_each(|round| once(machine, other, &mut frames, round));
    let after = fingerprint(machine, &low);
    let memory = &mut machine.memory.lock();
    memory.put(frames);
    low.into_iter().flatten().for_each(|frame| memory.put(frame));
    verdict?;
    expect(before == after, "text, constants and low memory are as they were")?;
    Ok(Outcome::Passed)
}

/// Into the other mode and back, and to every page again that was written there.
pub(super) fn once(
    machine: &mut Machine,
    other: &'static PagingRoutines,
    frames: &mut OwnedFrames,
    round: u32,
) -> Result<(), Failure> {
    // The heap is not used from here on: on x86_64 the aperture, in which it lies, moves with the mode.
    let memory = &mut machine.memory.alone();
    let platform = machine.platform;
    let paging = Paging::new(other, &machine.features);
    let mut twin = machine.map.twin(memory, paging, machine.memory_map.ram_runs()).named("build the other tables")?;
    let entered = platform.enter(&mut machine.map, &mut twin, memory).named("enter the other mode");
    let written = entered.and_then(|kept| write(&mut twin, memory, platform, frames, round).map(|()| kept));
    let mut came_back = Ok(true);
    if twin.is_live() {
        came_back = platform.enter(&mut twin, &mut machine.map, memory).named("come back");
    }
    if twin.is_live() {
        // There is no way back: what is live is what the machine has from now on.
        core::mem::swap(&mut twin, &mut machine.map);
    }
    twin.free(memory, platform.mmu());
    let (kept_there, kept_back) = (written?, came_back?);
    expect(kept_there && kept_back, "every register that a function must preserve was preserved")?;

    place(&mut machine.map, memory, frames, HERE)?;
    let found = machine.map.peek_user(memory, HERE);
    remove(&mut machine.map, memory, platform, HERE)?;
    expect(found == Ok(pattern(round)), "what was written in the other mode is found in this one")
}

fn write(
    twin: &mut KernelMap,
    memory: &mut Memory,
    platform: &dyn Platform,
    frames: &mut OwnedFrames,
    round: u32,
) -> Result<(), Failure> {
    place(twin, memory, frames, THERE)?;
    let written = twin.poke_user(memory, frames, THERE, pattern(round)).named("write in the other mode");
    remove(twin, memory, platform, THERE)?;
    written
}

fn place(map: &mut KernelMap, memory: &mut Memory, frames: &OwnedFrames, at: VirtAddr) -> Result<(), Failure> {
    let range = PageRange::new(at, 1);
    let request = MapRequest { range, first: frames.run().first, flags: PageFlags::new(Rights::WRITE) };
    map.map_user(memory, &request).named("map")
}

fn remove(map: &mut KernelMap, memory: &mut Memory, platform: &dyn Platform, at: VirtAddr) -> Result<(), Failure> {
    map.unmap_user(memory, PageRange::new(at, 1), None).named("unmap")?.flush(memory, platform.mmu());
    map.trim_user(memory).named("trim")?.flush(memory, platform.mmu());
    Ok(())
}

fn pattern(round: u32) -> u32 {
    0x9E37_79B9u32.wrapping_mul(round + 1)
}

/// A sum over the kernel's text and constants and the frames `low`.
fn fingerprint(machine: &Machine, low: &[Option<OwnedFrames>]) -> u64 {
    let memory = machine.memory.lock();
    let low = low.iter().flatten().filter_map(|frame| memory.sum(frame.run().first));
    let constants = machine
        .map
        .constants()
        .map(|bytes| bytes.iter().fold(0u64, |sum, byte| sum.rotate_left(5).wrapping_add(u64::from(*byte))));
    low.chain(constants).fold(0, |sum, part| sum.rotate_left(7).wrapping_add(part))
}
