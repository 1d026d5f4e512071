//! Physical memory as the page tables need it: where frames can be reached, and which are free.
//!
//! One CPU has one [`Memory`], which owns all that it needs. Several have one each: [`Memory::pooled`] makes the first of them, and
//! [`Memory::another`] every other one (`pool.rs`).

use crate::blanks::Blanks;
use crate::frames::{FrameCache, Purpose};
use crate::pool::{Home, Pool};
use crate::walk::Hints;
use crate::{Frame, FrameError, Frames, MapError, PAGE_SIZE, Window};

/// The first frame above 4 GiB.
const ROOT_END: Frame = Frame(1 << 20);

/// The window and the frame allocator: everything that a change to page tables needs besides the tables.
pub struct Memory {
    /// The frames that can be reached by pointer. Page tables come from among them.
    pub window: Window,
    /// Which frames are free, but for those in caches: what they hold counts as allocated there. And who shares frames.
    pub(crate) home: Home,
    /// What single frames are dealt from.
    cache: FrameCache,
    /// Frames for tables to come.
    pub(crate) blanks: Blanks,
    /// Where the last walks through page tables came to.
    pub(crate) hints: Hints,
}

impl Memory {
    /// Memory that is seen through `window` and of which `frames` are free.
    pub const fn new(window: Window, frames: Frames) -> Self {
        let cache = FrameCache::new(window.frames().end());
        Self { window, home: Home::new(frames), cache, blanks: Blanks::NONE, hints: Hints::new() }
    }

    /// This memory, its books where those of other CPUs find them: `keep` has them kept for good.
    pub fn pooled(self, keep: impl FnOnce(Pool) -> &'static Pool) -> Self {
        Self { home: Home::Pool(self.home.share(keep)), ..self }
    }

    /// A memory for another CPU: the same frames behind the same window. `None` if the books are this one's alone.
    pub fn another(&self) -> Option<Self> {
        let window = self.window.again();
        let cache = FrameCache::new(window.frames().end());
        Some(Self { window, home: Home::Pool(self.home.pool()?), cache, blanks: Blanks::NONE, hints: Hints::new() })
    }

