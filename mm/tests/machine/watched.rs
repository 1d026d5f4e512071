//! The four formats with somebody who looks after every store: what another CPU could do between two of them.
//!
//! Shape, codec and walker are the crate's own; only the entry is another type, which stores as the crate's does and then
//! calls whoever looks. A walk by another CPU can fall nowhere else: between two stores the tables do not change.

use std::cell::RefCell;

use mm::{Entry, Format, Half, Halves, PagingInfo, PagingRoutines, Pml2, Pml3, Pml4, Pml5};

use super::mmu::Mode;

thread_local! {
    static ONLOOKER: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Does `work` while `onlooker` is called after every store to a table of a watched format.
pub fn watched<T>(onlooker: impl Fn() + 'static, work: impl FnOnce() -> T) -> T {
    /// Takes the onlooker away again, even if the work ends in a panic.
    struct Away;
    impl Drop for Away {
        fn drop(&mut self) {
            ONLOOKER.with(|slot| slot.borrow_mut().take());
        }
    }
    ONLOOKER.with(|slot| *slot.borrow_mut() = Some(Box::new(onlooker)));
    let _away = Away;
    work()
}

fn look() {
    ONLOOKER.with(|slot| {
        if let Some(onlooker) = &*slot.borrow() {
            onlooker();
        }
    });
}

/// An entry that is stored at once.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Whole<E>(E);

impl<E: Entry> Entry for Whole<E> {
    unsafe fn load(slot: *const Self) -> u64 {
        // SAFETY: by this function's contract; the layout is the same.
        unsafe { E::load(slot.cast()) }
    }

    unsafe fn peek(slot: *const Self) -> u64 {
        // SAFETY: as above.
        unsafe { E::peek(slot.cast()) }
    }

    unsafe fn store(slot: *mut Self, value: u64) {
        look();
        // SAFETY: as above.
        unsafe { E::store(slot.cast(), value) };
        look();
    }

    unsafe fn exchange(slot: *mut Self, value: u64) -> u64 {
        look();
        // SAFETY: as above.
        let marks = unsafe { E::exchange(slot.cast(), value) };
        look();
        marks
    }

    unsafe fn mark(slot: *mut Self, marks: u64) {
        // SAFETY: as above.
        unsafe { E::mark(slot.cast(), marks) };
    }

    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: as above.
        unsafe { E::prepare(slot.cast(), value) };
        look();
    }
}

/// An entry that is stored in halves, in the order that [`Halves::stores`] gives.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Torn(Halves);

impl Entry for Torn {
    unsafe fn load(slot: *const Self) -> u64 {
        // SAFETY: by this function's contract; the layout is the same.
        unsafe { Halves::load(slot.cast()) }
    }

    unsafe fn peek(slot: *const Self) -> u64 {
        // SAFETY: as above.
        unsafe { Halves::peek(slot.cast()) }
    }

    unsafe fn store(slot: *mut Self, value: u64) {
        look();
        // SAFETY: as above.
        let old = unsafe { Halves::load(slot.cast()) };
        for (half, word) in Halves::stores(old, value).into_iter().flatten() {
            let at = slot.cast::<u32>().wrapping_add(usize::from(half == Half::High));
            // SAFETY: one half of the entry.
            unsafe { at.write_volatile(word) };
            look();
        }
    }

    unsafe fn exchange(slot: *mut Self, value: u64) -> u64 {
        look();
        // SAFETY: as above.
        let marks = unsafe { Halves::exchange(slot.cast(), value) };
        look();
        marks
    }

    unsafe fn mark(slot: *mut Self, marks: u64) {
        // SAFETY: as above.
        unsafe { Halves::mark(slot.cast(), marks) };
    }

    unsafe fn prepare(slot: *mut Self, value: u64) {
        // SAFETY: as above.
        unsafe { Halves::prepare(slot.cast(), value) };
        look();
    }
}

struct Watched<F>(F);

impl Format for Watched<Pml2> {
    type Entry = Whole<u32>;
    const INFO: PagingInfo = Pml2::INFO;
}

impl Format for Watched<Pml3> {
    type Entry = Torn;
    const INFO: PagingInfo = Pml3::INFO;
}

impl Format for Watched<Pml4> {
    type Entry = Whole<<Pml4 as Format>::Entry>;
    const INFO: PagingInfo = Pml4::INFO;
}

impl Format for Watched<Pml5> {
    type Entry = Whole<<Pml5 as Format>::Entry>;
    const INFO: PagingInfo = Pml5::INFO;
}

/// The routines of a mode, watched.
pub fn routines(mode: Mode) -> &'static PagingRoutines {
    static PML2: PagingRoutines = PagingRoutines::of::<Watched<Pml2>>();
    static PML3: PagingRoutines = PagingRoutines::of::<Watched<Pml3>>();
    static PML4: PagingRoutines = PagingRoutines::of::<Watched<Pml4>>();
    static PML5: PagingRoutines = PagingRoutines::of::<Watched<Pml5>>();
    match mode {
        Mode::Pml2 => &PML2,
        Mode::Pml3 => &PML3,
        Mode::Pml4 => &PML4,
        Mode::Pml5 => &PML5,
    }
}
