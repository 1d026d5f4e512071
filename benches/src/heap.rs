//! The byte heap, with and without slabs in front of the buddy: a million small objects that live at once.
//!
//! The buddy alone is so slow in freeing at random that it gets a sixty-fourth of the objects, and then a
//! thirty-second, so that one sees how the time of a free grows with them.

use std::alloc::Layout;
use std::ptr::NonNull;

use buddy_system_allocator::Heap as Buddy;
use heap::{Heap, PAGE, Source};

use crate::host::{Mapping, cpu_time};
use crate::rng::Rng;

/// Objects, when there are a million.
const MILLION: usize = 1 << 20;

/// Memory for all: more than twice what a million objects need.
const BYTES: usize = 512 << 20;

/// What is measured: rows and their figures.
type Figures = Vec<(&'static str, f64)>;

/// A contestant's name, and what measures it once.
pub type Contestant = (&'static str, fn() -> Figures);

pub fn contestants() -> Vec<Contestant> {
    vec![
        ("Strata's heap, 1M objects", || measure::<Slabs>(MILLION)),
        ("Strata's heap, 32K objects", || measure::<Slabs>(MILLION / 32)),
        ("the host's malloc, 1M objects", || measure::<Malloc>(MILLION)),
        ("buddy_system Heap, 32K objects", || measure::<Bare>(MILLION / 32)),
        ("buddy_system Heap, 16K objects", || measure::<Bare>(MILLION / 64)),
    ]
}

/// A byte heap.
trait Bytes {
    fn new(memory: &Mapping) -> Self;
    fn alloc(&mut self, layout: Layout) -> NonNull<u8>;
    /// # Safety
    /// `alloc` gave `at` for this `layout`.
    unsafe fn free(&mut self, at: NonNull<u8>, layout: Layout);
    /// Bytes of memory that it has taken, if it tells.
    fn taken(&self) -> Option<usize>;
}

/// Slabs in front of the buddy, as in the kernel, over frames from `mm`'s allocator.
struct Slabs(Heap<Frames>);

struct Frames {
    frames: mm::Frames,
    base: *mut u8,
}

// SAFETY: the allocator gives a block to one owner at a time, and the memory begins at a multiple of 2 MiB, which no
// block asked for here exceeds.
unsafe impl Source for Frames {
    fn take(&mut self, order: u8) -> Option<NonNull<u8>> {
        let first = self.frames.alloc(order, mm::Frames::ANYWHERE).ok()?;
        NonNull::new(self.base.wrapping_add(first.0 as usize * PAGE))
    }

    unsafe fn give(&mut self, block: NonNull<u8>, order: u8) -> bool {
        let first = (block.as_ptr() as usize - self.base as usize) / PAGE;
        self.frames.free(mm::Frame(first as u64), order).is_ok()
    }
}

impl Bytes for Slabs {
    fn new(memory: &Mapping) -> Self {
        let run = [mm::FrameRun { first: mm::Frame(0), count: (BYTES / PAGE) as u64 }];
        let words = vec![0; mm::Frames::metadata_words(&run, &[])].leak();
        let frames = match mm::Frames::new(&run, &[], words) {
            Ok(frames) => frames,
            Err(error) => panic!("one run of frames: {error}"),
        };
        Self(Heap::new(Frames { frames, base: memory.at() }))
    }

    #[inline(never)]
    fn alloc(&mut self, layout: Layout) -> NonNull<u8> {
        self.0.alloc(layout).unwrap_or_else(|| exhausted())
    }

    #[inline(never)]
    unsafe fn free(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: by the trait's contract.
        unsafe { self.0.dealloc(at, layout) };
    }

    fn taken(&self) -> Option<usize> {
        Some(self.0.total())
    }
}

/// The buddy alone, all memory its own from the start.
struct Bare(Buddy<32>);

impl Bytes for Bare {
    fn new(memory: &Mapping) -> Self {
        let mut buddy = Buddy::new();
        // SAFETY: the mapping is that long, and this contestant's alone while it lives.
        unsafe { buddy.init(memory.at() as usize, BYTES) };
        Self(buddy)
    }

    #[inline(never)]
    fn alloc(&mut self, layout: Layout) -> NonNull<u8> {
        self.0.alloc(layout).unwrap_or_else(|()| exhausted())
    }

    #[inline(never)]
    unsafe fn free(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: by the trait's contract.
        unsafe { self.0.dealloc(at, layout) };
    }

    fn taken(&self) -> Option<usize> {
        Some(self.0.stats_alloc_actual())
    }
}

/// What programs on the host use.
struct Malloc;

impl Bytes for Malloc {
    fn new(_: &Mapping) -> Self {
        Self
    }

    #[inline(never)]
    fn alloc(&mut self, layout: Layout) -> NonNull<u8> {
        // SAFETY: no layout here is empty.
        NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap_or_else(|| exhausted())
    }

    #[inline(never)]
    unsafe fn free(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: by the trait's contract.
        unsafe { std::alloc::dealloc(at.as_ptr(), layout) };
    }

    fn taken(&self) -> Option<usize> {
        None
    }
}

fn exhausted() -> ! {
    panic!("{BYTES} bytes do not hold the objects")
}

fn measure<B: Bytes>(count: usize) -> Figures {
    let memory = Mapping::new(BYTES, 2 << 20);
    // SAFETY: the mapping is that long. Its pages are there before anything is measured.
    unsafe { memory.at().write_bytes(1, BYTES) };
    let mut heap = B::new(&memory);
    let mut random = Rng(1);
    let layouts: Vec<Layout> = (0..count)
        .map(|_| Layout::from_size_align(8 + random.below(249) as usize, 8).unwrap_or(Layout::new::<u64>()))
        .collect();
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut objects = Vec::with_capacity(count);
    let mut figures = Vec::new();

    // Once for the pages of the objects' own lists, and of a heap that has no memory yet.
    fill(&mut heap, &layouts, &mut objects);
    figures.push(("free in order", empty(&mut heap, &layouts, &objects, &order)));
    figures.push(("fill", fill(&mut heap, &layouts, &mut objects)));
    if let Some(taken) = heap.taken() {
        let asked: usize = layouts.iter().map(Layout::size).sum();
        figures.push(("overhead %", 100.0 * (taken as f64 / asked as f64 - 1.0)));
    }
    figures.push(("pair", pairs(&mut heap, &layouts, &mut objects, &mut random)));
    random.shuffle(&mut order);
    figures.push(("free at random", empty(&mut heap, &layouts, &objects, &order)));
    figures
}

/// Takes all objects, and writes a word into each, as whoever asked for it would.
fn fill<B: Bytes>(heap: &mut B, layouts: &[Layout], objects: &mut Vec<NonNull<u8>>) -> f64 {
    objects.clear();
    let start = cpu_time();
    for layout in layouts {
        let at = heap.alloc(*layout);
        // SAFETY: it is at least 8 bytes long and nobody else's.
        unsafe { at.cast::<u64>().write(1) };
        objects.push(at);
    }
    per(start, layouts.len())
}

/// Gives all objects back in this order.
fn empty<B: Bytes>(heap: &mut B, layouts: &[Layout], objects: &[NonNull<u8>], order: &[u32]) -> f64 {
    let start = cpu_time();
    for at in order {
        let at = *at as usize;
        // SAFETY: taken by `fill` or `pairs`, and each comes once in the order.
        unsafe { heap.free(objects[at], layouts[at]) };
    }
    per(start, order.len())
}

/// Gives one object back and takes another of its size, at random places among live ones.
fn pairs<B: Bytes>(heap: &mut B, layouts: &[Layout], objects: &mut [NonNull<u8>], random: &mut Rng) -> f64 {
    let count = objects.len() / 4;
    let start = cpu_time();
    for _ in 0..count {
        let at = random.below(objects.len() as u64) as usize;
        // SAFETY: the object is live, and forgotten in the next line.
        unsafe { heap.free(objects[at], layouts[at]) };
        objects[at] = heap.alloc(layouts[at]);
    }
    per(start, count)
}

fn per(start: u64, count: usize) -> f64 {
    (cpu_time() - start) as f64 / count as f64
}
