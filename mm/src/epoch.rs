//! How often tables were taken out of trees: what was known of tables before may lead nowhere since.

use crate::sync::{AtomicUsize, Ordering, fence};

/// A count that goes up whenever a table has been taken out of a tree, before it becomes anything else.
pub struct Epoch(AtomicUsize);

impl Epoch {
    /// The first one.
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Which one it is.
    #[inline]
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Begins the next: a table has just been taken out of its tree.
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        // Whoever sees what becomes of the table sees the new epoch, too.
        fence(Ordering::Release);
    }

    /// What `read` finds in tables that others change meanwhile. It is called again if one was taken out of a tree while it
    /// ran: it may have been there, and what it found may be what the table has become. So it has to bear whatever it reads.
    pub fn steady<R>(&self, read: impl Fn() -> R) -> R {
        loop {
            let before = self.now();
            let found = read();
            fence(Ordering::Acquire);
            if self.0.load(Ordering::Relaxed) == before {
                return found;
            }
        }
    }
}

impl Default for Epoch {
    fn default() -> Self {
        Self::new()
    }
}
