//! The byte heap of the kernel: [`heap::Heap`] over the frames that the window shows, behind a lock.
//!
//! What runs in an interrupt must not ask for bytes: the lock is one for threads.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use heap::{Heap, Source};
use mm::OwnedFrames;
use sched::{Class, Lock};

use crate::memory;

#[global_allocator]
static HEAP: Locked = Locked(Lock::new(Class::Heap, Heap::new(Window)));

/// Bytes in use, and bytes the heap has.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.0.lock();
    (heap.used(), heap.total())
}

struct Locked(Lock<Heap<Window>>);

// SAFETY: the heap keeps what the trait asks for, and the lock is held for the whole of each call.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().alloc(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(at) = NonNull::new(at) {
            // SAFETY: by the trait's contract.
            unsafe { self.0.lock().dealloc(at, layout) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if heap::stays(layout, size) {
            return at;
        }
        // SAFETY: by the trait's contract `size` is not 0 and does not overflow when rounded up to the alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both are that long, and the new one is nobody else's.
            unsafe { new.copy_from_nonoverlapping(at, layout.size().min(size)) };
            // SAFETY: by the trait's contract.
            unsafe { self.dealloc(at, layout) };
        }
        new
    }
}

/// The frames in the window, so that no table has to change. On x86_64 the window moves when the mode does, and what the
/// heap gave out is then out of reach until the first mode is back: nothing may be allocated or freed in between.
///
/// While whoever asks for bytes has the frames locked himself nothing is taken or given: waiting for them would never end.
struct Window;

// SAFETY: blocks of frames are nobody else's from `take` to `put`, lie at multiples of their size, physically and so in
// the aperture, and stay mapped.
unsafe impl Source for Window {
    fn take(&mut self, order: u8) -> Option<NonNull<u8>> {
        let mut memory = memory::installed()?.lock_unless_held_here()?;
        let below = memory.window.frames().end();
        let owned = memory.take(order, below).ok()?;
        NonNull::new(memory.window.at(owned.run().first))
    }

    unsafe fn give(&mut self, block: NonNull<u8>, order: u8) -> bool {
        let Some(mut memory) = memory::installed().and_then(|memory| memory.lock_unless_held_here()) else {
            return false;
        };
        let first = memory.window.frame_at(block.as_ptr());
        // SAFETY: `take` let go of an owner of these frames, and by the trait's contract nobody uses them.
        memory.put(unsafe { OwnedFrames::again(first, order) });
        true
    }
}
