//! The byte heap.

use alloc::vec::Vec;

use super::{Failure, Outcome, Verdict, expect};
use crate::Machine;

/// The heap grows for what it has no room for, keeps what is written, and refuses what no memory could hold.
pub fn grows(machine: &mut Machine) -> Verdict {
    const LARGE: usize = 1 << 20;
    let (used_before, _) = machine.platform.heap();
    let mut small: Vec<Vec<u32>> = Vec::new();
    small.try_reserve(64).map_err(|_| Failure::Not("the heap has room for 64 vectors"))?;
    for n in 0..64u32 {
        let mut one = Vec::new();
        one.try_reserve(n as usize + 1).map_err(|_| Failure::Not("the heap has room for a small vector"))?;
        one.extend((0..=n).map(|m| n << 16 | m));
        small.push(one);
    }
    let mut large: Vec<u8> = Vec::new();
    large.try_reserve(LARGE).map_err(|_| Failure::Not("the heap grows by 1 MiB"))?;
    large.resize(LARGE, 0xA5);
    let kept = small.iter().zip(0u32..).all(|(one, n)| one.iter().zip(0u32..).all(|(word, m)| *word == n << 16 | m));
    expect(kept, "small allocations keep what was written when the heap grows")?;
    expect(large.iter().all(|byte| *byte == 0xA5), "a large allocation keeps what was written")?;
    let mut absurd: Vec<u8> = Vec::new();
    expect(absurd.try_reserve(isize::MAX as usize).is_err(), "an absurd allocation is refused")?;
    drop((small, large));
    expect(machine.platform.heap().0 == used_before, "all bytes come back")?;
    Ok(Outcome::Passed)
}

/// Small objects cost what a few pages of them do, and the pages go back to the frames when nothing is left in them.
pub fn shrinks(machine: &mut Machine) -> Verdict {
    const OBJECTS: usize = 4096;
    const BYTES: usize = 256;
    // What the list of the objects takes, a few empty slabs, and one that is not full.
    const KEPT: usize = 256 << 10;
    let (_, before) = machine.platform.heap();
    let mut objects: Vec<Vec<u8>> = Vec::new();
    objects.try_reserve(OBJECTS).map_err(|_| Failure::Not("the heap has room for a list"))?;
    for n in 0..OBJECTS {
        let mut one = Vec::new();
        one.try_reserve_exact(BYTES).map_err(|_| Failure::Not("the heap has room for 1 MiB of small objects"))?;
        one.resize(BYTES, n as u8);
        objects.push(one);
    }
    let (_, most) = machine.platform.heap();
    expect(most - before < OBJECTS * BYTES / 4 * 5 + KEPT, "small objects take little more than their bytes")?;
    // First every other one, so that nothing is empty before the end.
    for odd in [false, true] {
        for (n, one) in objects.iter_mut().enumerate().filter(|(n, _)| (n % 2 == 1) == odd) {
            expect(one.iter().all(|byte| *byte == n as u8), "a small object keeps what was written")?;
            *one = Vec::new();
        }
    }
    let (_, after) = machine.platform.heap();
    expect(after < before + KEPT, "empty pages go back to the frames")?;
    Ok(Outcome::Passed)
}
