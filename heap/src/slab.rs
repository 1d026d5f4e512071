//! One slab: 16 KiB that begin at a multiple of 16 KiB, a header, and objects of one class behind it.

use core::mem::size_of;
use core::ptr::{NonNull, null_mut};

use crate::{PAGE, SLAB_ORDER, class};

/// Bytes in a slab.
pub const SIZE: usize = PAGE << SLAB_ORDER;

/// An object that was given back: what is in it is the slab's.
struct Freed {
    next: *mut Freed,
}

/// The header.
#[repr(C)]
pub struct Slab {
    /// The slabs before and after it, in whatever list it is in.
    pub prev: *mut Slab,
    /// See [`prev`](Self::prev).
    pub next: *mut Slab,
    /// The object that was given back last.
    freed: *mut Freed,
    /// Where the first object lies that was never given out, in bytes from the header's first: only what was given out
    /// is ever written to, so that a slab costs nothing to begin.
    fresh: u16,
    /// Objects in use.
    used: u16,
}

/// Where the first object of `class` lies.
const fn first(class: usize) -> usize {
    size_of::<Slab>().next_multiple_of(class::align(class))
}

/// How many objects of each class a slab holds.
const CAPACITY: [u16; class::COUNT] = {
    let mut capacity = [0; class::COUNT];
    let mut class = 0;
    while class < class::COUNT {
        capacity[class] = ((SIZE - first(class)) / class::size(class)) as u16;
        class += 1;
    }
    capacity
};

impl Slab {
    /// Makes `block` an empty slab of `class`, in no list.
    ///
    /// # Safety
    /// `block` is [`SIZE`] writable bytes at a multiple of that, and the caller's alone.
    pub unsafe fn begin(block: NonNull<u8>, class: usize) -> *mut Slab {
        let slab = block.as_ptr().cast::<Slab>();
        let empty = Slab { prev: null_mut(), next: null_mut(), freed: null_mut(), fresh: first(class) as u16, used: 0 };
        // SAFETY: by this function's contract.
        unsafe { slab.write(empty) };
        slab
    }

    /// The slab that the object at `at` lies in.
    #[inline]
    pub fn of(at: NonNull<u8>) -> *mut Slab {
        at.as_ptr().wrapping_sub(at.addr().get() % SIZE).cast()
    }

    /// Takes an object of `slab`, which is of `class`.
    ///
    /// # Safety
    /// `slab` is a slab of `class` that is not full, and nobody else uses it.
    #[inline]
    pub unsafe fn take(slab: *mut Slab, class: usize) -> NonNull<u8> {
        // SAFETY: `slab` and what is in its list are the caller's.
        unsafe {
            (*slab).used += 1;
            let freed = (*slab).freed;
            if let Some(object) = NonNull::new(freed.cast()) {
                (*slab).freed = (*freed).next;
                return object;
            }
            let at = usize::from((*slab).fresh);
            (*slab).fresh = (at + class::size(class)) as u16;
            NonNull::new_unchecked(slab.cast::<u8>().add(at))
        }
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// [`take`](Self::take) gave `object` from `slab`, and nobody uses either.
    #[inline]
    pub unsafe fn give(slab: *mut Slab, object: NonNull<u8>) {
        let freed = object.cast::<Freed>().as_ptr();
        // SAFETY: by this function's contract; every object has room for a pointer and is aligned to 16 bytes.
        unsafe {
            freed.write(Freed { next: (*slab).freed });
            (*slab).freed = freed;
            (*slab).used -= 1;
        }
    }

    /// Whether every object is in use.
    #[inline]
    pub fn is_full(&self, class: usize) -> bool {
        self.used == CAPACITY[class]
    }

    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }
}

// A slab that has one object only would be full and empty at once.
const _: () = assert!(CAPACITY[class::COUNT - 1] > 1 && SIZE <= u16::MAX as usize);
