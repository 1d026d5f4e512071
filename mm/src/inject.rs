//! Failure on purpose, in test builds: the feature `inject`.
//!
//! Whoever asks for frames has to cope with getting none, at every single request. To see that it does, requests are
//! counted here, and from a given one on each is refused as if nothing were free, neither in the cache nor behind it.

use crate::Memory;

/// How many requests are still met, and what became of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injector {
    /// `None`: all.
    left: Option<u64>,
    met: u64,
    refused: u64,
}

impl Injector {
    /// Refuses nothing.
    pub const fn new() -> Self {
        Self { left: None, met: 0, refused: 0 }
    }

    /// Counts a request; tells whether it is to be refused.
    pub fn refuses(&mut self) -> bool {
        let refuses = self.left == Some(0);
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.met += u64::from(!refuses);
        self.refused += u64::from(refuses);
        refuses
    }
}

impl Memory {
    /// Refuses every request from now on but the next `requests`, of whichever CPU; none any more if there is no number.
    ///
    /// Returns how many requests were met since this was called last, and how many were refused.
    pub fn fail_after(&mut self, requests: Option<u64>) -> (u64, u64) {
        let before = self
            .home
            .with(|books| core::mem::replace(&mut books.injector, Injector { left: requests, ..Injector::new() }));
        (before.met, before.refused)
    }
}
