//! Frames that only wide physical addresses reach.

use mm::{Frame, Frames, OwnedFrames};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::Machine;

/// log2 of how many frames are tried.
const ORDER: u8 = 6;

/// The first frame above 4 GiB.
const FOUR_GIB: Frame = Frame(1 << 20);

/// Frames above 4 GiB, or at least beyond the aperture, keep what is written to them: each its own.
pub fn beyond_aperture(machine: &mut Machine) -> Verdict {
    let (mut frames, edge) = {
        let memory = &mut machine.memory.lock();
        let frames = memory.take(ORDER, Frames::ANYWHERE).named("take frames")?;
        (frames, memory.window.frames().end().min(FOUR_GIB))
    };
    let high = frames.run().first >= edge;
    let verdict = if high { fill_and_check(machine, &mut frames) } else { Ok(()) };
    machine.memory.lock().put(frames);
    verdict?;
    if high { Ok(Outcome::Passed) } else { Ok(Outcome::Skipped("no RAM above 4 GiB or beyond the aperture")) }
}

fn fill_and_check(machine: &mut Machine, frames: &mut OwnedFrames) -> Result<(), Failure> {
    let memory = &mut machine.memory.lock();
    let mmu = machine.platform.mmu();
    let pattern = |frame: u64, at: usize| (frame as usize * 37 + at * 11) as u8;
    for frame in 0..frames.run().count {
        let fill = |bytes: &mut [u8; 4096]| {
            bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(frame, at));
        };
        machine.map.with_frame(memory, mmu, frames, frame, fill).named("show a high frame")?;
    }
    for frame in 0..frames.run().count {
        let check = |bytes: &mut [u8; 4096]| bytes.iter().enumerate().all(|(at, byte)| *byte == pattern(frame, at));
        let kept = machine.map.with_frame(memory, mmu, frames, frame, check).named("show a high frame")?;
        expect(kept, "a high frame keeps what was written to it")?;
    }
    Ok(())
}
