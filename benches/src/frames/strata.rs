//! `mm::Frames`, and `mm::frames::FrameCache` in front of it.

use mm::frames::{Depot, FrameCache};
use mm::{Frame, FrameRun, Frames};

use super::threads::{SharedAllocator, Spin};
use super::{FRAMES, FrameAllocator, microseconds};
use crate::host::Mapping;

const RUNS: [FrameRun; 1] = [FrameRun { first: Frame(0), count: FRAMES }];

fn metadata() -> (Mapping, &'static mut [u64]) {
    let words = Frames::metadata_words(&RUNS, &[]);
    let mapping = Mapping::new(words * 8, 2 << 20);
    // SAFETY: a new mapping of that many bytes, kept as long as the slice; every bit pattern is a `u64`.
    let words = unsafe { std::slice::from_raw_parts_mut(mapping.at().cast::<u64>(), words) };
    words.fill(1);
    (mapping, words)
}

fn made(metadata: &'static mut [u64]) -> Frames {
    match Frames::new(&RUNS, &[], metadata) {
        Ok(frames) => frames,
        Err(error) => unreachable!("{error}"),
    }
}

/// The buddy allocator itself.
pub struct Core(Frames, #[expect(dead_code, reason = "the metadata lies in it")] Mapping);

impl FrameAllocator for Core {
    fn new() -> Self {
        let (mapping, metadata) = metadata();
        Self(made(metadata), mapping)
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        self.0.alloc(order, Frames::ANYWHERE).ok().map(|first| first.0)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        assert!(self.0.free(Frame(first), order).is_ok());
    }

    fn set_up() -> Option<(u64, f64)> {
        let (_mapping, metadata) = metadata();
        let bytes = 8 * metadata.len() as u64;
        let (_, time) = microseconds(|| made(metadata));
        Some((bytes, time))
    }
}

/// With the cache of one CPU in front, as the kernel uses it.
pub struct Cached {
    core: Core,
    cache: FrameCache,
}

#[inline(always)]
fn alloc(cache: &mut FrameCache, depot: &mut impl Depot, order: u8) -> Option<u64> {
    cache.alloc_block(depot, order, Frames::ANYWHERE).ok().map(|first| first.0)
}

#[inline(always)]
fn free(cache: &mut FrameCache, depot: &mut impl Depot, first: u64, order: u8) {
    assert!(cache.free_block(depot, Frame(first), order).is_ok());
}

impl FrameAllocator for Cached {
    fn new() -> Self {
        Self { core: Core::new(), cache: FrameCache::new(Frames::ANYWHERE) }
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        alloc(&mut self.cache, &mut self.core.0, order)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        free(&mut self.cache, &mut self.core.0, first, order);
    }

    fn set_up() -> Option<(u64, f64)> {
        Core::set_up()
    }
}

/// A cache for each thread, and one lock.
pub struct Threads(Spin<Core>);

thread_local! {
    static CACHE: std::cell::RefCell<FrameCache> = const { std::cell::RefCell::new(FrameCache::new(Frames::ANYWHERE)) };
}

struct Lock<'a>(&'a Spin<Core>);

impl Depot for Lock<'_> {
    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
        self.0.with(|core| work(&mut core.0))
    }
}

impl Threads {
    /// All frames free and no cache filled.
    pub fn new() -> Self {
        Self(Spin::new(Core::new()))
    }
}

impl SharedAllocator for Threads {
    #[inline(never)]
    fn alloc(&self, order: u8) -> Option<u64> {
        CACHE.with_borrow_mut(|cache| alloc(cache, &mut Lock(&self.0), order))
    }

    #[inline(never)]
    fn free(&self, first: u64, order: u8) {
        CACHE.with_borrow_mut(|cache| free(cache, &mut Lock(&self.0), first, order));
    }
}
