//! Page tables: the workloads A1 to A8, and a list of scattered frames.

mod aarch64_paging;
mod hand;
mod limit;
mod multiarch;
mod page_table_generic;
mod strata;
mod x86_64;

use std::hint::black_box;
use std::time::Instant;

use crate::arena;
use crate::rng::Rng;
use crate::table::Sample;

/// What is measured, under the names that `docs/performance.md` explains.
pub const WORKLOADS: [&str; 19] = [
    "A1",
    "A2",
    "A3a",
    "A3a-pool",
    "A3b",
    "A4a",
    "A4b",
    "A5a",
    "A5b",
    "A5b-frames",
    "A6a",
    "A6b",
    "A7a",
    "A7b",
    "A8",
    "list",
    "cursor map",
    "cursor unmap",
    "cursor protect",
];

/// What a contestant can map.
pub struct Shape {
    /// How many 4 KiB pages the sequential workloads map: 4 GiB, but less where the address space is no larger.
    pub pages: usize,
    /// The first address that they map.
    pub start: u64,
    /// log2 of the bytes that a large page covers, and how many of them A7a and A7b map.
    pub large: [Option<(u32, usize)>; 2],
    /// Whether 47 bits of address can be mapped sparsely.
    pub sparse: bool,
    /// Whether a tree can be destroyed as a whole.
    pub destroy: bool,
}

/// Four levels.
pub const AMD64: Shape = Shape {
    pages: 1 << 20,
    start: 256 << 30,
    large: [Some((21, 1 << 17)), Some((30, 1 << 16))],
    sparse: true,
    destroy: true,
};

/// The user half of a 32-bit address space, as far as it is a power of two, with large pages of `1 << shift` bytes.
pub const fn i686(shift: u32) -> Shape {
    Shape { pages: 1 << 19, start: 0, large: [Some((shift, 1 << (31 - shift))), None], sparse: false, destroy: true }
}

/// What a cursor does at each page.
#[derive(Clone, Copy)]
pub enum Steps {
    Map,
    Unmap,
    Protect,
}

/// A crate's page tables. Each function is one call into the crate, or a loop of calls where the crate has no call for
/// it, and is never inlined into the workload's loop.
pub trait PageTables: Sized {
    /// What can be mapped.
    const SHAPE: Shape = AMD64;

    /// An empty tree, in an arena of which nothing is taken.
    fn new() -> Self;

    /// Maps a 4 KiB page for reading and writing by ring 3.
    fn map(&mut self, va: u64, pa: u64);

    /// Zeroes frames for tables to come, as far as they are kept. Whether any are.
    fn zero_ahead(&mut self) -> bool {
        false
    }

    /// Maps a page of `1 << shift` bytes.
    fn map_large(&mut self, va: u64, pa: u64, shift: u32);

    /// The physical address that `va` is mapped to, 0 if it is not.
    fn translate(&self, va: u64) -> u64;

    /// Unmaps a 4 KiB page.
    fn unmap(&mut self, va: u64);

    /// Makes a 4 KiB page read-only.
    fn protect(&mut self, va: u64);

    /// Maps `pages` pages in 4 KiB entries: `pa` is not aligned as `va` is.
    fn map_range(&mut self, va: u64, pa: u64, pages: usize);

    /// Told of the list that [`map_list`](Self::map_list) will be given, to put it into the crate's own words.
    fn prepare_list(&mut self, _frames: &[u64]) {}

    /// Maps the frames of a list, page by page. Whether the crate has a call for it.
    fn map_list(&mut self, va: u64, frames: &[u64]) -> bool;

    /// Unmaps `pages` pages; with it the tables go back that nothing needs any more, if the crate can.
    fn unmap_range(&mut self, va: u64, pages: usize);

    /// The same, and returns a sum over the frames that have become free. `None` if the crate does not tell them.
    fn unmap_range_frames(&mut self, _va: u64, _pages: usize) -> Option<u64> {
        None
    }

    /// Makes `pages` pages read-only.
    fn protect_range(&mut self, va: u64, pages: usize);

    /// Goes through `pages` pages by a cursor that keeps its place: maps each, unmaps it or makes it read-only. Whether the
    /// crate has such a thing.
    fn step_through(&mut self, _what: Steps, _va: u64, _pa: u64, _pages: usize) -> bool {
        false
    }