    /// What this memory has in common with those of other CPUs; `None` if it is alone.
    pub const fn pool(&self) -> Option<&'static Pool> {
        self.home.pool()
    }

    /// Does `work` with the allocator behind the caches, to which free frames in caches count as allocated.
    pub fn with_frames<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
        self.home.with(|books| work(&mut books.frames))
    }

    /// Looks at the allocator behind the caches.
    pub fn look_at_frames<R>(&self, look: impl FnOnce(&Frames) -> R) -> R {
        self.home.look(|books| look(&books.frames))
    }

    /// How many frames are free, wherever they are.
    pub fn free_frames(&self) -> u64 {
        self.look_at_frames(Frames::free_frames) + self.cached_frames()
    }

    /// How many of them caches hold: this CPU's and those of the others. Those that were zeroed ahead are among them.
    pub fn cached_frames(&self) -> u64 {
        let mut sum = self.at_hand();
        self.home.peers(false, &mut |other| sum += other.at_hand());
        sum
    }

    /// How many this CPU has.
    fn at_hand(&self) -> u64 {
        self.cache.frames() + self.blanks.frames().len() as u64
    }

    /// Whether `frame` is among these.
    fn has_at_hand(&self, frame: Frame) -> bool {
        self.cache.holds(frame) || self.blanks.frames().contains(&frame)
    }

    /// Whether `frame` is one of those.
    pub fn is_cached(&self, frame: Frame) -> bool {
        let mut cached = self.has_at_hand(frame);
        if !cached {
            self.home.peers(false, &mut |other| cached |= other.has_at_hand(frame));
        }
        cached
    }

    /// Whether `frame` is free, in the allocator or in a cache.
    pub fn is_free(&self, frame: Frame) -> bool {
        self.look_at_frames(|frames| frames.is_free(frame)) || self.is_cached(frame)
    }

    /// Gives what is at hand back to the allocator, where every CPU finds it.
    pub fn drain(&mut self) {
        while let Some(frame) = self.blanks.pop() {
            self.give_back(frame);
        }
        let cache = &mut self.cache;
        self.home.with(|books| cache.drain(&mut books.frames));
    }

    /// Has every CPU forget where walks came to: a table was taken out of a tree, or an entry written that nobody foresaw.
    pub(crate) fn forget_hints(&self) {
        self.hints.forget();
        if let Home::Pool(pool) = &self.home {
            pool.epoch().begin();
        }
    }

    /// Forgets where walks came to if another CPU has had all forget it since. To be called by whoever has got the right to
    /// change a tree, before its hints are used.
    #[inline(always)]
    pub(crate) fn catch_up(&self) {
        if let Home::Pool(pool) = &self.home {
            self.hints.catch_up(pool.epoch().now());
        }
    }

    /// What `look` finds in tables that other CPUs change meanwhile; see [`Epoch::steady`](crate::Epoch::steady).
    pub(crate) fn steady<R>(&self, look: impl Fn() -> R) -> R {
        match &self.home {
            Home::Pool(pool) => pool.epoch().steady(look),
            // There is no other CPU.
            Home::Own(..) => look(),
        }
    }

    /// Takes a block. Single frames are dealt from the cache: those that may lie anywhere apart from those that may
    /// lie anywhere in the window, because the former can be moved and the latter cannot. For anything else the
    /// cache gives up what it has before memory counts as short.
    #[inline]
    pub(crate) fn alloc(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        if self.is_refused() { Err(FrameError::NoMemory) } else { self.alloc_anyhow(order, below) }
    }

    /// The same, even if the request is one that is to fail.
    #[inline]
    pub(crate) fn alloc_anyhow(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        match self.alloc_here(order, below) {
            Err(FrameError::NoMemory) => self.alloc_from_others(order, below),
            told => told,
        }
    }

    /// Whether this request is one of those that are to fail, in builds where that can be ordered.
    #[inline(always)]
    pub(crate) fn is_refused(&mut self) -> bool {
        #[cfg(feature = "inject")]
        return self.home.with(|books| books.injector.refuses());
        #[cfg(not(feature = "inject"))]
        false
    }

    #[inline]
    pub(crate) fn alloc_here(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        if order == 0 && below == self.window.frames().end() {
            self.cache.alloc(&mut self.home, Purpose::Fixed)
        } else if order == 0 && below == Frames::ANYWHERE {
            self.cache.alloc(&mut self.home, Purpose::Movable)
        } else {
            self.cache.alloc_block(&mut self.home, order, below)
        }
    }

    /// The same after this CPU and the others have given up what they have at hand.
    #[cold]
    fn alloc_from_others(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        self.drain();
        self.home.peers(true, &mut Self::drain);
        self.alloc_here(order, below)
    }

    /// Gives a block back.
    #[inline]
    pub(crate) fn free(&mut self, first: Frame, order: u8) -> Result<(), FrameError> {
        self.cache.free_block(&mut self.home, first, order)
    }

    /// A zeroed frame inside the window.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if the window has no free frame left.
    #[cold]
    pub fn table(&mut self) -> Result<Frame, MapError> {
        self.blank()
    }

    /// A zeroed frame inside the window and below 4 GiB, for a root: a CPU that switches its mode, or starts, loads
    /// CR3 while it has 32 bits (SDM vol. 3A, 10.8.5.3).
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there is none.
    pub fn root_table(&mut self) -> Result<Frame, MapError> {
        let below = self.window.frames().end().min(ROOT_END);
        let frame = self.alloc(0, below).map_err(|_| MapError::NoMemory)?;
        self.zero(frame);
        Ok(frame)
    }

    /// A frame inside the window, with whatever was in it.
    #[inline]
    pub(crate) fn unwritten(&mut self) -> Result<Frame, MapError> {
        self.alloc(0, self.window.frames().end()).map_err(|_| MapError::NoMemory)
    }

    /// Moves the window, and with it the frame allocator's metadata, which lies in it. On x86_64 the window's place
    /// depends on the mode. The memories of other CPUs [follow](Self::follow_window).
    ///
    /// # Safety
    /// The metadata's frames lie in both windows, and `window` is all that [`Window::new`] asks for.
    ///
    /// # Panics
    /// If the metadata does not lie in the present window.
    pub unsafe fn move_window(&mut self, window: Window) {
        let old = &self.window;
        self.home.with(|books| {
            // SAFETY: the same words, seen through the new window, by this function's contract.
            unsafe { books.frames.move_metadata(|at| window.at(old.frame_at(at))) };
        });
        // SAFETY: by this function's contract.
        unsafe { self.follow_window(window) };
    }

    /// Looks through another window from now on, to which the memory of another CPU has moved the allocator's metadata.
    ///
    /// # Safety
    /// `window` is all that [`Window::new`] asks for.
    pub unsafe fn follow_window(&mut self, window: Window) {
        // The new window may end elsewhere, and with it what fixed frames may lie in. The cache goes back only now: the old
        // window is gone when the mode has changed, and the allocator's metadata is where the new one shows it.
        self.cache.invalidate_view();
        self.drain();
        self.cache.set_reach(window.frames().end());
        self.window = window;
        self.hints.forget();
    }

    /// A sum over what `frame` holds, by which a change is noticed; `None` unless the allocator was given the frame
    /// and the window shows it.
    pub fn sum(&self, frame: Frame) -> Option<u64> {
        if !self.look_at_frames(|frames| frames.was_given(frame)) || !self.window.frames().contains(frame) {
            return None;
        }
        let words = self.window.at(frame).cast::<u64>();
        Some((0..PAGE_SIZE as usize / 8).fold(0, |sum: u64, at| {
            // SAFETY: RAM that the window shows; whoever owns it, reading a word of it changes nothing.
            sum.rotate_left(7).wrapping_add(unsafe { words.add(at).read_volatile() })
        }))
    }

    /// Takes back a frame that [`table`](Self::table) gave.
    ///
    /// # Panics
    /// If the frame is free already: two owners of one page table is a state in which nothing is safe.
    #[inline]
    pub fn give_back(&mut self, frame: Frame) {
        if let Err(error) = self.free(frame, 0) {
            panic!("page table {frame} given back: {error}");
        }
    }
}
