//! What CPUs that change one tree share, in every order that the memory model allows: `just test-loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use mm::frames::{Cell64, Group};
use mm::{Claims, Epoch};

/// Pieces of a tree under two locks. Loom ends the model if two CPUs touch one without the one's seeing the other's end.
struct Tree {
    claims: Claims<2>,
    pieces: [UnsafeCell<u32>; 2],
}

// SAFETY: loom itself sees to the cells.
unsafe impl Sync for Tree {}
// SAFETY: as above.
unsafe impl Send for Tree {}

impl Tree {
    fn new() -> Self {
        Self { claims: Claims::new(), pieces: [UnsafeCell::new(0), UnsafeCell::new(0)] }
    }

    /// Changes pieces from number `first` to number `last`: 0 and 1 do not share a lock.
    fn change(&self, first: usize, last: usize) {
        let _claim = self.claims.claim(first as u64, last as u64);
        for piece in &self.pieces[first..=last] {
            // SAFETY: loom looks whether somebody else does.
            piece.with_mut(|value| unsafe { *value += 1 });
        }
    }
}

#[test]
fn pieces_that_are_claimed_are_one_cpus() {
    loom::model(|| {
        let tree = Arc::new(Tree::new());
        let other = {
            let tree = Arc::clone(&tree);
            thread::spawn(move || {
                tree.change(0, 1);
                tree.change(1, 1);
            })
        };
        tree.change(0, 0);
        tree.change(0, 1);
        other.join().expect("the other CPU ends");
        // SAFETY: as above.
        let counts = [0, 1].map(|n: usize| tree.pieces[n].with(|value| unsafe { *value }));
        assert_eq!(counts, [3, 3]);
    });
}

/// A table that is taken out and becomes something else while another CPU follows the entry that named it.
#[test]
fn nobody_believes_a_table_that_has_become_something_else() {
    const TABLE: usize = 1;
    const RIGHT: usize = 7;
    const WRONG: usize = 9;
    loom::model(|| {
        let tree = Arc::new((Epoch::new(), AtomicUsize::new(TABLE), AtomicUsize::new(RIGHT)));
        let other = {
            let tree = Arc::clone(&tree);
            thread::spawn(move || {
                let (epoch, entry, word) = &*tree;
                entry.store(0, Ordering::Release);
                epoch.begin();
                word.store(WRONG, Ordering::Relaxed);
            })
        };
        let (epoch, entry, word) = &*tree;
        let found = epoch.steady(|| match entry.load(Ordering::Acquire) {
            TABLE => Some(word.load(Ordering::Acquire)),
            _ => None,
        });
        assert_ne!(found, Some(WRONG));
        other.join().expect("the other CPU ends");
    });
}

/// A word of zone metadata as a CPU of 32 bits has it: two halves, each of them whole.
struct Halves([AtomicU32; 2]);

impl Cell64 for Halves {
    fn get(&self) -> u64 {
        let [low, high] = &self.0;
        u64::from(low.load(Ordering::Relaxed)) | u64::from(high.load(Ordering::Relaxed)) << 32
    }

    fn set(&self, value: u64) {
        let [low, high] = &self.0;
        low.store(value as u32, Ordering::Relaxed);
        high.store((value >> 32) as u32, Ordering::Relaxed);
    }
}

/// A group of frames and the lock under which it is changed.
struct Metadata {
    units: [Halves; 2],
    lock: Mutex<()>,
}

impl Metadata {
    fn new(group: Group) -> Self {
        let word = |value: u64| Halves([AtomicU32::new(value as u32), AtomicU32::new((value >> 32) as u32)]);
        Self { units: [word(group.free), word(group.head)], lock: Mutex::new(()) }
    }

    fn change(&self, change: impl FnOnce(&mut Group)) {
        let _lock = self.lock.lock().expect("no thread panics");
        let mut group = Group::read(&self.units);
        change(&mut group);
        group.write(&self.units);
    }

    /// Whether the block of `class` at `bit` is allocated, as a cache asks: a refusal is asked again with the lock held.
    fn check(&self, bit: u32, class: u32) -> bool {
        Group::read(&self.units).holds(bit, class) || {
            let _lock = self.lock.lock().expect("no thread panics");
            Group::read(&self.units).holds(bit, class)
        }
    }
}

/// The pair at 30, and the frame at 32, which is in the other half of both words, are allocated. All else is free.
const PAIR_AND_FRAME: Group = Group { free: !(7 << 30), head: 5 << 30 };

#[test]
fn an_owner_finds_its_block_allocated_whatever_happens_to_the_neighbours() {
    loom::model(|| {
        let metadata = Arc::new(Metadata::new(PAIR_AND_FRAME));
        let other = {
            let metadata = Arc::clone(&metadata);
            thread::spawn(move || {
                metadata.change(|group| {
                    group.free |= 1 << 32;
                    group.head &= !(1 << 32);
                });
            })
        };
        assert!(metadata.check(30, 1), "the block is the owner's");
        assert!(!metadata.check(30, 0) && !metadata.check(31, 0), "half of it is no block");
        other.join().expect("the other CPU ends");
    });
}

#[test]
fn who_is_handed_a_block_finds_it_allocated_and_who_gave_it_back_does_not() {
    loom::model(|| {
        let metadata = Arc::new((Metadata::new(Group { free: !0, head: 0 }), AtomicBool::new(false)));
        let other = {
            let metadata = Arc::clone(&metadata);
            thread::spawn(move || {
                let (metadata, handed) = &*metadata;
                metadata.change(|group| {
                    group.free &= !(3 << 30);
                    group.head |= 1 << 30;
                });
                handed.store(true, Ordering::Release);
            })
        };
        let (metadata, handed) = &*metadata;
        if handed.load(Ordering::Acquire) {
            // Nothing changes any more: the first look has to do.
            assert!(Group::read(&metadata.units).holds(30, 1));
            metadata.change(|group| {
                group.free |= 3 << 30;
                group.head &= !(1 << 30);
            });
            assert!(!metadata.check(30, 1), "a second free is refused");
        }
        other.join().expect("the other CPU ends");
    });
}
