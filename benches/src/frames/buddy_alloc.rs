//! `buddy_alloc`: lists of free blocks that live in the blocks, and bits beside them. A unit of 16 bytes stands for a
//! frame, so that its lists fit the host's memory.

use buddy_alloc::buddy_alloc::{BuddyAlloc, BuddyAllocParam};

use super::{FRAMES, FrameAllocator, microseconds};
use crate::host::Mapping;

const UNIT: usize = 16;

/// The bytes that the allocator keeps for itself: three quarters a frame, and some for its lists.
const OWN: usize = FRAMES as usize + 4096;

/// The allocator and where its memory begins.
pub struct Buddy {
    inner: BuddyAlloc,
    memory: Mapping,
}

// SAFETY: its pointers lead into a mapping that nobody else has; whoever holds the allocator may use it.
unsafe impl Send for Buddy {}

fn memory() -> Mapping {
    let bytes = FRAMES as usize * UNIT + OWN;
    let memory = Mapping::new(bytes, 2 << 20);
    // SAFETY: the mapping is that large and ours. Touched now, so that nobody pays for it later.
    unsafe { memory.at().write_bytes(0, bytes) };
    memory
}

fn made(memory: &Mapping) -> BuddyAlloc {
    let length = FRAMES as usize * UNIT + OWN;
    // SAFETY: the mapping is that large, nobody else uses it, and it is kept as long.
    unsafe { BuddyAlloc::new(BuddyAllocParam::new_with_zero_filled(memory.at(), length, UNIT)) }
}

impl FrameAllocator for Buddy {
    fn new() -> Self {
        let memory = memory();
        Self { inner: made(&memory), memory }
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        let at = self.inner.malloc(UNIT << order);
        (!at.is_null()).then(|| ((at as usize - self.memory.at() as usize) / UNIT) as u64)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, _order: u8) {
        self.inner.free(self.memory.at().wrapping_add(first as usize * UNIT));
    }

    fn set_up() -> Option<(u64, f64)> {
        let memory = memory();
        let (_, time) = microseconds(|| made(&memory));
        Some((FRAMES * 3 / 4, time))
    }
}
