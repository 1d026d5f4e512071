//! `bitmap_allocator`: a tree of 16-bit words, lowest first. Blocks larger than a frame are found by a search.

use bitmap_allocator::{BitAlloc, BitAlloc16M};

use super::{FRAMES, FrameAllocator, microseconds};

/// Of the 16M frames that the type is for, the first 4M are free.
pub struct Bitmap(Box<BitAlloc16M>);

impl FrameAllocator for Bitmap {
    const ORDERS: bool = false;

    fn new() -> Self {
        let mut bits: Box<BitAlloc16M> = Box::default();
        bits.insert(0..FRAMES as usize);
        Self(bits)
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        match order {
            0 => self.0.alloc(),
            _ => self.0.alloc_contiguous(None, 1 << order, usize::from(order)),
        }
        .map(|first| first as u64)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        match order {
            0 => assert!(self.0.dealloc(first as usize)),
            _ => assert!(self.0.dealloc_contiguous(first as usize, 1 << order)),
        }
    }

    fn set_up() -> Option<(u64, f64)> {
        let mut bits: Box<BitAlloc16M> = Box::default();
        let ((), time) = microseconds(|| bits.insert(0..FRAMES as usize));
        // A quarter of the type's room serves the 4M frames.
        Some((size_of::<BitAlloc16M>() as u64 / 4, time))
    }
}
