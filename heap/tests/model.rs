//! Random programs against a naive model: nothing overlaps, all is aligned, what was written stays, out of memory is
//! `None`, and pages go back where they came from.

use std::alloc::Layout;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr::NonNull;

use heap::{Heap, PAGE, SLAB_ORDER, SPARE, Source, class, stays};

const PAGES: usize = 1024;

/// So many pages of the host's, first come first served, every block at a multiple of its size.
struct Pages {
    start: *mut u8,
    layout: Layout,
    taken: [bool; PAGES],
    /// Whether pages are refused, as they are while another has the lock.
    locked: Cell<bool>,
    /// The largest order that was asked for.
    asked: u8,
}

impl Pages {
    fn new() -> Self {
        let layout = Layout::from_size_align(PAGES * PAGE, PAGES * PAGE).expect("a power of two");
        // SAFETY: the layout is not empty.
        let start = unsafe { std::alloc::alloc(layout) };
        assert!(!start.is_null());
        // SAFETY: it is that long. Whatever trusts in zeros trips over these.
        unsafe { start.write_bytes(0xFF, PAGES * PAGE) };
        Self { start, layout, taken: [false; PAGES], locked: Cell::new(false), asked: 0 }
    }

    fn in_use(&self) -> usize {
        self.taken.iter().filter(|taken| **taken).count()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        unsafe { std::alloc::dealloc(self.start, self.layout) };
    }
}

// SAFETY: a page is given to one owner at a time, out of memory that is as aligned as it is long.
unsafe impl Source for Pages {
    fn take(&mut self, order: u8) -> Option<NonNull<u8>> {
        self.asked = self.asked.max(order);
        let count = 1usize.checked_shl(order.into()).filter(|_| !self.locked.get())?;
        let free = |first: &usize| self.taken.get(*first..*first + count).is_some_and(|run| !run.contains(&true));
        let first = (0..PAGES).step_by(count).find(free)?;
        self.taken[first..first + count].fill(true);
        NonNull::new(self.start.wrapping_add(first * PAGE))
    }

    unsafe fn give(&mut self, block: NonNull<u8>, order: u8) -> bool {
        if self.locked.get() {
            return false;
        }
        let first = (block.as_ptr() as usize - self.start as usize) / PAGE;
        let run = &mut self.taken[first..first + (1 << order)];
        assert!(!run.contains(&false) && first.is_multiple_of(1 << order), "pages given back that were not taken");
        run.fill(false);
        // SAFETY: nobody has it now. Whoever still reads it will notice.
        unsafe { block.write_bytes(0xFF, PAGE << order) };
        true
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) as usize % end
    }
}

struct Object {
    at: NonNull<u8>,
    layout: Layout,
    fill: u8,
}

/// The heap, and what should be in it, by address.
struct Model {
    heap: Heap<Pages>,
    objects: BTreeMap<usize, Object>,
    refused: usize,
}

impl Model {
    fn new() -> Self {
        Self { heap: Heap::new(Pages::new()), objects: BTreeMap::new(), refused: 0 }
    }

    fn alloc(&mut self, layout: Layout, fill: u8) {
        let Some(at) = self.heap.alloc(layout) else {
            self.refused += 1;
            return;
        };
        let start = at.as_ptr() as usize;
        assert!(start.is_multiple_of(layout.align()), "{layout:?} at {start:#x}");
        let before = self.objects.range(..start + layout.size()).next_back();
        assert!(
            before.is_none_or(|(at, other)| at + other.layout.size() <= start),
            "{layout:?} at {start:#x} overlaps"
        );
        // SAFETY: the heap says that it is ours.
        unsafe { at.write_bytes(fill, layout.size()) };
        self.objects.insert(start, Object { at, layout, fill });
    }

    fn check(&self, start: usize) {
        let object = &self.objects[&start];
        // SAFETY: it was written when it was given.
        let bytes = unsafe { std::slice::from_raw_parts(object.at.as_ptr(), object.layout.size()) };
        assert!(bytes.iter().all(|byte| *byte == object.fill), "{:?} at {start:#x} was written to", object.layout);
    }

    fn free(&mut self, start: usize) {
        self.check(start);
        let object = self.objects.remove(&start).expect("it was just checked");
        // SAFETY: given for this layout, and forgotten here.
        unsafe { self.heap.dealloc(object.at, object.layout) };
    }

    /// The object at or behind a random place.
    fn any(&self, random: &mut Random) -> Option<usize> {
        let (first, last) = (*self.objects.first_key_value()?.0, *self.objects.last_key_value()?.0);
        self.objects.range(first + random.below(last - first + 1)..).next().map(|(at, _)| *at)
    }
}

/// Mostly what slabs hold, sometimes more, with any alignment.
fn layout(random: &mut Random) -> Layout {
    let most = [32, 256, 2049, 40_000][random.below(4)];
    let align = if random.below(4) == 0 { 1 << random.below(13) } else { 8 };
    Layout::from_size_align(1 + random.below(most), align).expect("sizes are small")
}

