//! Addresses and frames: plain numbers with names.
//!
//! All are `u64` on both architectures: PAE reaches physical memory beyond 4 GiB from a 32-bit CPU,
//! so `usize` would be too small there. Whether a virtual address is canonical depends on the mode
//! that is live and not on the number, so that question belongs to [`PagingInfo`](crate::PagingInfo).

use core::fmt;

/// Bytes in a frame, and in the smallest page.
pub const PAGE_SIZE: u64 = 4096;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// A physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(pub u64);

/// A virtual (linear) address, in bytes; on a 32-bit CPU the upper half is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

/// A 4 KiB frame of physical memory, by number: frame `n` holds the bytes `n * 4096 .. (n + 1) * 4096`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Frame(pub u64);

impl PhysAddr {
    /// The frame that holds this byte.
    pub const fn frame(self) -> Frame {
        Frame(self.0 >> PAGE_SHIFT)
    }
}

impl VirtAddr {
    /// The address `bytes` further on, modulo 2^64.
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Whether this is the first byte of a 4 KiB page.
    pub const fn is_page_aligned(self) -> bool {
        self.0 & (PAGE_SIZE - 1) == 0
    }

    /// The first byte of the 4 KiB page that holds this byte.
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }
}

impl Frame {
    /// The physical address of the frame's first byte.
    ///
    /// A frame number needs 40 bits at most (52-bit physical addresses, SDM vol. 3A, 4.1.4), so the
    /// shift loses nothing for any frame that exists.
    pub const fn start(self) -> PhysAddr {
        PhysAddr(self.0 << PAGE_SHIFT)
    }

    /// The frame `frames` further on.
    pub const fn offset(self, frames: u64) -> Self {
        Self(self.0.wrapping_add(frames))
    }
}

/// A run of consecutive frames: `first .. first + count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameRun {
    /// The first frame.
    pub first: Frame,
    /// How many frames.
    pub count: u64,
}

impl FrameRun {
    /// The frames `first .. end`.
    pub const fn between(first: Frame, end: Frame) -> Self {
        Self { first, count: end.0.saturating_sub(first.0) }
    }

    /// The frame after the last one.
    pub const fn end(self) -> Frame {
        Frame(self.first.0.saturating_add(self.count))
    }

    /// Whether `frame` is one of them.
    pub const fn contains(self, frame: Frame) -> bool {
        frame.0 >= self.first.0 && frame.0 - self.first.0 < self.count
    }
}

/// A run of consecutive 4 KiB pages of virtual memory: `start .. start + pages * 4096`.
///
/// Nothing is checked when one is made: what is a valid range depends on the mode, and every routine
/// that takes one says precisely what is wrong with it ([`PagingInfo::check`](crate::PagingInfo::check)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageRange {
    /// The first byte of the first page.
    pub start: VirtAddr,
    /// How many 4 KiB pages.
    pub pages: u64,
}

impl PageRange {
    /// `pages` pages from `start`.
    pub const fn new(start: VirtAddr, pages: u64) -> Self {
        Self { start, pages }
    }

    /// The pages that hold the bytes `start .. end`, rounded outwards.
    pub const fn covering(start: VirtAddr, end: VirtAddr) -> Self {
        let first = start.page();
        let bytes = end.0.wrapping_sub(first.0);
        Self { start: first, pages: bytes.div_ceil(PAGE_SIZE) }
    }

    /// The last byte, modulo 2^64; of an empty range, the byte before its start.
    pub const fn last_byte(self) -> VirtAddr {
        VirtAddr(self.start.0.wrapping_add(self.pages << PAGE_SHIFT).wrapping_sub(1))
    }

    /// Whether `va` lies in one of the pages.
    pub const fn contains(self, va: VirtAddr) -> bool {
        va.0.wrapping_sub(self.start.0) >> PAGE_SHIFT < self.pages
    }
}

macro_rules! shown_in_hex {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    )*};
}
shown_in_hex!(PhysAddr, VirtAddr, Frame);
