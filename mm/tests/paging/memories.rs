//! Several memories over the same frames, as several CPUs have them.

use std::sync::{Arc, Mutex, MutexGuard};

use mm::{
    Frame, FrameRun, Frames, MapRequest, Memory, Mmu, PageFlags, PageMap, PageRange, Peers, Rights, ShareError,
    VirtAddr, Window,
};

use crate::machine::arena::Arena;
use crate::machine::tlb::Tlb;
use crate::machine::{FULL, MODES, cpu, routines};

const FLAGS: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));
const HERE: VirtAddr = VirtAddr(0x40_3000);
const FIRST: Frame = Frame(0xF_F000);

/// Frames of which the first two hold the books.
const FRAMES: usize = 512;

/// `count` memories over the frames of an arena, and how many frames are free.
pub fn memories(count: usize) -> (Arena, Vec<Memory>, u64) {
    memories_of(count, FRAMES)
}

/// The same over so many `frames`.
pub fn memories_of(count: usize, frames: usize) -> (Arena, Vec<Memory>, u64) {
    let arena = Arena::new(FIRST.0, frames);
    let all = FrameRun { first: FIRST, count: frames as u64 };
    let free = FrameRun { first: FIRST.offset(2), count: frames as u64 - 2 };
    // SAFETY: the first two frames of the arena, which nobody else uses; it is dropped after the memories.
    let books = unsafe { std::slice::from_raw_parts_mut(arena.base().cast::<u64>(), 1024) };
    let allocator = Frames::new(&[free], &[], books).expect("two frames are enough for the books");
    // SAFETY: the arena shows these frames and outlives the memories.
    let first =
        Memory::new(unsafe { Window::new(arena.base(), all) }, allocator).pooled(|pool| Box::leak(Box::new(pool)));
    let total = first.free_frames();
    let mut memories = vec![first];
    while memories.len() < count {
        memories.push(memories[0].another().expect("the books are shared"));
    }
    (arena, memories, total)
}

fn page(va: VirtAddr) -> PageRange {
    PageRange::new(va, 1)
}

fn request(va: VirtAddr, frame: u64) -> MapRequest {
    MapRequest { range: page(va), first: Frame(frame), flags: FLAGS }
}

/// A tree's frames at `HERE` and the page after it, looked up from the root by a memory that has no hint.
fn found(fresh: &Memory, map: &PageMap) -> [Option<u64>; 2] {
    [HERE, HERE.offset(0x1000)].map(|va| map.query(fresh, va).map(|leaf| leaf.frame.0))
}

#[test]
fn a_table_that_one_takes_out_is_no_hint_to_another() {
    for mode in MODES {
        let (_arena, mut all, total) = memories(3);
        let [one, other, fresh] = &mut all[..] else { unreachable!("three were made") };
        let mut map = PageMap::new(one, mm::Paging::new(routines(mode), &FULL)).expect("there is room");
        for round in 0..3 {
            // Both come to the table of level 1, and note where it lies.
            map.map(one, &request(HERE, 7)).expect("free");
            map.map(other, &request(HERE.offset(0x1000), 8)).expect("free");
            map.map(one, &request(HERE.offset(0x2000), 9)).expect("free");
            assert_eq!(found(fresh, &map), [Some(7), Some(8)], "{mode:?}, {round}");
            let user = PageRange::new(VirtAddr(0x40_0000), 1024);
            let stale = map.clear(other, user, None).expect("in order");
            assert!(stale.tables_held() > 0, "{mode:?}: no table was taken out, so nothing is tried");
            // SAFETY: no CPU walks the tree.
            unsafe { stale.forget(other) };
            // The table is somebody else's by now.
            let held: Vec<_> = (0..8).map(|_| other.take(0, Frames::ANYWHERE).expect("a frame")).collect();
            assert_eq!(map.translate(one, HERE), None, "{mode:?}, {round}");
            // Where the old table has nothing: it would not look occupied to whoever came to it.
            let new = HERE.offset(0x5000);
            map.map(one, &request(new, 10)).expect("free");
            let leaf = map.query(fresh, new).map(|leaf| leaf.frame.0);
            assert_eq!(leaf, Some(10), "{mode:?}, {round}: mapped where no tree leads");
            assert_eq!(found(fresh, &map), [None, None], "{mode:?}, {round}");
            // SAFETY: as above.
            unsafe { map.clear(one, user, None).expect("in order").forget(one) };
            held.into_iter().for_each(|frame| other.put(frame));
        }
        // SAFETY: as above.
        unsafe { map.free(one) };
        all.iter_mut().for_each(Memory::drain);
        assert_eq!(all[0].free_frames(), total, "{mode:?}");
    }
}

