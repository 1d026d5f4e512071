//! The frames that can be reached by pointer.

use crate::{Frame, FrameRun, PAGE_SHIFT, PhysAddr};

/// A run of frames that is mapped, in order, from one address: the aperture in the kernel, a `Vec` on the host.
///
/// It is a value and not a trait: base and bounds are all that the kernel and the host differ in, and so the
/// walker stays generic in the format alone.
pub struct Window {
    base: *mut u8,
    /// Where the byte at physical address 0 would lie, so that a walk goes from an entry to a pointer by one addition.
    origin: *mut u8,
    /// The physical address of the first frame.
    start: u64,
    /// How many frames are shown.
    count: u64,
}

// SAFETY: the window owns no thread-bound state; who may touch which frame is decided by who owns the frame.
unsafe impl Send for Window {}

impl Window {
    /// The window that shows `frames` from `base` on.
    ///
    /// # Safety
    /// Every frame of `frames` that is ever handed to [`at`](Self::at) is mapped readable and writable at its
    /// place behind `base` for as long as the window lives, and Rust references into it are made by its owner
    /// alone.
    pub const unsafe fn new(base: *mut u8, frames: FrameRun) -> Self {
        let start = frames.first.start().0;
        Self { base, origin: base.wrapping_sub(start as usize), start, count: frames.count }
    }

    /// The same window, for another CPU: it lives as long, and shows what this one shows.
    pub(crate) const fn again(&self) -> Self {
        Self { base: self.base, origin: self.origin, start: self.start, count: self.count }
    }

    /// The frames it shows.
    pub const fn frames(&self) -> FrameRun {
        FrameRun { first: PhysAddr(self.start).frame(), count: self.count }
    }

    /// Where `frame` lies.
    ///
    /// # Panics
    /// If the window does not show `frame`: tables come from the window, so one outside it means that an
    /// entry was corrupted, and nothing that is read there could be trusted.
    #[inline]
    pub fn at(&self, frame: Frame) -> *mut u8 {
        assert!(frame.0.wrapping_sub(self.start >> PAGE_SHIFT) < self.count, "a page table outside the window");
        self.origin.wrapping_add(frame.start().0 as usize)
    }

    /// Where the frame that begins at physical address `address` lies, if the window shows it and a frame begins there.
    #[inline(always)]
    pub(crate) fn frame_from(&self, address: u64) -> Option<*mut u8> {
        // Bits below the frame number become the highest ones, so that one comparison looks at all.
        let number = address.wrapping_sub(self.start).rotate_right(PAGE_SHIFT);
        (number < self.count).then(|| self.origin.wrapping_add(address as usize))
    }

    /// The frame that is shown at `at`, which must be the first byte of one.
    ///
    /// # Panics
    /// If the window shows no frame there.
    pub fn frame_at(&self, at: *const u8) -> Frame {
        let bytes = (at as usize).wrapping_sub(self.base as usize);
        let frame = self.frames().first.offset(bytes as u64 >> PAGE_SHIFT);
        assert!(self.frames().contains(frame), "an address outside the window");
        frame
    }

    /// Where the byte at `address` lies, if the window shows it.
    pub fn byte(&self, address: PhysAddr) -> Option<*mut u8> {
        let frame = address.frame();
        let offset = (address.0 - frame.start().0) as usize;
        self.frames().contains(frame).then(|| self.at(frame).wrapping_add(offset))
    }
}
