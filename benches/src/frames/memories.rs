//! B6, with a memory for each thread as the kernel has one for each CPU: what they have in common is the allocator behind its lock.
//!
//! *Pair*: a frame is taken and given back. *Batch*: 128 frames are taken and given back, so that caches are filled and emptied.
//! *Map*: 512 pages of a tree of the thread's own are mapped and unmapped a call each, and their tables with them, so that each
//! round takes and gives back two or three. Nanoseconds for a frame or a page, both ways, of the slowest thread.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use mm::{
    Features, Frame, FrameRun, Frames, MapRequest, Memory, PageFlags, PageMap, PageRange, Paging, Rights, VirtAddr,
    Window,
};

use super::Row;
use crate::host::{self, Mapping};

/// Frames that tables come from, 256 MiB.
const FRAMES: u64 = 1 << 16;
const BATCH: usize = 128;
const PAGES: u64 = 512;
const ROUNDS: u64 = 1000;

/// How often each is measured; the least counts.
const TIMES: usize = 5;

/// Where pages are mapped.
const HERE: VirtAddr = VirtAddr(0x4000_0000);

/// The names of the rows on 1, 2 and 4 threads.
const THREADS: [(usize, [&str; 3]); 3] = [
    (1, ["B6 pair 1T", "B6 batch 1T", "B6 map 1T"]),
    (2, ["B6 pair 2T", "B6 batch 2T", "B6 map 2T"]),
    (4, ["B6 pair 4T", "B6 batch 4T", "B6 map 4T"]),
];

/// Measures all of it.
pub fn rows() -> Vec<Row> {
    let (memory, _mapping) = memory();
    let works: [fn(&mut Memory) -> u64; 3] = [pairs, batches, maps];
    let mut rows = Vec::new();
    for (threads, names) in THREADS {
        for (name, work) in names.into_iter().zip(works) {
            let times = (0..TIMES).map(|_| on_threads(threads, &memory, work));
            rows.push((name, times.fold(f64::INFINITY, f64::min)));
        }
    }
    rows
}

/// A memory whose books others can share, over frames that are there as long as the mapping is.
fn memory() -> (Memory, Mapping) {
    let run = FrameRun { first: Frame(0), count: FRAMES };
    let mapping = Mapping::new((FRAMES as usize) << 12, 2 << 20);
    let metadata = vec![0; Frames::metadata_words(&[run], &[])].leak();
    let Ok(frames) = Frames::new(&[run], &[], metadata) else { unreachable!("one run is in order") };
    // SAFETY: the mapping shows so many frames, and the caller keeps it as long as the memory.
    let window = unsafe { Window::new(mapping.at(), run) };
    (Memory::new(window, frames).pooled(|pool| Box::leak(Box::new(pool))), mapping)
}

/// Nanoseconds an operation, of the slowest of `threads` threads, on a CPU each as far as there are so many.
fn on_threads(threads: usize, memory: &Memory, work: fn(&mut Memory) -> u64) -> f64 {
    let (start, longest) = (&Barrier::new(threads), &AtomicU64::new(0));
    let own: Vec<_> = (0..threads).filter_map(|_| memory.another()).collect();
    std::thread::scope(|scope| {
        for (cpu, mut memory) in own.into_iter().enumerate() {
            scope.spawn(move || {
                host::pin(cpu % host::cpus());
                work(&mut memory);
                start.wait();
                let before = host::cpu_time();
                let operations = work(&mut memory);
                longest.fetch_max((host::cpu_time() - before) * 1000 / operations, Ordering::Relaxed);
                memory.drain();
            });
        }
    });
    longest.load(Ordering::Relaxed) as f64 / 1000.0
}

fn pairs(memory: &mut Memory) -> u64 {
    let pairs = ROUNDS * PAGES;
    for _ in 0..pairs {
        let Ok(frame) = memory.take(0, Frames::ANYWHERE) else { unreachable!("memory is nearly empty") };
        memory.put(std::hint::black_box(frame));
    }
    pairs
}

fn batches(memory: &mut Memory) -> u64 {
    let mut held = Vec::with_capacity(BATCH);
    for _ in 0..ROUNDS {
        while held.len() < BATCH {
            let Ok(frame) = memory.take(0, Frames::ANYWHERE) else { unreachable!("memory is nearly empty") };
            held.push(frame);
        }
        held.drain(..).for_each(|frame| memory.put(frame));
    }
    ROUNDS * BATCH as u64
}

fn maps(memory: &mut Memory) -> u64 {
    const RIGHTS: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));
    let paging = Paging::new(
        &mm::amd64::PML4,
        &Features { nx: true, pse: true, pae: true, phys_bits: 46, ..Features::default() },
    );
    let Ok(mut map) = PageMap::new(memory, paging) else { unreachable!("memory is nearly empty") };
    let page = |n: u64| PageRange::new(HERE.offset(n << 12), 1);
    for _ in 0..ROUNDS {
        for n in 0..PAGES {
            let told = map.map(memory, &MapRequest { range: page(n), first: Frame(n), flags: RIGHTS });
            assert!(told.is_ok());
        }
        for n in 0..PAGES {
            let Ok(stale) = map.unmap(memory, page(n), None) else { unreachable!("it was mapped") };
            // SAFETY: no CPU walks the tree.
            unsafe { stale.forget(memory) };
        }
        let Ok(stale) = map.trim(memory, PageRange::new(HERE, PAGES)) else { unreachable!("the range is in order") };
        // SAFETY: as above.
        unsafe { stale.forget(memory) };
    }
    // SAFETY: as above.
    unsafe { map.free(memory) };
    ROUNDS * PAGES
}
