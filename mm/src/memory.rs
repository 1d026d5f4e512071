//! Physical memory as the page tables need it: where frames can be reached, and which are free.

use crate::frames::{FrameCache, Purpose};
use crate::shares::Shares;
use crate::walk::Hints;
use crate::{Frame, FrameError, Frames, MapError, PAGE_SIZE, Window};

/// The first frame above 4 GiB.
const ROOT_END: Frame = Frame(1 << 20);

/// The window and the frame allocator: everything that a change to page tables needs besides the tables.
pub struct Memory {
    /// The frames that can be reached by pointer. Page tables come from among them.
    pub window: Window,
    /// Which frames are free, but for those in the cache: what that holds counts as allocated here.
    pub frames: Frames,
    /// What single frames are dealt from. One, because one CPU changes page tables.
    cache: FrameCache,
    /// Which frames have more than one owner.
    pub(crate) shares: Shares,
    /// Where the last walks through page tables came to. Every tree is changed through the one memory that its tables come
    /// from: a hint holds good for as long as that is so.
    pub(crate) hints: Hints,
    #[cfg(feature = "inject")]
    pub(crate) injector: crate::inject::Injector,
}

impl Memory {
    /// Memory that is seen through `window` and of which `frames` are free.
    pub const fn new(window: Window, frames: Frames) -> Self {
        let cache = FrameCache::new(window.frames().end());
        Self {
            window,
            frames,
            cache,
            shares: Shares::NONE,
            hints: Hints::new(),
            #[cfg(feature = "inject")]
            injector: crate::inject::Injector::new(),
        }
    }

    /// How many frames are free, wherever they are.
    pub fn free_frames(&self) -> u64 {
        self.frames.free_frames() + self.cache.frames()
    }

    /// How many of them the cache holds.
    pub fn cached_frames(&self) -> u64 {
        self.cache.frames()
    }

    /// Whether `frame` is one of those.
    pub fn is_cached(&self, frame: Frame) -> bool {
        self.cache.holds(frame)
    }

    /// Whether `frame` is free, in the allocator or in the cache.
    pub fn is_free(&self, frame: Frame) -> bool {
        self.is_cached(frame) || self.frames.is_free(frame)
    }

    /// Takes a block. Single frames are dealt from the cache: those that may lie anywhere apart from those that may
    /// lie anywhere in the window, because the former can be moved and the latter cannot. For anything else the
    /// cache gives up what it has before memory counts as short.
    #[inline]
    pub(crate) fn alloc(&mut self, order: u8, below: Frame) -> Result<Frame, FrameError> {
        #[cfg(feature = "inject")]
        if self.injector.refuses() {
            return Err(FrameError::NoMemory);
        }
        if order == 0 && below == self.window.frames().end() {
            self.cache.alloc(&mut self.frames, Purpose::Fixed)
        } else if order == 0 && below == Frames::ANYWHERE {
            self.cache.alloc(&mut self.frames, Purpose::Movable)
        } else {
            self.cache.alloc_block(&mut self.frames, order, below)
        }
    }

    /// Gives a block back.
    #[inline]
    pub(crate) fn free(&mut self, first: Frame, order: u8) -> Result<(), FrameError> {
        self.cache.free_block(&mut self.frames, first, order)
    }

    /// A zeroed frame inside the window.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if the window has no free frame left.
    #[cold]
    pub fn table(&mut self) -> Result<Frame, MapError> {
        self.zeroed(self.window.frames().end())
    }

    /// A zeroed frame inside the window and below 4 GiB, for a root: a CPU that switches its mode, or starts, loads
    /// CR3 while it has 32 bits (SDM vol. 3A, 10.8.5.3).
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there is none.
    pub fn root_table(&mut self) -> Result<Frame, MapError> {
        self.zeroed(self.window.frames().end().min(ROOT_END))
    }

    /// A frame inside the window, with whatever was in it.
    #[inline]
    pub(crate) fn unwritten(&mut self) -> Result<Frame, MapError> {
        self.alloc(0, self.window.frames().end()).map_err(|_| MapError::NoMemory)
    }

    fn zeroed(&mut self, below: Frame) -> Result<Frame, MapError> {
        let frame = self.alloc(0, below).map_err(|_| MapError::NoMemory)?;
        // SAFETY: the allocator has just made the frame ours alone, and `at` checked that the window shows it.
        unsafe { self.window.at(frame).write_bytes(0, PAGE_SIZE as usize) };
        Ok(frame)
    }

    /// Moves the window, and with it the frame allocator's metadata, which lies in it. On x86_64 the window's place
    /// depends on the mode.
    ///
    /// # Safety
    /// The metadata's frames lie in both windows, and `window` is all that [`Window::new`] asks for.
    ///
    /// # Panics
    /// If the metadata does not lie in the present window.
    pub unsafe fn move_window(&mut self, window: Window) {
        // SAFETY: the same words, seen through the new window, by this function's contract.
        unsafe { self.frames.move_metadata(|at| window.at(self.window.frame_at(at))) };
        // The new window may end elsewhere, and with it what fixed frames may lie in. The cache goes back only now: the old
        // window is gone when the mode has changed, and the allocator's books with it.
        self.cache.drain(&mut self.frames);
        self.cache.set_reach(window.frames().end());
        self.window = window;
        self.hints.forget();
    }

    /// A sum over what `frame` holds, by which a change is noticed; `None` unless the allocator was given the frame
    /// and the window shows it.
    pub fn sum(&self, frame: Frame) -> Option<u64> {
        if !self.frames.was_given(frame) || !self.window.frames().contains(frame) {
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
