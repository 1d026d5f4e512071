//! What threads take of memory, and that all of it comes home.

use mm::{Frames, OwnedFrames};
use sched::Priority;

use super::threads::{HERE, report, start, unusable};
use super::{Outcome, Verdict, expect};
use crate::Machine;
use crate::threads::{self, Refusal, Work};

/// A stack that was given back is used again, and as many frames are free as before.
pub fn stacks(machine: &mut Machine) -> Verdict {
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let before = machine.memory.lock().free_frames();
    let mut place = None;
    for _ in 0..50 {
        let work = Work { name: "test", priority: Priority::Normal, cpu: HERE, run: |_| (), argument: 0 };
        let id = start(machine, work)?;
        let at = report(id).map(|report| (id.index(), report.stack));
        expect(place.is_none() || place == at, "the next thread has the slot and the stack of the last")?;
        place = at;
        threads::join(machine, id);
        expect(machine.memory.lock().free_frames() == before, "the frames of a stack come home")?;
    }
    Ok(Outcome::Passed)
}

/// Without slots, and without frames for a stack, a thread is refused in words, and what was begun is undone.
pub fn refusals(machine: &mut Machine) -> Verdict {
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let before = machine.memory.lock().free_frames();
    let count = threads::reports().count();
    let idle = Work { name: "test", priority: Priority::Low, cpu: HERE, run: |_| threads::block(), argument: 0 };
    let mut refusal = None;
    // Low ones do not run before this thread waits.
    while refusal.is_none() {
        refusal = threads::spawn(machine, idle).err();
    }
    let most = threads::reports().count();
    while let Some(one) = threads::reports().find(|report| report.name == "test") {
        threads::wake(one.id);
        threads::join(machine, one.id);
    }
    let by_slots_or_frames = matches!(refusal, Some(Refusal::TooMany | Refusal::NoStack(mm::MapError::NoMemory)));
    expect(by_slots_or_frames, "when there are too many threads the next is refused for that, or for want of frames")?;
    expect(most > count && threads::reports().count() == count, "what ends is gone")?;
    expect(machine.memory.lock().free_frames() == before, "no frame is lost when threads run out")?;

    let mut rest = [const { None }; BLOCKS];
    let mut order = Frames::MAX_ORDER;
    for slot in &mut rest {
        *slot = largest(machine, &mut order);
    }
    let refused = threads::spawn(machine, idle).err();
    let left = machine.memory.lock().free_frames();
    // In place, as in the test of tables.
    for slot in &mut rest {
        if let Some(frames) = slot.take() {
            machine.memory.lock().put(frames);
        }
    }
    if left >= 1 << 2 {
        return Ok(Outcome::Skipped("free memory is in too many pieces to hold it all"));
    }
    expect(refused == Some(Refusal::NoStack(mm::MapError::NoMemory)), "without frames a thread has no stack")?;
    expect(threads::reports().count() == count, "a thread that was refused is not there")?;
    Ok(Outcome::Passed)
}

/// More blocks than free memory usually falls into.
pub(super) const BLOCKS: usize = 512;

/// Takes a block of the largest order up to `order` that there still is.
pub(super) fn largest(machine: &Machine, order: &mut u8) -> Option<OwnedFrames> {
    loop {
        match machine.memory.lock().take(*order, Frames::ANYWHERE) {
            Ok(block) => return Some(block),
            Err(_) => *order = order.checked_sub(1)?,
        }
    }
}
