//! The frame allocator, on this machine's frames.

use mm::{Frame, FrameError, Frames, ShareError};

use super::{Failure, Outcome, Verdict, expect};
use crate::Machine;

/// Every order that has a free block gives an aligned one and takes it back.
pub fn pairs(machine: &Machine) -> Verdict {
    machine.memory.lock().with_frames(try_pairs)
}

fn try_pairs(frames: &mut Frames) -> Verdict {
    let mut tried = 0;
    for order in 0..=Frames::MAX_ORDER {
        let Ok(first) = frames.alloc(order, Frames::ANYWHERE) else { continue };
        let last = first.offset((1 << order) - 1);
        let aligned = first.0.is_multiple_of(1 << order);
        let taken = !frames.is_free(first) && !frames.is_free(last);
        frames.free(first, order).map_err(|_| Failure::Not("a block that was given can be given back"))?;
        expect(aligned, "a block is aligned to its size")?;
        expect(
            taken && frames.is_free(first) && frames.is_free(last),
            "a block is free before and after, not between",
        )?;
        tried += 1;
    }
    expect(tried > 0, "there is a free block")?;
    Ok(Outcome::Passed)
}

/// What must not be given back is refused by name.
pub fn refusals(machine: &Machine) -> Verdict {
    machine.memory.lock().with_frames(try_refusals)
}

fn try_refusals(frames: &mut Frames) -> Verdict {
    let first = frames.alloc(1, Frames::ANYWHERE).map_err(|_| Failure::Not("two frames in a row are free"))?;
    let wrong = frames.free(first, 0);
    let misaligned = frames.free(first.offset(1), 1);
    frames.free(first, 1).map_err(|_| Failure::Not("a block that was given can be given back"))?;
    expect(wrong == Err(FrameError::WrongOrder), "half a block is refused")?;
    expect(misaligned == Err(FrameError::Misaligned), "a misaligned block is refused")?;
    expect(frames.free(first, 1) == Err(FrameError::DoubleFree), "a double free is refused")?;
    expect(frames.free(Frame(0), 0) == Err(FrameError::NeverGiven), "frame 0 is never given")?;
    let low = frames.alloc(0, Frame(256)).ok();
    if let Some(low) = low {
        frames.free(low, 0).map_err(|_| Failure::Not("a low frame can be given back"))?;
        expect(low < Frame(256), "a limit is kept")?;
    }
    Ok(Outcome::Passed)
}

/// All frames below 16 MiB can be had one by one, and no more, and all come home.
pub fn exhaustion(machine: &mut Machine) -> Verdict {
    machine.memory.lock().with_frames(try_exhaustion)
}

fn try_exhaustion(frames: &mut Frames) -> Verdict {
    const END: Frame = Frame(4096);
    let free = |frames: &Frames| (0..END.0).filter(|frame| frames.is_free(Frame(*frame))).count();
    let before = free(frames);
    let mut taken = [0u64; END.0 as usize / 64];
    let mut count = 0;
    while let Ok(Frame(frame)) = frames.alloc(0, END) {
        let bit = 1 << (frame % 64);
        let word = taken.get_mut(frame as usize / 64).ok_or(Failure::Not("a limit is kept"))?;
        expect(*word & bit == 0, "no frame is given twice")?;
        *word |= bit;
        count += 1;
    }
    for frame in (0..END.0).filter(|frame| taken[*frame as usize / 64] >> (frame % 64) & 1 != 0) {
        frames.free(Frame(frame), 0).map_err(|_| Failure::Not("a frame that was given can be given back"))?;
    }
    expect(count == before && count > 0, "every free frame can be had")?;
    expect(free(frames) == before, "every frame comes home")?;
    Ok(Outcome::Passed)
}

/// Owners of a frame are counted, nobody's are not.
pub fn owners(machine: &Machine) -> Verdict {
    let memory = &mut *machine.memory.lock();
    let frame = memory.take(0, Frames::ANYWHERE).map_err(|_| Failure::Not("a frame is free"))?;
    let at = frame.run().first;
    let counted = (memory.owners(at), memory.share(at), memory.share(at), memory.unshare(at), memory.unshare(at));
    let last = memory.unshare(at);
    memory.put(frame);
    expect(counted == (Ok(1), Ok(2), Ok(3), Ok(2), Ok(1)), "owners are counted up and down")?;
    expect(last == Err(ShareError::NotShared), "the last owner gives the frame back")?;
    expect(memory.share(at) == Err(ShareError::Free), "a free frame has no owner")?;
    expect(memory.share(Frame(0)) == Err(ShareError::NeverGiven), "frame 0 has no owner")?;
    // Whether the tables of counts go home, the number of free frames tells: other CPUs may have some just now.
    Ok(Outcome::Passed)
}
