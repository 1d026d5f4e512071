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
