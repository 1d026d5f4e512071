//! Physical memory: a piece of the host's, poisoned.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Bytes in a frame. The machine repeats its numbers on purpose and takes none from the crate under test.
const FRAME: usize = 4096;

/// Frames of physical memory in a row, the first of which is not frame 0.
///
/// All access goes through raw pointers: the walker has the same bytes in its window. Every frame begins as
/// 0xFF, which reads as a present entry with every right and every reserved bit, so that a table which was
/// never zeroed is noticed at once.
pub struct Arena {
    base: *mut u8,
    first: u64,
    frames: usize,
}

// SAFETY: the arena is only bytes; one test thread at a time uses it.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// `frames` frames from frame number `first` on.
    pub fn new(first: u64, frames: usize) -> Self {
        let layout = Self::layout(frames);
        // SAFETY: the layout is never empty.
        let base = unsafe { alloc(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: the whole block was just allocated.
        unsafe { base.write_bytes(0xFF, layout.size()) };
        Self { base, first, frames }
    }

    /// At least one frame, so that a machine without memory has an address too.
    fn layout(frames: usize) -> Layout {
        Layout::from_size_align(frames.max(1) * FRAME, FRAME).expect("a few frames make a valid layout")
    }

    /// Where the first frame lies on the host.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Whether frame number `frame` is part of this memory.
    pub fn contains(&self, frame: u64) -> bool {
        frame.wrapping_sub(self.first) < self.frames as u64
    }

    /// The little-endian word of `bytes` bytes at physical address `at`.
    pub fn read(&self, at: u64, bytes: usize) -> u64 {
        let from = self.place(at, bytes);
        match bytes {
            // SAFETY: `place` checked bounds and alignment.
            4 => u64::from(unsafe { from.cast::<u32>().read_volatile() }),
            // SAFETY: as above.
            _ => unsafe { from.cast::<u64>().read_volatile() },
        }
    }

    /// Puts a word of `bytes` bytes at physical address `at`.
    pub fn write(&self, at: u64, bytes: usize, word: u64) {
        let to = self.place(at, bytes);
        match bytes {
            // SAFETY: `place` checked bounds and alignment.
            4 => unsafe { to.cast::<u32>().write_volatile(word as u32) },
            // SAFETY: as above.
            _ => unsafe { to.cast::<u64>().write_volatile(word) },
        }
    }

    /// Sets bits in the low 4 bytes of the entry at physical address `at`, as a CPU sets A and D.
    pub fn set_bits(&self, at: u64, bits: u32) {
        let to = self.place(at, 4).cast::<u32>();
        // SAFETY: `place` checked bounds and alignment.
        unsafe { to.write_volatile(to.read_volatile() | bits) };
    }

    /// The bytes of a frame, copied.
    pub fn copy(&self, frame: u64) -> Vec<u64> {
        let from = self.place(frame << 12, FRAME).cast::<u64>();
        // SAFETY: `place` checked that the frame lies inside.
        (0..FRAME / 8).map(|n| unsafe { from.add(n).read_volatile() }).collect()
    }

    /// Fills a frame with 0xFF again.
    pub fn poison(&self, frame: u64) {
        // SAFETY: `place` checked that the frame lies inside.
        unsafe { self.place(frame << 12, FRAME).write_bytes(0xFF, FRAME) };
    }

    fn place(&self, at: u64, bytes: usize) -> *mut u8 {
        assert!(self.contains(at >> 12), "the CPU reads {at:#x}, where there is no memory");
        assert!(at.is_multiple_of(bytes as u64), "a torn read at {at:#x}");
        self.base.wrapping_add((at - (self.first << 12)) as usize)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.base, Self::layout(self.frames)) };
    }
}
