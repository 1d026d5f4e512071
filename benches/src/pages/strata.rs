//! Strata: through the routine table, as the kernel does, and by direct generic calls to see what the table costs.

use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use mm::{
    Cursor, Features, Format, Frame, FrameRun, Frames, Holes, Limits, ListRequest, MapError, MapRequest, Memory,
    PageFlags, PageMap, PageRange, Paging, PagingRoutines, PhysAddr, ProtectRequest, Rights, Stale, VirtAddr, Window,
};

use super::{AMD64, PageTables, Shape, Steps, i686};
use crate::arena;

/// pml4 through its table.
pub type Pml4 = Tree<mm::Pml4, true>;
/// pml4 by direct calls.
pub type Pml4Direct = Tree<mm::Pml4, false>;
/// pml5 through its table.
pub type Pml5 = Tree<mm::Pml5, true>;
/// pml3 through its table.
pub type Pml3 = Tree<mm::Pml3, true>;
/// pml2 through its table.
pub type Pml2 = Tree<mm::Pml2, true>;

/// A tree in the format `F`, its routines called through a table that the compiler does not know if `TABLE`.
pub struct Tree<F: Format, const TABLE: bool> {
    memory: ManuallyDrop<Memory>,
    /// The same tree for the cursor, which has an address space's face.
    map: PageMap,
    root: Frame,
    limits: Limits,
    routines: &'static PagingRoutines,
    frames: u64,
    list: Vec<Frame>,
    format: PhantomData<F>,
}

trait Table {
    const ROUTINES: PagingRoutines;
}

impl<F: Format> Table for F {
    const ROUTINES: PagingRoutines = PagingRoutines::of::<F>();
}

const WRITABLE: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));
const READ_ONLY: PageFlags = PageFlags::new(Rights::USER);

/// Frames that hold the allocator's own words.
const METADATA: u64 = 16;

fn memory() -> Memory {
    let words = METADATA as usize * arena::FRAME / 8;
    // SAFETY: the first frames of the arena, which only this allocator uses until the arena is reset.
    let metadata = unsafe { std::slice::from_raw_parts_mut(arena::base().cast(), words) };
    let all = FrameRun { first: PhysAddr(arena::FIRST).frame(), count: arena::FRAMES as u64 };
    let free = FrameRun::between(all.first.offset(METADATA), all.end());
    let Ok(frames) = Frames::new(&[free], &[], metadata) else { panic!("the metadata's frames suffice") };
    // SAFETY: the arena shows these frames for as long as the process lives.
    Memory::new(unsafe { Window::new(arena::base(), all) }, frames)
}

fn done<T>(result: Result<T, MapError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

#[inline(never)]
fn out_of_line<T, A, R>(tree: &mut T, arguments: A, work: impl Fn(&mut T, A) -> R) -> R {
    work(tree, arguments)
}

fn range(va: u64, pages: usize) -> PageRange {
    PageRange::new(VirtAddr(va), pages as u64)
}

impl<F: Format, const TABLE: bool> Tree<F, TABLE> {
    /// The table: for direct calls one that the compiler sees through.
    #[inline(always)]
    fn routines(&self) -> &'static PagingRoutines {
        if TABLE { self.routines } else { const { &<F as Table>::ROUTINES } }
    }

    /// One operation. It is one call that is not inlined, as every contestant's is: through the table that is the call of
    /// the routine, which the compiler does not know; a direct call is made into one here.
    #[inline(always)]
    fn call<A, R>(&mut self, arguments: A, work: impl Fn(&mut Self, A) -> R) -> R {
        if TABLE { work(self, arguments) } else { out_of_line(self, arguments, work) }
    }

    #[inline(always)]
    fn put(&mut self, va: u64, pages: usize, pa: u64) {
        let request = MapRequest { range: range(va, pages), first: PhysAddr(pa).frame(), flags: WRITABLE };
        done((self.routines().map)(&mut self.memory, self.root, &self.limits, &request));
    }

    /// No CPU has used the tree, so there is nothing to flush: what every other contestant leaves out, too.
    #[inline(always)]
    fn forget(&mut self, stale: Stale) {
        // SAFETY: the root was never loaded.
        unsafe { stale.forget(&mut self.memory) };
    }
}

impl<F: Format, const TABLE: bool> PageTables for Tree<F, TABLE> {
    const SHAPE: Shape = if F::INFO.va_bits == 32 { i686(F::INFO.shift(2)) } else { AMD64 };

