//! From the memory map to frames that can be handed out.

use core::fmt;

use kernel::{CpuMemory, Memories};
use mm::frames::Boundary;
use mm::{
    Frame, FrameError, FrameRun, Frames, Kind, Layout, Memory, MemoryMap, PAGE_SIZE, PhysAddr, Pool, Region, Window,
};
use spin::{Mutex, MutexGuard, Once};

/// Strata asks for 16 MiB. Of so much, firmware and the holes below 1 MiB take their share, so this counts as 16.
const LEAST_KIB: u64 = 15 * 1024;

/// Regions that a memory map can have: more than a thousand that overlap in every way.
const REGIONS: usize = 4096;

/// The first frame above 16 MiB and above 4 GiB: what old devices and 32-bit ones can reach.
const DMA_END: Frame = Frame(16 << 8);
const DMA32_END: Frame = Frame(4 << 18);

/// What the memories of all CPUs have in common, and that of the first.
static POOL: Once<Pool> = Once::new();
static FIRST: Once<CpuMemory> = Once::new();
static MEMORIES: Memories = Memories::new();

/// Why there is no memory to work with.
#[derive(Clone, Copy, Debug)]
pub enum Shortage {
    /// The loader listed no memory.
    NoMap,
    /// The loader listed less RAM than Strata needs, in KiB.
    TooLittle(u64),
    /// No run of RAM that can be reached this early holds the allocator's metadata, in KiB.
    NoRoom(u64),
    /// The allocator refused the map.
    Refused(FrameError),
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Shortage::NoMap => f.write_str("the loader gave no memory map, so there is no memory to work with"),
            Shortage::TooLittle(kib) => {
                write!(f, "Strata needs 16 MiB of RAM; the memory map lists {kib} KiB that this CPU can reach")
            }
            Shortage::NoRoom(kib) => {
                write!(f, "no {kib} KiB of free RAM in a row for the frame allocator, where it can be reached at boot")
            }
            Shortage::Refused(error) => write!(f, "the frame allocator cannot work with the memory map: {error}"),
        }
    }
}

/// An empty memory map with room for [`REGIONS`] regions.
///
/// # Panics
/// If it is called twice.
pub fn empty_map() -> MemoryMap<'static> {
    const NOTHING: Region = Region { start: PhysAddr(0), end: PhysAddr(0), kind: Kind::Usable };
    static STORAGE: Mutex<[Region; REGIONS]> = Mutex::new([NOTHING; REGIONS]);
    let storage = STORAGE.try_lock().expect("there is one memory map");
    MemoryMap::new(&mut MutexGuard::leak(storage)[..])
}

/// Takes stock: carves the allocator's metadata out of `map` and hands it every usable frame.
///
/// # Errors
/// A [`Shortage`]; the map may then have its metadata carved out.
pub fn take_stock(map: &mut MemoryMap<'static>, window: Window, layout: &Layout) -> Result<Memory, Shortage> {
    static RUNS: Mutex<[FrameRun; REGIONS]> = Mutex::new([FrameRun { first: Frame(0), count: 0 }; REGIONS]);
    if map.iter().all(|region| region.kind == Kind::Image || region.end.0 <= PAGE_SIZE) {
        return Err(Shortage::NoMap);
    }
    if map.total_ram_kib() < LEAST_KIB {
        return Err(Shortage::TooLittle(map.total_ram_kib()));
    }
    let boundaries = [
        Boundary { end: DMA_END, name: "dma" },
        Boundary { end: Frame(layout.aperture.pages).min(DMA32_END), name: "low" },
        Boundary { end: DMA32_END, name: "dma32" },
    ];
    let mut storage = RUNS.lock();
    let words = Frames::metadata_words(collect(map, &mut storage[..]), &boundaries);
    // Carving may cut one run in two, which takes a few words more.
    let pages = (words as u64 * 8).div_ceil(PAGE_SIZE) + 1;
    let home = highest(map, pages, window.frames().end()).ok_or(Shortage::NoRoom(pages * 4))?;
    map.reserve(home.start(), home.offset(pages).start(), Kind::Metadata);
    let at = window.at(home).cast::<u64>();
    // SAFETY: the frames are RAM that the map now lists as the metadata's, so nobody else has them; the window shows
    // them one after another, and every bit pattern is a `u64`.
    let metadata = unsafe { core::slice::from_raw_parts_mut(at, (pages * PAGE_SIZE / 8) as usize) };
    let runs = collect(map, &mut storage[..]);
    let frames = Frames::new(runs, &boundaries, metadata).map_err(Shortage::Refused)?;
    Ok(Memory::new(window, frames))
}

/// The usable runs of `map`, as many as there is room for.
fn collect<'a>(map: &MemoryMap, storage: &'a mut [FrameRun]) -> &'a [FrameRun] {
    let mut count = 0;
    for (slot, run) in storage.iter_mut().zip(map.usable_runs()) {
        *slot = run;
        count += 1;
    }
    &storage[..count]
}

/// The highest `pages` usable frames in a row below `end`: low memory is left for those who can use nothing else.
fn highest(map: &MemoryMap, pages: u64, end: Frame) -> Option<Frame> {
    let fits = |run: FrameRun| run.end().min(end).0.checked_sub(pages).filter(|first| *first >= run.first.0);
    map.usable_runs().filter_map(fits).max().map(Frame)
}

/// The memories of the running kernel, once it has one.
pub fn installed() -> Option<&'static Memories> {
    FIRST.get().map(|_| &MEMORIES)
}

/// Hands the memory over for the rest of the kernel's life.
pub fn install(memory: Memory) -> &'static Memories {
    let memory = memory.pooled(|pool| POOL.call_once(|| pool));
    MEMORIES.install(FIRST.call_once(|| CpuMemory::new(memory)));
    &MEMORIES
}