/// The memories, each behind a lock, as a kernel has them.
struct Behind(Vec<Mutex<Memory>>);

impl Peers for Behind {
    fn each(&self, _drained: bool, visit: &mut dyn FnMut(&mut Memory)) {
        // Whoever asks holds its own.
        self.0.iter().filter_map(|memory| memory.try_lock().ok()).for_each(|mut memory| visit(&mut memory));
    }
}

fn behind_locks(memories: Vec<Memory>) -> &'static Behind {
    let pool = memories[0].pool().expect("the books are shared");
    let all: &'static Behind = Box::leak(Box::new(Behind(memories.into_iter().map(Mutex::new).collect())));
    pool.set_peers(all);
    all
}

fn of(all: &Behind, cpu: usize) -> MutexGuard<'_, Memory> {
    all.0[cpu].lock().expect("nobody panics")
}

#[test]
fn what_one_has_at_hand_counts_and_can_be_had() {
    let (_arena, memories, total) = memories(2);
    let all = behind_locks(memories);
    for order in [0, 1, 3] {
        let mut held = Vec::new();
        while let Ok(block) = of(all, 0).take(0, Frames::ANYWHERE) {
            held.push(block);
        }
        assert_eq!((held.len() as u64, of(all, 0).free_frames()), (total, 0), "{order}");
        held.into_iter().for_each(|frame| of(all, 0).put(frame));
        // The other one takes everything in blocks, and keeps some of what it gives back.
        let mut blocks = Vec::new();
        while let Ok(block) = of(all, 1).take(order, Frames::ANYWHERE) {
            blocks.push(block);
        }
        let kept = blocks.pop().expect("there are blocks");
        let frame = kept.run().first;
        of(all, 1).put(kept);
        for cpu in 0..2 {
            let memory = of(all, cpu);
            assert!(memory.is_free(frame) && memory.is_cached(frame), "{order}: not seen as free by {cpu}");
            assert_eq!(memory.owners(frame), Err(ShareError::Free), "{order}");
        }
        let taken = of(all, 0).take(order, Frames::ANYWHERE).expect("the other one has a block at hand");
        of(all, 0).put(taken);
        blocks.into_iter().for_each(|block| of(all, 0).put(block));
        for cpu in 0..2 {
            assert_eq!(of(all, cpu).free_frames(), total, "{order}");
        }
    }
}

#[test]
fn trees_that_change_at_once_are_apart() {
    const THREADS: usize = 4;
    for mode in MODES {
        let (_arena, memories, total) = memories(THREADS);
        let all = behind_locks(memories);
        std::thread::scope(|scope| {
            for cpu in 0..THREADS {
                scope.spawn(move || {
                    let paging = mm::Paging::new(routines(mode), &FULL);
                    for round in 0..40 {
                        let memory = &mut of(all, cpu);
                        let mut map = PageMap::new(memory, paging).expect("there is room");
                        let places = [0, 1, 2, 1024, 1025, 4096].map(|n| HERE.offset(n << 12));
                        let frame = |n: usize| (cpu * 100 + n + round) as u64;
                        for (n, va) in places.into_iter().enumerate() {
                            map.map(memory, &request(va, frame(n))).expect("free");
                        }
                        for (n, va) in places.into_iter().enumerate() {
                            assert_eq!(map.query(memory, va).map(|leaf| leaf.frame.0), Some(frame(n)), "{mode:?}");
                        }
                        for (n, va) in places.into_iter().enumerate() {
                            // Whole tables go.
                            let whole = PageRange::new(VirtAddr(va.0 & !0x3F_FFFF), 1024);
                            // SAFETY: no CPU walks the tree.
                            unsafe { map.clear(memory, whole, None).expect("in order").forget(memory) };
                            map.map(memory, &request(va, frame(n))).expect("free");
                        }
                        let owner = memory.take(0, Frames::ANYWHERE).expect("a frame");
                        assert_eq!(memory.share(owner.run().first), Ok(2));
                        assert_eq!(memory.unshare(owner.run().first), Ok(1));
                        memory.put(owner);
                        // SAFETY: as above.
                        unsafe { map.free(memory) };
                    }
                });
            }
        });
        let memory = of(all, 0);
        assert_eq!((memory.free_frames(), memory.share_tables()), (total, 0), "{mode:?}");
    }
}