    /// Gives the whole tree back.
    fn destroy(self);

    /// How many frames are in use.
    fn tables(&self) -> u64 {
        arena::used()
    }
}

/// The numbers that all contestants are given.
pub struct Data {
    /// The pages of a sequential workload in random order.
    shuffled: Vec<u32>,
    /// A million of the first 64 K pages.
    near: Vec<u32>,
    /// Pages in 47 bits of address, all different.
    sparse: Vec<u64>,
    /// Frames in random order, one a page.
    scattered: Vec<u64>,
}

/// The frames that are mapped begin here: odd, so that no page larger than 4 KiB fits.
const PHYS: u64 = 0x1_0001 << 12;
const NEAR: usize = 64 << 10;
const SPARSE: usize = 64 << 10;

impl Data {
    fn new(pages: usize) -> Self {
        let mut rng = Rng(1);
        let mut shuffled: Vec<u32> = (0..pages as u32).collect();
        rng.shuffle(&mut shuffled);
        let near = (0..pages).map(|_| rng.below(NEAR as u64) as u32).collect();
        let mut sparse: Vec<u64> = (0..SPARSE).map(|_| rng.below(1 << 35) << 12).collect();
        sparse.sort_unstable();
        sparse.dedup();
        rng.shuffle(&mut sparse);
        let mut scattered: Vec<u64> = (0..pages as u64).map(|n| PHYS + (n << 12)).collect();
        rng.shuffle(&mut scattered);
        Self { shuffled, near, sparse, scattered }
    }
}

fn timed(operations: usize, tables: u64, work: impl FnOnce()) -> Sample {
    let start = Instant::now();
    work();
    Sample { ns: start.elapsed().as_nanos() as f64 / operations as f64, extra: tables }
}

/// Runs one workload once. `None` if the contestant has no such operation.
fn sample<T: PageTables>(workload: &str, data: &Data) -> Option<Sample> {
    let shape = T::SHAPE;
    let (pages, start) = (shape.pages, shape.start);
    let page = |n: u32| start + (u64::from(n) << 12);
    let frame = |n: u32| PHYS + (u64::from(n) << 12);
    arena::reset();
    let mut tree = T::new();
    if matches!(
        workload,
        "A4a" | "A5a" | "A5b" | "A5b-frames" | "A6a" | "A6b" | "A8" | "cursor unmap" | "cursor protect"
    ) {
        tree.map_range(start, PHYS, pages);
    }
    let all = 0..pages as u32;
    let mut result = match workload {
        "A1" => timed(pages, 0, || all.for_each(|n| tree.map(page(n), frame(n)))),
        "A2" => timed(pages, 0, || tree.map_range(start, PHYS, pages)),
        "A3a" if shape.sparse => timed(data.sparse.len(), 0, || data.sparse.iter().for_each(|va| tree.map(*va, PHYS))),
        "A3a-pool" if shape.sparse => map_from_pool(&mut tree, &data.sparse)?,
        "A3b" => timed(pages, 0, || data.shuffled.iter().for_each(|n| tree.map(page(*n), frame(*n)))),
        "A4a" => timed(pages, 0, || {
            black_box(data.shuffled.iter().fold(0, |sum: u64, n| sum.wrapping_add(tree.translate(page(*n)))));
        }),
        "A4b" => {
            tree.map_range(start, PHYS, NEAR);
            timed(pages, 0, || {
                black_box(data.near.iter().fold(0, |sum: u64, n| sum.wrapping_add(tree.translate(page(*n)))));
            })
        }
        "A5a" => timed(pages, 0, || all.for_each(|n| tree.unmap(page(n)))),
        "A5b" => timed(pages, 0, || tree.unmap_range(start, pages)),
        "A5b-frames" => {
            let mut sum = None;
            let result = timed(pages, 0, || sum = tree.unmap_range_frames(start, pages));
            let expected = (0..pages as u64).fold(0, |sum: u64, n| sum.wrapping_add((PHYS >> 12) + n));
            assert_eq!(sum?, expected, "the frames that became free");
            result
        }
        "A6a" => timed(pages, 0, || all.for_each(|n| tree.protect(page(n)))),
        "A6b" => timed(pages, 0, || tree.protect_range(start, pages)),
        "cursor map" | "cursor unmap" | "cursor protect" => {
            let what = match workload {
                "cursor map" => Steps::Map,
                "cursor unmap" => Steps::Unmap,
                _ => Steps::Protect,
            };
            let mut can = false;
            let result = timed(pages, 0, || can = tree.step_through(what, start, PHYS, pages));
            if !can {
                return None;
            }
            result
        }
        "A7a" => large(&mut tree, shape.large[0]?),
        "A7b" => large(&mut tree, shape.large[1]?),
        "A8" if shape.destroy => {
            let result = timed(pages, 0, || tree.destroy());
            return Some(result);
        }
        "list" => {
            let mut can = false;
            tree.prepare_list(&data.scattered);
            let result = timed(pages, 0, || can = tree.map_list(start, &data.scattered));
            if !can {
                return None;
            }
            result
        }
        _ => return None,
    };
    result.extra = tree.tables();
    check(&tree, workload, data);
    Some(result)
}

