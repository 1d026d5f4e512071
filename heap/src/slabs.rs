//! All slabs: for each class those with room, and a few that are empty.

use core::ptr::{NonNull, null_mut};

use crate::slab::{SIZE, Slab};
use crate::{SLAB_ORDER, Source, class};

/// How many empty slabs are kept, for whatever class needs one next: so many that objects taken and given back in turn
/// never take and give back slabs in turn.
pub const SPARE: usize = 4;

pub struct Slabs {
    /// The slabs with room and with something in them, by class. Full ones are in no list: their objects lead to them.
    partial: [*mut Slab; class::COUNT],
    /// The empty ones. Their class is whatever they are taken for next.
    empty: *mut Slab,
    empties: usize,
    /// How many slabs there are.
    count: usize,
    /// Bytes of all objects in use.
    used: usize,
}

impl Slabs {
    pub const fn new() -> Self {
        Self { partial: [null_mut(); class::COUNT], empty: null_mut(), empties: 0, count: 0, used: 0 }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes in all slabs.
    pub fn total(&self) -> usize {
        self.count * SIZE
    }

    /// Takes an object of `class`.
    #[inline]
    pub fn alloc(&mut self, class: usize, source: &mut impl Source) -> Option<NonNull<u8>> {
        let mut slab = self.partial[class];
        if slab.is_null() {
            slab = self.begin(class, source)?;
        }
        self.used += class::size(class);
        // SAFETY: what is in a class's list is a slab of that class with room, and all of it is ours.
        unsafe {
            let object = Slab::take(slab, class);
            if (*slab).is_full(class) {
                unlink(&mut self.partial[class], slab);
            }
            Some(object)
        }
    }

    /// A slab for `class`, in its list.
    #[cold]
    fn begin(&mut self, class: usize, source: &mut impl Source) -> Option<*mut Slab> {
        let block = match NonNull::new(self.empty) {
            Some(slab) => {
                // SAFETY: it is in this list.
                unsafe { unlink(&mut self.empty, slab.as_ptr()) };
                self.empties -= 1;
                slab.cast()
            }
            None => {
                let block = source.take(SLAB_ORDER)?;
                self.count += 1;
                block
            }
        };
        // SAFETY: the source gave the block to us, and nothing in it is in use.
        unsafe {
            let slab = Slab::begin(block, class);
            link(&mut self.partial[class], slab);
            Some(slab)
        }
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// [`alloc`](Self::alloc) gave `object` for `class`, and nobody uses it any more.
    #[inline]
    pub unsafe fn dealloc(&mut self, object: NonNull<u8>, class: usize, source: &mut impl Source) {
        let slab = Slab::of(object);
        self.used -= class::size(class);
        // SAFETY: the object lies in a slab of its class, which is in the class's list if it is not full.
        unsafe {
            let was_full = (*slab).is_full(class);
            Slab::give(slab, object);
            if was_full {
                link(&mut self.partial[class], slab);
            } else if (*slab).is_empty() {
                unlink(&mut self.partial[class], slab);
                self.retire(slab, source);
            }
        }
    }

    /// Puts an empty slab aside, or gives it back if there are enough.
    ///
    /// # Safety
    /// `slab` is empty and in no list.
    #[cold]
    unsafe fn retire(&mut self, slab: *mut Slab, source: &mut impl Source) {
        // SAFETY: by this function's contract.
        unsafe { link(&mut self.empty, slab) };
        self.empties += 1;
        // More than one goes only if some could not be given back when they should have been.
        while self.empties > SPARE && self.give_one(source) {}
    }

    /// Gives all empty slabs back, as long as the source takes them.
    #[cold]
    pub fn release(&mut self, source: &mut impl Source) {
        while self.give_one(source) {}
    }

    /// Gives an empty slab back. Whether there was one and the source took it.
    fn give_one(&mut self, source: &mut impl Source) -> bool {
        let Some(slab) = NonNull::new(self.empty) else { return false };
        // SAFETY: it is in this list, and nothing in it is in use. Its links are dead once the source has it, so it
        // leaves the list before, and comes back if the source does not want it.
        unsafe {
            unlink(&mut self.empty, slab.as_ptr());
            if !source.give(slab.cast(), SLAB_ORDER) {
                link(&mut self.empty, slab.as_ptr());
                return false;
            }
        }
        self.empties -= 1;
        self.count -= 1;
        true
    }
}

/// Puts `slab` at the head of a list.
///
/// # Safety
/// It is in no list, and nobody else uses it or the list.
#[inline]
unsafe fn link(head: &mut *mut Slab, slab: *mut Slab) {
    // SAFETY: by this function's contract; what a list leads to are slabs.
    unsafe {
        (*slab).prev = null_mut();
        (*slab).next = *head;
        if !(*head).is_null() {
            (**head).prev = slab;
        }
    }
    *head = slab;
}

/// Takes `slab` out of a list.
///
/// # Safety
/// It is in this list, and nobody else uses either.
#[inline]
unsafe fn unlink(head: &mut *mut Slab, slab: *mut Slab) {
    // SAFETY: by this function's contract; what a list leads to are slabs.
    unsafe {
        let (prev, next) = ((*slab).prev, (*slab).next);
        match prev.is_null() {
            true => *head = next,
            false => (*prev).next = next,
        }
        if !next.is_null() {
            (*next).prev = prev;
        }
    }
}
