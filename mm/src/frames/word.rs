//! A word of zone metadata: one CPU at a time writes it, under the lock of the pool; any CPU reads it without.

/// How a [`Group`](super::group::Group) reads and writes its words. The model in `tests/loom.rs` has words of its own.
pub trait Cell64 {
    /// Reads the word. A CPU of 32 bits reads two halves, which may be of different ages.
    fn get(&self) -> u64;

    /// Writes the word.
    fn set(&self, value: u64);
}

/// 64 bits that are read and written with relaxed order. Why that is enough, `view.rs` says.
#[cfg(target_has_atomic = "64")]
#[repr(transparent)]
pub(super) struct Word(core::sync::atomic::AtomicU64);

#[cfg(target_has_atomic = "64")]
impl Cell64 for Word {
    #[inline(always)]
    fn get(&self) -> u64 {
        self.0.load(core::sync::atomic::Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, value: u64) {
        self.0.store(value, core::sync::atomic::Ordering::Relaxed);
    }
}

/// 64 bits as two halves, for CPUs without atomics of 64 bits. Each half is whole.
#[cfg(not(target_has_atomic = "64"))]
#[repr(transparent)]
pub(super) struct Word([core::sync::atomic::AtomicU32; 2]);

#[cfg(not(target_has_atomic = "64"))]
impl Cell64 for Word {
    #[inline(always)]
    fn get(&self) -> u64 {
        let [low, high] = &self.0;
        let half = |half: &core::sync::atomic::AtomicU32| u64::from(half.load(core::sync::atomic::Ordering::Relaxed));
        half(low) | half(high) << 32
    }

    #[inline(always)]
    fn set(&self, value: u64) {
        let [low, high] = &self.0;
        low.store(value as u32, core::sync::atomic::Ordering::Relaxed);
        high.store((value >> 32) as u32, core::sync::atomic::Ordering::Relaxed);
    }
}

/// The words of the metadata. Changes go through `&mut` [`Frames`](super::Frames); readers have a copy of the reference.
pub(super) type Words = &'static [Word];

const _: () = assert!(size_of::<Word>() == size_of::<u64>() && align_of::<Word>() <= align_of::<u64>());

/// Makes words of memory that the caller gives up for good.
pub(super) fn words(metadata: &'static mut [u64]) -> Words {
    // SAFETY: a word has the size of a `u64` and needs no larger alignment, every bit pattern is valid, and the memory is
    // reached through atomics only afterwards, as the exclusive reference is gone.
    unsafe { core::slice::from_raw_parts(metadata.as_mut_ptr().cast(), metadata.len()) }
}
