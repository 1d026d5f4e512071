//! What the memories of several CPUs have in common.
//!
//! Each CPU has a [`Memory`] of its own: a window, a cache of free frames, and hints to the tables that it came to last. Nobody
//! else uses it, so most calls meet nobody. What there is but once is here: which frames are free, and who shares them.
//!
//! ```text
//!   Memory of CPU 0 ---.                 Pool
//!   Memory of CPU 1 ----+--- books: Frames, the buddy     a lock, held while a cache is filled or emptied
//!   Memory of CPU 2 ---'     shares: who owns what twice  a lock, outside the other
//! ```
//!
//! Both locks are taken inside of whatever guards a CPU's memory, `shares` before `books`, and nothing else is waited for with
//! one of them held. Not in an interrupt, so that they can be taken with interrupts on.
//!
//! Who has the only memory there is pays for none of this: then both are part of it ([`Home::Own`]).

use spin::{Mutex, Once};

use crate::frames::Depot;
use crate::shares::Shares;
use crate::{Epoch, Frames, Memory};

/// The memories of the other CPUs, as the memory of one reaches them.
pub trait Peers: Sync {
    /// Shows `visit` the memory of every other CPU, one at a time, but for those that are in use for too long. `drained` says that
    /// nothing is in the cache of the one that asks: then none of the others need wait for it who asks the same.
    fn each(&self, drained: bool, visit: &mut dyn FnMut(&mut Memory));
}

/// Frames, and their owners, that the memories of several CPUs have in common.
pub struct Pool {
    books: Mutex<Books>,
    shares: Mutex<Shares>,
    /// How often tables were taken out of a tree, or entries written by force: hints from before may lead nowhere.
    epoch: Line<Epoch>,
    peers: Once<&'static dyn Peers>,
}

/// What no other value shares its cache line with: every change of a tree looks at it, and a lock beside it is written by all.
#[repr(align(128))]
struct Line<T>(T);

impl Pool {
    /// Says how the memory of one CPU reaches those of the others; before, it goes without.
    pub fn set_peers(&self, peers: &'static dyn Peers) {
        self.peers.call_once(|| peers);
    }

    /// How often hints have had to be forgotten. With the next one the memories of all CPUs forget theirs, before they are used.
    #[inline]
    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch.0
    }
}

/// What is written down of every frame.
pub(crate) struct Books {
    pub frames: Frames,
    #[cfg(feature = "inject")]
    pub injector: crate::inject::Injector,
}

/// Where the books of a memory are.
#[expect(clippy::large_enum_variant, reason = "there is no heap to put them in, and but few memories")]
pub(crate) enum Home {
    /// In itself: there is no other memory.
    Own(Books, Shares),
    /// Where other CPUs find them too.
    Pool(&'static Pool),
}

impl Home {
    /// A home for the books of one memory.
    pub const fn new(frames: Frames) -> Self {
        let books = Books {
            frames,
            #[cfg(feature = "inject")]
            injector: crate::inject::Injector::new(),
        };
        Self::Own(books, Shares::NONE)
    }

    /// Moves the books to where other CPUs find them. `keep` has the pool kept for good.
    pub fn share(self, keep: impl FnOnce(Pool) -> &'static Pool) -> &'static Pool {
        match self {
            Self::Pool(pool) => pool,
            Self::Own(books, shares) => {
                let (books, shares) = (Mutex::new(books), Mutex::new(shares));
                keep(Pool { books, shares, epoch: Line(Epoch::new()), peers: Once::new() })
            }
        }
    }

    /// The pool, if there is one.
    #[inline]
    pub const fn pool(&self) -> Option<&'static Pool> {
        match self {
            Self::Own(..) => None,
            Self::Pool(pool) => Some(pool),
        }
    }

    /// Does `work` while nobody else uses the books.
    #[inline]
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Books) -> R) -> R {
        match self {
            Self::Own(books, _) => work(books),
            Self::Pool(pool) => work(&mut pool.books.lock()),
        }
    }

    /// Looks into the books.
    #[inline]
    pub fn look<R>(&self, look: impl FnOnce(&Books) -> R) -> R {
        match self {
            Self::Own(books, _) => look(books),
            Self::Pool(pool) => look(&pool.books.lock()),
        }
    }

    /// Shows `visit` the memory of every other CPU.
    pub fn peers(&self, drained: bool, visit: &mut dyn FnMut(&mut Memory)) {
        if let Some(peers) = self.pool().and_then(|pool| pool.peers.get()) {
            peers.each(drained, visit);
        }
    }
}

impl Depot for Home {
    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
        Home::with(self, |books| work(&mut books.frames))
    }
}

impl Memory {
    /// Does `work` with the root of the share counts, while nobody else changes them.
    pub(crate) fn with_shares<R>(&mut self, work: impl FnOnce(&mut Self, &mut Shares) -> R) -> R {
        match &self.home {
            Home::Pool(pool) => {
                let pool: &'static Pool = pool;
                work(self, &mut pool.shares.lock())
            }
            Home::Own(_, shares) => {
                let mut shares = *shares;
                let result = work(self, &mut shares);
                if let Home::Own(_, old) = &mut self.home {
                    *old = shares;
                }
                result
            }
        }
    }

    /// Looks at the root of the share counts.
    pub(crate) fn look_at_shares<R>(&self, look: impl FnOnce(&Self, &mut Shares) -> R) -> R {
        match &self.home {
            Home::Pool(pool) => {
                let shares = pool.shares.lock();
                look(self, &mut { *shares })
            }
            Home::Own(_, shares) => look(self, &mut { *shares }),
        }
    }
}