#[test]
fn random_programs_agree_with_the_model() {
    for seed in 0..24 {
        let mut random = Random(seed);
        let mut model = Model::new();
        for step in 0..20_000 {
            if random.below(500) == 0 {
                model.heap.release();
            }
            model.heap.source().locked.set(random.below(50) == 0);
            // Growing for a while, then shrinking.
            let grow = if step / 4_000 % 2 == 0 { 3 } else { 1 };
            if random.below(4) < grow {
                let layout = layout(&mut random);
                model.alloc(layout, step as u8);
            } else if let Some(at) = model.any(&mut random) {
                model.free(at);
            }
            assert!(model.heap.used() <= model.heap.total());
        }
        model.heap.source().locked.set(false);
        model.objects.keys().for_each(|at| model.check(*at));
        let used: usize = model.objects.values().map(|object| object.layout.size()).sum();
        assert!(model.heap.used() >= used, "seed {seed}");
        while let Some(at) = model.any(&mut random) {
            model.free(at);
        }
        assert_eq!(model.heap.used(), 0, "seed {seed}");
        model.heap.release();
        assert_eq!(model.heap.source().in_use() * PAGE, model.heap.total(), "seed {seed}: pages are lost");
    }
}

#[test]
fn small_objects_fill_memory_and_all_of_it_comes_back() {
    for class in 0..class::COUNT {
        let mut model = Model::new();
        let layout = Layout::from_size_align(class::size(class), class::align(class)).expect("in order");
        while model.refused == 0 {
            model.alloc(layout, class as u8);
        }
        assert_eq!(model.heap.source().in_use(), PAGES, "memory was refused before it was used up");
        assert!(model.heap.used() * 8 >= PAGES * PAGE * 7, "of class {class} less than 7/8 can be used");
        let mut random = Random(class as u64);
        while let Some(at) = model.any(&mut random) {
            model.free(at);
        }
        assert_eq!(model.heap.source().in_use(), SPARE << SLAB_ORDER, "empty slabs are kept");
        model.heap.release();
        assert_eq!((model.heap.source().in_use(), model.heap.total()), (0, 0));
    }
}

#[test]
fn a_large_block_gets_the_pages_of_spare_slabs() {
    let mut model = Model::new();
    let small = Layout::new::<[u64; 16]>();
    while model.refused == 0 {
        model.alloc(small, 1);
    }
    while let Some(at) = model.objects.keys().next().copied() {
        model.free(at);
    }
    let all = Layout::from_size_align(PAGES * PAGE, 8).expect("in order");
    assert!(model.heap.source().in_use() > 0);
    model.alloc(all, 2);
    assert_eq!(model.refused, 1, "the spare slabs stood in the way");
    model.alloc(small, 3);
    assert_eq!(model.refused, 2);
}

/// While the pages are locked by someone else nothing is taken or given, and nothing is lost.
#[test]
fn what_cannot_be_given_back_is_given_back_later() {
    let mut model = Model::new();
    let layout = Layout::new::<[u64; 32]>();
    (0..2_000).for_each(|_| model.alloc(layout, 7));
    let most = model.heap.source().in_use();
    model.heap.source().locked.set(true);
    while model.objects.len() > 1 {
        let at = *model.objects.keys().next().expect("more than one");
        model.free(at);
    }
    assert_eq!(model.heap.source().in_use(), most);
    // What it has it still deals from.
    (0..1_999).for_each(|_| model.alloc(layout, 8));
    assert_eq!(model.refused, 0);
    while model.objects.len() > 1 {
        let at = *model.objects.keys().next().expect("more than one");
        model.free(at);
    }
    model.heap.source().locked.set(false);
    let at = *model.objects.keys().next().expect("one");
    model.free(at);
    assert_eq!(model.heap.source().in_use(), SPARE << SLAB_ORDER);
}

#[test]
fn absurd_requests_are_refused() {
    let mut heap = Heap::new(Pages::new());
    for (size, align) in [(isize::MAX as usize, 1), (1, 1 << 40), (PAGES * PAGE + 1, 1), (1 << 28, 8), (1 << 27, 8)] {
        let Ok(layout) = Layout::from_size_align(size, align) else { continue };
        assert_eq!(heap.alloc(layout), None, "{layout:?}");
    }
    assert_eq!(heap.source().in_use(), 0);
    assert!(heap.source().asked <= 15, "pages were taken for what the buddy cannot give");
}

#[test]
fn an_object_stays_where_it_is_within_its_class() {
    for size in 1..=2 * class::LARGEST {
        let layout = Layout::from_size_align(size, 8).expect("in order");
        match class::of(size, 8) {
            Some(class) => {
                assert!(class::size(class) >= size && class::size(class) < size + size / 4 + class::STEP, "{size}");
                assert!(stays(layout, class::size(class)) && !stays(layout, class::size(class) + 1), "{size}");
            }
            None => assert!(size > class::LARGEST && !stays(layout, size)),
        }
    }
    for shift in 0..20 {
        if let Some(class) = class::of(1, 1 << shift) {
            assert!(class::align(class) >= 1 << shift);
        }
    }
}
