//! Parts of one tree that several CPUs change at once.
//!
//! A tree is cut into pieces of a fixed size, and whoever changes pages claims the pieces that they lie in. Those who claim different
//! pieces go on side by side; who claims one that is taken waits until it is given back.
//!
//! There may be more pieces than fit anywhere, so a few dozen of them share a lock. Which, a multiplication says that spreads
//! neighbours and those a power of two apart. Each lock has a cache line for itself: CPUs that meet nobody share nothing.
//!
//! Nobody waits for ever: a claim takes its locks in the order of their places, and whoever has one claims nothing more before it is
//! given back.

use crate::sync::{AtomicBool, Ordering, spin_loop};

/// The locks of a tree, `N` of them, at most 64. All bytes zero is a value: nothing is claimed.
#[repr(C)]
pub struct Claims<const N: usize = 64> {
    locks: [Line; N],
}

/// A lock alone in its cache line.
#[repr(C, align(64))]
struct Line(AtomicBool);

/// Pieces that nobody else has until this value is gone.
#[must_use = "what is not held is not claimed"]
pub struct Claim<'a> {
    locks: &'a [Line],
    /// Which of them are held.
    held: u64,
}

impl<const N: usize> Claims<N> {
    /// Locks of which none is held.
    pub fn new() -> Self {
        Self { locks: core::array::from_fn(|_| Line(AtomicBool::new(false))) }
    }

    /// Waits until nobody has any of the pieces from number `first` to number `last`, and has them from then on.
    ///
    /// An interrupt that waits for whoever has them must find this CPU willing: not with interrupts off.
    pub fn claim(&self, first: u64, last: u64) -> Claim<'_> {
        // So many neighbours have all locks between them, or nearly so.
        let wanted = if last - first >= N as u64 {
            u64::MAX >> (64 - N)
        } else {
            (first..=last).fold(0, |wanted, piece| wanted | 1 << place::<N>(piece))
        };
        let mut claim = Claim { locks: &self.locks, held: 0 };
        for place in places_of(wanted) {
            self.locks[place].take();
            claim.held |= 1 << place;
        }
        claim
    }
}

impl<const N: usize> Default for Claims<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Which lock a piece has.
fn place<const N: usize>(piece: u64) -> u32 {
    const { assert!(N > 1 && N.is_power_of_two() && N <= 64) };
    // 2^64 divided by the golden ratio: the topmost bits of the product are spread best (Knuth, vol. 3, 6.4).
    (piece.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - N.trailing_zeros())) as u32
}

/// The places of the bits that are set, in their order: mostly there is one.
fn places_of(mut set: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let place = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        place
    })
}

impl Line {
    fn take(&self) {
        while self.0.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // To look leaves the line to whoever has it.
            while self.0.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        places_of(self.held).for_each(|place| self.locks[place].0.store(false, Ordering::Release));
    }
}
