//! What CPUs that change one tree share, in every order that the memory model allows: `just test-loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
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
