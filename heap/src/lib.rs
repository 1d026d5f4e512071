//! The byte heap: what is small comes from slabs of equal objects, what is large from `buddy_system_allocator`.
//!
//! ```text
//!   Layout -- class, up to 2 KiB --> Slabs:   a list of slabs with room for each of 24 sizes
//!          -- larger --------------> buddy:   lists of free blocks by power of two
//!                                      \----> Source: blocks of pages, 16 KiB for a slab
//! ```
//!
//! The buddy alone would do, were there few objects: a free of its looks for the freed block's buddy by walking the
//! list of all free blocks of that size, so that a million small objects freed in a random order take hours. In a
//! slab a free is a push: the slab is found by rounding the address down, and nothing is looked for (`slab.rs`). A
//! slab that nothing is left in goes back to where it came from, but for a few (`slabs.rs`). Large blocks are few, and what
//! the buddy got for them it keeps.
//!
//! There is no lock in here: every change takes `&mut self`. Out of memory is `None`.
#![no_std]

pub mod class;
mod slab;
mod slabs;

pub use slabs::SPARE;

use core::alloc::Layout;
use core::ptr::NonNull;

use buddy_system_allocator::Heap as Buddy;
use slabs::Slabs;

/// Bytes in a page: what a [`Source`] counts in.
pub const PAGE: usize = 4096;

/// log2 of the pages in a slab.
pub const SLAB_ORDER: u8 = 2;

/// One more than log2 of the largest allocation, in bytes.
const ORDERS: usize = 28;

/// The buddy grows by at least so much: log2 of pages.
const LEAST_GROWTH: u32 = 4;

/// Where a heap gets its pages from.
///
/// # Safety
/// What [`take`](Self::take) gives is readable, writable and nobody else's until [`give`](Self::give) takes it back, and
/// begins at a multiple of its size.
pub unsafe trait Source {
    /// Takes 2^`order` pages, with whatever was in them. `None` if there are none, or if they cannot be had now.
    fn take(&mut self, order: u8) -> Option<NonNull<u8>>;

    /// Takes a block back that [`take`](Self::take) gave. If that cannot be done now it returns `false`, and the block
    /// stays the heap's.
    ///
    /// # Safety
    /// `take` gave `block`, with this `order`, and nobody uses it any more.
    unsafe fn give(&mut self, block: NonNull<u8>, order: u8) -> bool;
}

/// A byte heap over the pages of `S`.
pub struct Heap<S> {
    source: S,
    slabs: Slabs,
    buddy: Buddy<ORDERS>,
}

// SAFETY: all that it points to is its own, whichever CPU it is on.
unsafe impl<S: Send> Send for Heap<S> {}

impl<S: Source> Heap<S> {
    /// An empty heap.
    pub const fn new(source: S) -> Self {
        Self { source, slabs: Slabs::new(), buddy: Buddy::new() }
    }

    /// Takes memory as `layout` says, with whatever was in it. `None` if there is none.
    #[inline]
    pub fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match class::of(layout.size(), layout.align()) {
            Some(class) => self.slabs.alloc(class, &mut self.source),
            None => self.alloc_large(layout),
        }
    }

    /// Takes memory back.
    ///
    /// # Safety
    /// `alloc` of this heap gave `at` for this `layout`, or for another for which [`stays`] says so, and nobody uses it
    /// any more.
    #[inline]
    pub unsafe fn dealloc(&mut self, at: NonNull<u8>, layout: Layout) {
        match class::of(layout.size(), layout.align()) {
            // SAFETY: by this function's contract, and one layout is of one class.
            Some(class) => unsafe { self.slabs.dealloc(at, class, &mut self.source) },
            // SAFETY: the same.
            None => unsafe { self.buddy.dealloc(at, layout) },
        }
    }

    #[cold]
    fn alloc_large(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if let Ok(at) = self.buddy.alloc(layout) {
            return Some(at);
        }
        let bytes =
            layout.size().max(layout.align()).checked_next_power_of_two().filter(|bytes| bytes >> ORDERS == 0)?;
        let order = u8::try_from((bytes / PAGE).max(1).ilog2().max(LEAST_GROWTH)).ok()?;
        let block = self.source.take(order).or_else(|| {
            self.slabs.release(&mut self.source);
            self.source.take(order)
        })?;
        let start = block.as_ptr().expose_provenance();
        // SAFETY: the source gave these pages to this heap alone, which never gives them back.
        unsafe { self.buddy.add_to_heap(start, start + (PAGE << order)) };
        self.buddy.alloc(layout).ok()
    }

    /// Gives the empty slabs that are kept at hand back to the source, as many as that takes.
    pub fn release(&mut self) {
        self.slabs.release(&mut self.source);
    }

    /// Bytes in use, those by which blocks are larger than what was asked for included.
    pub fn used(&self) -> usize {
        self.slabs.used() + self.buddy.stats_alloc_actual()
    }

    /// Bytes that it has of its source.
    pub fn total(&self) -> usize {
        self.slabs.total() + self.buddy.stats_total_bytes()
    }

    /// Where the pages come from.
    pub fn source(&self) -> &S {
        &self.source
    }
}

/// Whether memory that was given for `layout` serves for `size` bytes as it is, and would not if it were of a smaller
/// class.
#[inline]
pub fn stays(layout: Layout, size: usize) -> bool {
    let class = class::of(layout.size(), layout.align());
    class.is_some() && class == class::of(size, layout.align())
}