/// Another CPU, which takes all the memory there is while it is asked to flush, writes to it, and walks the tables once more
/// before it does flush.
struct Greedy<'a> {
    memory: Mutex<&'a mut Memory>,
    arena: &'a Arena,
    tlb: Tlb,
    /// Pages that were mapped where their tables are to be given back, in steps of so many bytes.
    pages: (PageRange, u64),
    frames_taken: Mutex<u64>,
}

impl Greedy<'_> {
    fn use_everything(&self) {
        let mut memory = self.memory.lock().expect("one thread");
        let mut taken = Vec::new();
        while let Ok(frame) = memory.take(0, Frames::ANYWHERE) {
            // 0xFF reads as an entry with every reserved bit, at which the walk below would fail.
            self.arena.poison(frame.run().first.0);
            taken.push(frame);
        }
        let (range, step) = self.pages;
        for at in (range.start.0..=range.last_byte().0).step_by(step as usize) {
            for answer in self.tlb.answers(at) {
                assert!(answer.is_none_or(|(frame, ..)| frame == 7), "{at:#x}: {answer:x?}");
            }
        }
        *self.frames_taken.lock().expect("one thread") += taken.len() as u64;
        taken.into_iter().for_each(|frame| memory.put(frame));
    }
}

impl Mmu for Greedy<'_> {
    fn flush_page(&self, va: VirtAddr) {
        self.use_everything();
        self.tlb.flush_page(va);
    }

    fn flush_local(&self) {
        self.use_everything();
        Mmu::flush_local(&self.tlb);
    }

    fn flush_all(&self) {
        self.use_everything();
        Mmu::flush_all(&self.tlb);
    }
}

/// So many tables at once that no cache holds them: given back before the flush, most would be free for every CPU.
#[test]
fn nobody_gets_a_table_that_a_cpu_may_still_walk() {
    for mode in MODES {
        let (arena, mut all, total) = memories_of(2, 3000);
        let arena = Arc::new(arena);
        let [one, other] = &mut all[..] else { unreachable!("two were made") };
        let mut map = PageMap::new(one, mm::Paging::new(routines(mode), &FULL)).expect("there is room");
        map.set_live(true);
        let tlb = Tlb::new(cpu(mode, &FULL), arena.clone(), map.root().0, Box::new(|| 0));
        let table = mode.entries(1) << 12;
        // The user half of pml2 has 768 tables.
        let range = PageRange::new(VirtAddr(0x40_0000), 700 * (table >> 12));
        for n in 0..700 {
            let va = VirtAddr(range.start.0 + n * table);
            map.map(one, &request(va, 7)).expect("free");
            assert_eq!(tlb.answers(va.0).len(), 1, "{mode:?}");
        }
        let stale = map.clear(one, range, None).expect("in order");
        assert!(stale.tables_held() >= 700, "{mode:?}");
        let free = one.free_frames();
        let greedy = Greedy {
            memory: Mutex::new(&mut *other),
            arena: &arena,
            tlb,
            pages: (range, table),
            frames_taken: Mutex::new(0),
        };
        one.drain();
        stale.flush(one, &greedy);
        assert_eq!(*greedy.frames_taken.lock().expect("one thread"), free, "{mode:?}: frames were free too early");
        drop(greedy);
        other.drain();
        assert!(one.free_frames() >= free + 700, "{mode:?}: tables are lost");
        // SAFETY: the CPU has flushed everything.
        unsafe { map.free(one) };
        all.iter_mut().for_each(Memory::drain);
        assert_eq!(all[0].free_frames(), total, "{mode:?}");
    }
}
