//! Physical memory for all contestants: one piece of the host's, and a stack of free frames for the peers.
//!
//! Every contestant builds its tables in the same bytes, so that caches and the host's own page tables treat all alike.

use std::cell::UnsafeCell;

/// Bytes in a frame.
pub const FRAME: usize = 4096;

/// The physical address of the first frame: below 4 GiB, and not 0.
pub const FIRST: u64 = 16 << 20;

/// How many frames there are: more than the 117168 tables that the sparsest workload needs.
pub const FRAMES: usize = 160 << 10;

struct Arena {
    base: *mut u8,
    next: usize,
    free: Vec<u32>,
}

struct Global(UnsafeCell<Option<Arena>>);

// SAFETY: the page-table benchmarks run on one thread, which is the only one that touches the arena.
unsafe impl Sync for Global {}

static ARENA: Global = Global(UnsafeCell::new(None));

#[inline]
#[allow(clippy::mut_from_ref)]
fn arena() -> &'static mut Arena {
    // SAFETY: one thread, and no reference is kept beyond the functions below, none of which calls another while it
    // holds one.
    match unsafe { &mut *ARENA.0.get() } {
        Some(arena) => arena,
        None => unreachable!("main sets the arena up"),
    }
}

/// Takes the memory from the host and touches all of it, once and before anything is measured.
pub fn set_up() {
    let base = crate::host::map(FRAMES * FRAME);
    // SAFETY: the mapping is that large and ours.
    unsafe { base.write_bytes(0xFF, FRAMES * FRAME) };
    // SAFETY: one thread, and nobody holds a reference yet.
    unsafe { *ARENA.0.get() = Some(Arena { base, next: 0, free: Vec::with_capacity(FRAMES) }) };
}

/// Makes every frame free again.
pub fn reset() {
    let arena = arena();
    arena.next = 0;
    arena.free.clear();
}

/// Where the first frame lies.
pub fn base() -> *mut u8 {
    arena().base
}

/// Where the frame at physical address `pa` lies.
#[inline]
pub fn at(pa: u64) -> *mut u8 {
    arena().base.wrapping_add((pa - FIRST) as usize)
}

/// Takes a frame, with whatever is in it. Its physical address.
#[inline]
pub fn alloc() -> Option<u64> {
    let arena = arena();
    let number = match arena.free.pop() {
        Some(number) => number as usize,
        None if arena.next < FRAMES => {
            arena.next += 1;
            arena.next - 1
        }
        None => return None,
    };
    Some(FIRST + (number * FRAME) as u64)
}

/// Gives the frame at physical address `pa` back.
#[inline]
pub fn free(pa: u64) {
    arena().free.push(((pa - FIRST) as usize / FRAME) as u32);
}

/// How many frames are taken.
pub fn used() -> u64 {
    let arena = arena();
    (arena.next - arena.free.len()) as u64
}
