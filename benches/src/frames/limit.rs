//! The least that anyone can do who remembers which frames are free: an array of numbers, popped and pushed.

use super::{FRAMES, FrameAllocator, microseconds};

/// A stack of frame numbers. It has no orders: where blocks are asked for, it counts with one number each.
pub struct Stack(Vec<u32>);

impl FrameAllocator for Stack {
    const BLOCKS: bool = false;

    fn new() -> Self {
        Self((0..FRAMES as u32).rev().collect())
    }

    #[inline(never)]
    fn alloc(&mut self, _order: u8) -> Option<u64> {
        self.0.pop().map(u64::from)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, _order: u8) {
        self.0.push(first as u32);
    }

    fn set_up() -> Option<(u64, f64)> {
        let mut room = vec![1; FRAMES as usize];
        let ((), time) = microseconds(|| room.iter_mut().enumerate().for_each(|(n, slot)| *slot = n as u32));
        std::hint::black_box(&room);
        Some((4 * FRAMES, time))
    }
}
