//! The raw word of a page table, and the order in which its halves are stored.
//!
//! This is the only place where the width of an entry matters. Everything else works on `u64`.

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Release},
};

use crate::format::bit;

/// What a CPU sets in a leaf by itself: accessed and dirty (SDM vol. 3A, 4.8). Both are in the low half.
pub const MARKS: u64 = bit::ACCESSED | bit::DIRTY;

/// The raw word of a page table.
pub trait Entry: Copy + 'static {
    /// Reads the entry at `slot`.
    ///
    /// # Safety
    /// `slot` is aligned to its entry size and points into a frame that is a page table.
    unsafe fn load(slot: *const Self) -> u64;

    /// Reads the entry at `slot` as plain memory: the compiler may read several at once.
    ///
    /// # Safety
    /// As for [`load`](Self::load), and no code changes the entry meanwhile; a CPU may, but only its A and D.
    unsafe fn peek(slot: *const Self) -> u64;

    /// Writes the entry at `slot`, so that a CPU that walks the table meanwhile sees the old entry, the new
    /// one, one of them without the right to execute, or an absent one.
    ///
    /// # Safety
    /// As for [`load`](Self::load), and the caller alone changes the table.
    unsafe fn store(slot: *mut Self, value: u64);

    /// Writes the entry at `slot` as [`store`](Self::store) does. Returns which of [`MARKS`] the old one had in the end: a CPU may have
    /// set one since it was read.
    ///
    /// # Safety
    /// As for [`store`](Self::store).
    unsafe fn exchange(slot: *mut Self, value: u64) -> u64;

    /// Sets `marks`, some of [`MARKS`], in the entry at `slot`, whatever a CPU sets meanwhile.
    ///
    /// # Safety
    /// As for [`store`](Self::store).
    unsafe fn mark(slot: *mut Self, marks: u64);

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
    unsafe fn peek(slot: *const Self) -> u64 {
        // SAFETY: aligned and live by the contract, and unchanged but for bits that nobody asks for.
        unsafe { slot.read() }.into()
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU32::from_ptr(slot) }.store(value as u32, Release);
    }

    #[inline]
    unsafe fn exchange(slot: *mut Self, value: u64) -> u64 {
        // SAFETY: as in `load`.
        u64::from(unsafe { AtomicU32::from_ptr(slot) }.swap(value as u32, AcqRel)) & MARKS
    }

    #[cold]
    unsafe fn mark(slot: *mut Self, marks: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU32::from_ptr(slot) }.fetch_or(marks as u32, AcqRel);
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
    unsafe fn peek(slot: *const Self) -> u64 {
        // SAFETY: aligned and live by the contract, and unchanged but for bits that nobody asks for.
        unsafe { slot.read() }
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU64::from_ptr(slot) }.store(value, Release);
    }

    #[inline]
    unsafe fn exchange(slot: *mut Self, value: u64) -> u64 {
        // SAFETY: as in `load`.
        unsafe { AtomicU64::from_ptr(slot) }.swap(value, AcqRel) & MARKS
    }

    #[cold]
    unsafe fn mark(slot: *mut Self, marks: u64) {
        // SAFETY: as in `load`.
        unsafe { AtomicU64::from_ptr(slot) }.fetch_or(marks, AcqRel);
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
/// A kernel for the i486 has no CMPXCHG8B that could do better, and needs none: [`stores`](Halves::stores) picks an
/// order in which no CPU ever sees half of an address, or more rights than one of the two entries gives.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Halves {
    low: u32,
    high: u32,
}

/// One half of an 8-byte entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    /// Bits 31:0, with P, the rights and most of the address.
    Low,
    /// Bits 63:32, with NX and the rest of the address.
    High,
}

/// Bits 51:32 of an entry, in its high half: the part of the address that is there.
const HIGH_ADDRESS: u32 = 0x000F_FFFF;

impl Halves {
    /// The 4-byte stores, in order, that turn the entry `old` into `new`.
    ///
    /// A CPU that reads all 8 bytes between two of them finds the old entry, the new one, one of them with NX set,
    /// or an absent one. Absent where neither is, only if the two lie in different 4 GiB: that happens when a large
    /// page is split or merged.
    pub fn stores(old: u64, new: u64) -> [Option<(Half, u32)>; 3] {
        let mut stores = [None; 3];
        let mut free = stores.iter_mut();
        Self::in_order((old as u32, (old >> 32) as u32), new, |half, word| {
            if let Some(store) = free.next() {
                *store = Some((half, word));
            }
        });
        stores
    }

    /// Hands the [`stores`](Self::stores) to `put`, one after the other: a straight line where that is a store.
    #[inline(always)]
    fn in_order(old: (u32, u32), new: u64, mut put: impl FnMut(Half, u32)) {
        let (low, high) = (new as u32, (new >> 32) as u32);
        let (was, is) = (old.0 & 1 == 1, low & 1 == 1);
        let moves = (old.1 ^ high) & HIGH_ADDRESS != 0;
        if was && is && moves {
            put(Half::Low, 0);
        }
        // NX comes before whatever else the new entry permits, and goes after it.
        if is && (!was || moves || high >> 31 == 1) {
            put(Half::High, high);
            put(Half::Low, low);
        } else {
            put(Half::Low, low);
            put(Half::High, high);
        }
    }

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
    unsafe fn peek(slot: *const Self) -> u64 {
        // SAFETY: aligned and live by the contract, and unchanged but for bits that nobody asks for.
        let Self { low, high } = unsafe { slot.read() };
        u64::from(low) | u64::from(high) << 32
    }

    #[inline]
    unsafe fn store(slot: *mut Self, value: u64) {
        // SAFETY: by this function's contract.
        let (low, high) = unsafe { Self::of(slot) };
        Self::in_order((low.load(Acquire), high.load(Acquire)), value, |half, word| match half {
            Half::Low => low.store(word, Release),
            Half::High => high.store(word, Release),
        });
    }

    #[inline]
    unsafe fn exchange(slot: *mut Self, value: u64) -> u64 {
        // SAFETY: by this function's contract.
        let (low, high) = unsafe { Self::of(slot) };
        let mut marks = 0;
        Self::in_order((low.load(Acquire), high.load(Acquire)), value, |half, word| match half {
            Half::Low => marks |= low.swap(word, AcqRel),
            Half::High => high.store(word, Release),
        });
        u64::from(marks) & MARKS
    }

    #[cold]
    unsafe fn mark(slot: *mut Self, marks: u64) {
        // SAFETY: by this function's contract.
        let (low, _) = unsafe { Self::of(slot) };
        low.fetch_or(marks as u32, AcqRel);
    }

    #[inline]
    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: the frame is the caller's alone.
        unsafe { slot.write(Self { low: value as u32, high: (value >> 32) as u32 }) };
    }
}
