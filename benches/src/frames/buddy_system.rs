//! `buddy_system_allocator::FrameAllocator`: a tree of free blocks for each order.

use buddy_system_allocator::FrameAllocator as Frames;

use super::{FRAMES, FrameAllocator, microseconds};

/// Orders 0 to 18.
pub struct Buddy(Frames<19>);

fn made() -> Frames<19> {
    let mut frames = Frames::new();
    frames.add_frame(0, FRAMES as usize);
    frames
}

impl FrameAllocator for Buddy {
    fn new() -> Self {
        Self(made())
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        self.0.alloc(1 << order).map(|first| first as u64)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        self.0.dealloc(first as usize, 1 << order);
    }

    fn set_up() -> Option<(u64, f64)> {
        // Its trees grow on the host's heap with use.
        let (_, time) = microseconds(made);
        Some((0, time))
    }
}