    fn new() -> Self {
        let info = &F::INFO;
        let features = Features {
            pse: true,
            pae: true,
            pge: true,
            pat: true,
            nx: true,
            page_1g: true,
            la57: true,
            pse36: true,
            phys_bits: 52,
        };
        let mut memory = memory();
        let (frames, limits) = (memory.free_frames(), Limits::new(info, &features));
        let routines = black_box(const { &<F as Table>::ROUTINES });
        let map = done(PageMap::new(&mut memory, Paging::new(routines, &features)));
        let root = map.root();
        Self {
            memory: ManuallyDrop::new(memory),
            map,
            root,
            limits,
            routines,
            frames,
            list: Vec::new(),
            format: PhantomData,
        }
    }

    #[inline(always)]
    fn map(&mut self, va: u64, pa: u64) {
        self.call((va, pa), |tree, (va, pa)| tree.put(va, 1, pa));
    }

    fn zero_ahead(&mut self) -> bool {
        while self.memory.zero_ahead() {}
        true
    }

    #[inline(always)]
    fn map_large(&mut self, va: u64, pa: u64, shift: u32) {
        self.call((va, pa, 1 << (shift - 12)), |tree, (va, pa, pages)| tree.put(va, pages, pa));
    }

    #[inline(always)]
    fn translate(&self, va: u64) -> u64 {
        let direct = |tree: &mut &Self, va| (tree.routines().translate)(&tree.memory, tree.root, VirtAddr(va));
        let at = if TABLE { direct(&mut &*self, va) } else { out_of_line(&mut &*self, va, direct) };
        at.map_or(0, |at| at.0)
    }

    #[inline(always)]
    fn unmap(&mut self, va: u64) {
        self.call(va, |tree, va| {
            let range = range(va, 1);
            let stale = done((tree.routines().unmap)(&mut tree.memory, tree.root, range, Holes::Refuse, None));
            tree.forget(stale);
        });
    }

    #[inline(always)]
    fn protect(&mut self, va: u64) {
        self.call(va, |tree, va| {
            let request = ProtectRequest { range: range(va, 1), flags: READ_ONLY, live: false };
            let stale = done((tree.routines().protect)(&mut tree.memory, tree.root, &tree.limits, &request));
            tree.forget(stale);
        });
    }

    #[inline(never)]
    fn map_range(&mut self, va: u64, pa: u64, pages: usize) {
        self.put(va, pages, pa);
    }

    fn prepare_list(&mut self, frames: &[u64]) {
        self.list = frames.iter().map(|pa| PhysAddr(*pa).frame()).collect();
    }

    #[inline(never)]
    fn map_list(&mut self, va: u64, _frames: &[u64]) -> bool {
        let request = ListRequest { start: VirtAddr(va), frames: &self.list, flags: WRITABLE };
        done((self.routines().map_list)(&mut self.memory, self.root, &self.limits, &request));
        true
    }

    #[inline(never)]
    fn step_through(&mut self, what: Steps, va: u64, pa: u64, pages: usize) -> bool {
        let first = PhysAddr(pa).frame();
        let steps = |cursor: &mut Cursor| {
            for n in 0..pages as u64 {
                match what {
                    Steps::Map => done(cursor.map(first.offset(n), WRITABLE)),
                    Steps::Unmap => drop(black_box(done(cursor.unmap()))),
                    Steps::Protect => done(cursor.protect(READ_ONLY)),
                }
                cursor.skip(1);
            }
        };
        let ((), stale) = done(self.map.with_cursor(&mut self.memory, range(va, pages), steps));
        self.forget(stale);
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, va: u64, pages: usize) {
        let stale = done((self.routines().unmap)(&mut self.memory, self.root, range(va, pages), Holes::Skip, None));
        self.forget(stale);
    }

    #[inline(never)]
    fn unmap_range_frames(&mut self, va: u64, pages: usize) -> Option<u64> {
        let mut sum: u64 = 0;
        let mut report = |run: FrameRun| {
            (0..run.count).for_each(|n| sum = sum.wrapping_add(run.first.0 + n));
        };
        let (range, report) = (range(va, pages), Some(&mut report as &mut dyn FnMut(FrameRun)));
        let stale = done((self.routines().unmap)(&mut self.memory, self.root, range, Holes::Refuse, report));
        self.forget(stale);
        Some(sum)
    }

    #[inline(never)]
    fn protect_range(&mut self, va: u64, pages: usize) {
        let request = ProtectRequest { range: range(va, pages), flags: READ_ONLY, live: false };
        let stale = done((self.routines().protect)(&mut self.memory, self.root, &self.limits, &request));
        self.forget(stale);
    }

    #[inline(never)]
    fn destroy(mut self) {
        (self.routines().free)(&mut self.memory, self.root);
    }

    fn tables(&self) -> u64 {
        self.frames - self.memory.free_frames()
    }
}
