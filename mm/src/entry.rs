//! The raw word of a page table, and the order in which its halves are stored.
//!
//! This is the only place where the width of an entry matters. Everything else works on `u64`.

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

/// The raw word of a page table.
pub trait Entry: Copy + 'static {
    /// Reads the entry at `slot`.
    ///
    /// # Safety
    /// `slot` is aligned to its entry size and points into a frame that is a page table.
    unsafe fn load(slot: *const Self) -> u64;

    /// Writes the entry at `slot`, so that a CPU that walks the table meanwhile sees the old entry, the new
    /// one or an absent one. An entry that is present and stays so keeps its frame: unmap first.
    ///
    /// # Safety
    /// As for [`load`](Self::load), and the caller alone changes the table.
    unsafe fn store(slot: *mut Self, value: u64);

    /// Writes the entry at `slot` of a table that no CPU can reach yet. Without the order that
    /// [`store`](Self::store) keeps, the compiler may write several entries at once.
    ///
    /// # Safety
    /// `slot` is aligned to its entry size and points into a frame that is the caller's alone.
    unsafe fn prepare(slot: *mut Self, value: u64);
}

/// The 4-byte entries of pml2.
impl Entry for u32 {
    #[inline]
    unsafe fn load(slot: *const Self) -> u64 {
        // SAFETY: aligned and live by the contract; tables are only accessed atomically once they are linked.
        unsafe { AtomicU32::from_ptr(slot.cast_mut()) }.load(Acquire).into()
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU32::from_ptr(slot) }.store(value as u32, Release);
    }

    #[inline]
    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: the frame is the caller's alone.
        unsafe { slot.write(value as u32) };
    }
}

/// The 8-byte entries of pml4 and pml5: their CPUs store 8 bytes at once.
#[cfg(target_has_atomic = "64")]
impl Entry for u64 {
    #[inline]
    unsafe fn load(slot: *const Self) -> u64 {
        // SAFETY: aligned and live by the contract; tables are only accessed atomically once they are linked.
        unsafe { AtomicU64::from_ptr(slot.cast_mut()) }.load(Acquire)
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU64::from_ptr(slot) }.store(value, Release);
    }

    #[inline]
    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: the frame is the caller's alone.
        unsafe { slot.write(value) };
    }
}

/// The entries of pml4 and pml5. Where the CPU cannot store 8 bytes at once, those modes are only shapes to
/// compute with, and their entries are stored as pml3's are.
#[cfg(target_has_atomic = "64")]
pub type Wide = u64;
/// The entries of pml4 and pml5 on a CPU that stores 4 bytes at once.
#[cfg(not(target_has_atomic = "64"))]
pub type Wide = Halves;

/// The 8-byte entries of pml3, whose CPUs store 4 bytes at once.
///
/// The present bit lies in the low half. It is stored last when an entry becomes present and first when it
/// goes, so that no CPU ever sees one half of an address. A kernel for the i486 has no CMPXCHG8B that could
/// do better, and needs none: a present entry changes its flags only.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Halves {
    low: u32,
    high: u32,
}

impl Halves {
    /// # Safety
    /// As for [`Entry::load`].
    unsafe fn of<'a>(slot: *mut Self) -> (&'a AtomicU32, &'a AtomicU32) {
        // SAFETY: both halves are aligned and live by the contract, and only accessed atomically.
        unsafe { (AtomicU32::from_ptr(&raw mut (*slot).low), AtomicU32::from_ptr(&raw mut (*slot).high)) }
    }
}

impl Entry for Halves {
    #[inline]
    unsafe fn load(slot: *const Self) -> u64 {
        // SAFETY: by this function's contract.
        let (low, high) = unsafe { Self::of(slot.cast_mut()) };
        loop {
            let before = low.load(Acquire);
            let upper = high.load(Acquire);
            // Another CPU may have changed the entry between the halves; then the low one has changed too.
            if low.load(Acquire) == before {
                return u64::from(before) | u64::from(upper) << 32;
            }
        }
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: by this function's contract.
        let (low, high) = unsafe { Self::of(slot) };
        if value & 1 == 0 {
            low.store(value as u32, Release);
            high.store((value >> 32) as u32, Release);
        } else {
            high.store((value >> 32) as u32, Release);
            low.store(value as u32, Release);
        }
    }

    #[inline]
    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: the frame is the caller's alone.
        unsafe { slot.write(Self { low: value as u32, high: (value >> 32) as u32 }) };
    }
}