/// Maps a few pages at a time, and before each few lets zeroed tables be kept, which takes none of the time.
fn map_from_pool<T: PageTables>(tree: &mut T, pages: &[u64]) -> Option<Sample> {
    // None needs more than three tables, of which 32 are kept.
    const FEW: usize = 8;
    let mut sum = 0.0;
    for few in pages.chunks(FEW) {
        if !tree.zero_ahead() {
            return None;
        }
        sum += timed(pages.len(), 0, || few.iter().for_each(|va| tree.map(*va, PHYS))).ns;
    }
    Some(Sample { ns: sum, extra: 0 })
}

/// Maps large pages from one address and frame on that are aligned for any size.
fn large<T: PageTables>(tree: &mut T, (shift, count): (u32, usize)) -> Sample {
    let start = if T::SHAPE.sparse && shift < 30 { 512 << 30 } else { 0 };
    let mut result = timed(count, 0, || {
        for n in 0..count as u64 {
            tree.map_large(start + (n << shift), n << shift, shift);
        }
    });
    let last = (count as u64 - 1) << shift;
    assert_eq!(tree.translate(start + last + 0x5000), last + 0x5000, "the last large page");
    result.extra = tree.tables();
    result
}

/// Looks at some pages: a contestant that did nothing would be quick.
fn check<T: PageTables>(tree: &T, workload: &str, data: &Data) {
    for n in data.shuffled.iter().take(100) {
        let va = T::SHAPE.start + (u64::from(*n) << 12);
        let expected = match workload {
            "A1" | "A2" | "A3b" | "A4a" | "A6a" | "A6b" | "cursor map" | "cursor protect" => {
                PHYS + (u64::from(*n) << 12)
            }
            "A5a" | "A5b" | "A5b-frames" | "cursor unmap" => 0,
            "list" => data.scattered[*n as usize],
            _ => return,
        };
        assert_eq!(tree.translate(va), expected, "{workload}: page {n}");
    }
}

/// Runs a workload once.
pub type Run = Box<dyn Fn(&str) -> Option<Sample>>;

/// The contestants, each with what runs its workloads. Those in a format other than four levels come last.
pub fn contestants() -> Vec<(&'static str, Run)> {
    fn of<T: PageTables + 'static>(name: &'static str) -> (&'static str, Run) {
        let data = Data::new(T::SHAPE.pages);
        (name, Box::new(move |workload| sample::<T>(workload, &data)))
    }
    let data = Data::new(AMD64.pages);
    vec![
        ("limit", Box::new(move |workload: &str| limit::sample(workload, &data)) as Run),
        ("limit-u64", Box::new(limit::sample_u64) as Run),
        of::<hand::Tree>("hand-written"),
        of::<strata::Pml4>("**Strata pml4**"),
        of::<strata::Pml4Direct>("Strata pml4, direct"),
        of::<strata::Pml5>("Strata pml5"),
        of::<strata::Pml3>("Strata pml3"),
        of::<strata::Pml2>("Strata pml2"),
        of::<x86_64::Mapped>("x86_64 Mapped"),
        of::<x86_64::Offset>("x86_64 Offset"),
        of::<multiarch::Tree>("page_table_multiarch"),
        of::<page_table_generic::Tree>("page-table-generic"),
        of::<aarch64_paging::Tree>("aarch64-paging"),
    ]
}
