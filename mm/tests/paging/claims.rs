//! Several CPUs that change one address space at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use mm::{
    AddressSpace, Changed, Epoch, Frame, KernelMap, MapError, MapRequest, Memory, Mmu, PAGE_SIZE, PageFlags, PageRange,
    Paging, PhysAddr, Rights, Seen, VirtAddr,
};

use crate::kernel_map::{RAM, paging, sections};
use crate::machine::arena::Arena;
use crate::machine::mmu::Mode;
use crate::machine::rng::Rng;
use crate::machine::watched::{self, watched};
use crate::machine::{FULL, MODES};
use crate::memories::memories_of;

const CPUS: usize = 4;
const WRITE: PageFlags = PageFlags::new(Rights::WRITE);
const READ: PageFlags = PageFlags::new(Rights::empty());

/// A tree, a memory for each of the CPUs, and one more, which changes nothing meanwhile.
struct Machine {
    map: KernelMap,
    memories: Vec<Memory>,
    spare: Memory,
    /// Free frames, those that the kernel's tree has apart.
    free: u64,
    _arena: Arena,
}

fn machine(mode: Mode) -> Machine {
    machine_of(mode, paging(mode))
}

/// The same with these routines.
fn machine_of(mode: Mode, paging: Paging) -> Machine {
    let (arena, mut memories, _) = memories_of(CPUS + 1, 3000);
    let mut spare = memories.pop().expect("there are some");
    let map = KernelMap::build(&mut spare, paging, sections(mode), RAM.into_iter()).expect("there is room");
    let free = spare.free_frames();
    Machine { map, memories, spare, free, _arena: arena }
}

impl Machine {
    fn space(&mut self) -> AddressSpace {
        self.map.new_space(&mut self.spare).expect("there is room")
    }

    /// Takes the space back, with whatever is in it.
    fn end(&mut self, space: AddressSpace) {
        // SAFETY: no CPU walks the tree.
        unsafe { self.map.free_space(&mut self.spare, space) };
    }

    fn all_home(mut self, mode: Mode) {
        self.memories.iter_mut().chain([&mut self.spare]).for_each(Memory::drain);
        assert_eq!(self.spare.free_frames(), self.free, "{mode:?}: frames are lost");
    }
}

fn forget(memory: &mut Memory, change: Changed<'_>) {
    // SAFETY: no CPU walks the tree.
    unsafe { change.forget(memory) };
}

/// Places in the user half that have fewer and fewer tables in common.
fn places(mode: Mode) -> Vec<u64> {
    let mut places = vec![0x4000_0000, 0x4000_0000 + (7 << 22), 0x8000_0000];
    if matches!(mode, Mode::Pml4 | Mode::Pml5) {
        places.extend([3 << 39, (3 << 39) + (5 << 30)]);
    }
    if mode == Mode::Pml5 {
        places.push(5 << 48);
    }
    places
}

#[test]
fn tables_that_several_need_are_linked_once() {
    for mode in MODES {
        let mut machine = machine(mode);
        for round in 0..60 {
            let space = machine.space();
            let barrier = Barrier::new(CPUS);
            thread::scope(|scope| {
                for (cpu, memory) in machine.memories.iter_mut().enumerate() {
                    let (space, barrier) = (&space, &barrier);
                    scope.spawn(move || {
                        for place in places(mode) {
                            barrier.wait();
                            let range = PageRange::new(VirtAddr(place + cpu as u64 * PAGE_SIZE), 1);
                            let request = MapRequest { range, first: Frame(0x100 + cpu as u64), flags: WRITE };
                            space.map(memory, &request).expect("nothing is there");
                        }
                    });
                }
            });
            for place in places(mode) {
                for cpu in 0..CPUS as u64 {
                    let found = space.tables().translate(&machine.spare, VirtAddr(place + cpu * PAGE_SIZE));
                    let frame = PhysAddr(0x10_0000 + cpu * PAGE_SIZE);
                    assert_eq!(found, Some(frame), "{mode:?}, {round}: {place:#x} of CPU {cpu}");
                }
            }
            machine.end(space);
        }
        machine.all_home(mode);
    }
}

/// Pages that one CPU alone changes.
struct Chunk {
    range: PageRange,
    /// Its first frame in even rounds; in odd ones it is another.
    frame: u64,
    cpu: usize,
}

/// Chunks next to one another, of all sizes, of which none has a table for itself; and some that have.
fn chunks(mode: Mode, random: &mut Rng) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut page = 0x4000_0000 / PAGE_SIZE;
    for n in 0..48 {
        let pages = 1 + random.below(if n % 6 == 0 { 1500 } else { 90 });
        let range = PageRange::new(VirtAddr(page * PAGE_SIZE), pages);
        chunks.push(Chunk { range, frame: 0x1000 + n * 0x800, cpu: random.below(CPUS as u64) as usize });
        page += pages;
    }
    if matches!(mode, Mode::Pml4 | Mode::Pml5) {
        // Each by large pages in a table of level 2 that comes and goes with it, among tables that stay or come and go, too.
        for n in 0..8 {
            let range = PageRange::new(VirtAddr((3 << 39) + (n << 30)), 1 << 18);
            chunks.push(Chunk { range, frame: 0x4_0200, cpu: n as usize % CPUS });
        }
    }
    chunks
}

/// Maps, protects and unmaps his chunks in some order. Returns what is mapped in the end, by number of the chunk.
fn work(space: &AddressSpace, memory: &mut Memory, chunks: &[Chunk], cpu: usize, seed: u64) -> Vec<(usize, Frame)> {
    let random = &mut Rng::new(seed);
    let own: Vec<usize> = (0..chunks.len()).filter(|n| chunks[*n].cpu == cpu).collect();
    let mut mapped: Vec<Option<Frame>> = vec![None; chunks.len()];
    for round in 0..600 {
        let n = own[random.below(own.len() as u64) as usize];
        let Chunk { range, frame, .. } = chunks[n];
        match mapped[n] {
            None => {
                let first = Frame(frame + round % 2 * 0x400);
                space.map(memory, &MapRequest { range, first, flags: WRITE }).expect("nothing is there");
                mapped[n] = Some(first);
            }
            Some(_) if random.below(3) == 0 => {
                // A part of it, so that large pages are split.
                let pages = 1 + random.below(range.pages.min(700));
                let at = random.below(range.pages - pages + 1);
                let part = PageRange::new(range.start.offset(at * PAGE_SIZE), pages);
                let change = space.protect(memory, part, READ).expect("all is there");
                forget(memory, change);
            }
            Some(_) => {
                let change = space.unmap(memory, range, None).expect("all is there");
                forget(memory, change);
                mapped[n] = None;
            }
        }
        for va in [range.start, range.last_byte()] {
            let found = space.translate(memory, va);
            let expected = mapped[n].map(|first| PhysAddr(first.start().0 + (va.0 - range.start.0)));
            assert_eq!(found, expected, "CPU {cpu}, round {round}, chunk {n}: {va:?}");
        }
    }
    mapped.into_iter().enumerate().filter_map(|(n, first)| Some((n, first?))).collect()
}

#[test]
fn parts_of_one_space_change_side_by_side() {
    for mode in MODES {
        let mut machine = machine(mode);
        for seed in 0..4 {
            let chunks = chunks(mode, &mut Rng::new(seed));
            let space = machine.space();
            let mut mapped: Vec<(usize, Frame)> = thread::scope(|scope| {
                let cpus = machine.memories.iter_mut().enumerate();
                let (space, chunks) = (&space, &chunks);
                let run = |(cpu, memory): (usize, _)| {
                    scope.spawn(move || work(space, memory, chunks, cpu, seed * 100 + cpu as u64))
                };
                let threads: Vec<_> = cpus.map(run).collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("no CPU fails")).collect()
            });
            mapped.sort_unstable_by_key(|(n, _)| chunks[*n].range.start);
            // Page by page what is in the tree, and what should be.
            let mut expected = mapped.iter().flat_map(|(n, first)| {
                let range = chunks[*n].range;
                (0..range.pages).map(move |page| (range.start.offset(page * PAGE_SIZE), first.offset(page)))
            });
            let info = space.tables().paging().routines.info;
            space.tables().visit(&machine.spare, &mut |seen| match seen {
                Seen::Leaf(leaf) if leaf.start < info.kernel_half() => {
                    for page in 0..info.pages(leaf.level) {
                        let here = (leaf.start.offset(page * PAGE_SIZE), leaf.frame.offset(page));
                        assert_eq!(Some(here), expected.next(), "{mode:?}, {seed}");
                    }
                }
                _ => {}
            });
            assert_eq!(expected.next(), None, "{mode:?}, {seed}: a page is lost");
            machine.end(space);
        }
        machine.all_home(mode);
    }
}

#[test]
fn whoever_looks_sees_what_is_mapped_or_nothing() {
    const RIGHT: Frame = Frame(0x777);
    let range = PageRange::new(VirtAddr(0x4000_0000), 1024);
    for mode in MODES {
        let mut machine = machine(mode);
        let space = machine.space();
        let (over, looks) = (AtomicBool::new(false), AtomicU64::new(0));
        let [reader, memory, ..] = &mut machine.memories[..] else { unreachable!("there are several") };
        thread::scope(|scope| {
            let (space, over, looks) = (&space, &over, &looks);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let found = space.translate(reader, range.start).map(|at| at.frame());
                    if found.is_some_and(|frame| frame != RIGHT) {
                        over.store(true, Ordering::Relaxed);
                        panic!("{mode:?}: found {found:?}");
                    }
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut round = 0;
            while !over.load(Ordering::Relaxed) && (round < 2000 || looks.load(Ordering::Relaxed) < 2000) {
                round += 1;
                space.map(memory, &MapRequest { range, first: RIGHT, flags: WRITE }).expect("nothing is there");
                let change = space.unmap(memory, range, None).expect("all is there");
                assert!(change.tables_held() > 0, "{mode:?}: no table goes, so nothing is tried");
                forget(memory, change);
            }
            over.store(true, Ordering::Relaxed);
        });
        machine.end(space);
        machine.all_home(mode);
    }
}

#[test]
fn what_was_read_while_a_table_went_is_read_again() {
    let (epoch, reads) = (Epoch::new(), AtomicU64::new(0));
    let found = epoch.steady(|| {
        let read = reads.fetch_add(1, Ordering::Relaxed);
        if read < 3 {
            epoch.begin();
        }
        read
    });
    assert_eq!((found, epoch.now()), (3, 3));
}

#[test]
fn what_is_refused_claims_nothing_for_good() {
    for mode in MODES {
        let mut machine = machine(mode);
        let space = machine.space();
        let memory = &mut machine.memories[0];
        let range = PageRange::new(VirtAddr(0x4000_0000), 3);
        let request = MapRequest { range, first: Frame(0x100), flags: WRITE };
        let global = PageFlags::new(Rights::WRITE | Rights::GLOBAL);
        for _ in 0..3 {
            assert_eq!(space.unmap(memory, range, None).err(), Some(MapError::NotMapped), "{mode:?}");
            assert_eq!(space.protect(memory, range, READ).err(), Some(MapError::NotMapped), "{mode:?}");
            assert_eq!(space.protect(memory, range, global).err(), Some(MapError::NotOffered), "{mode:?}");
            space.map(memory, &request).expect("nothing is there");
            assert_eq!(space.map(memory, &request), Err(MapError::Occupied), "{mode:?}");
            let change = space.unmap(memory, range, None).expect("all is there");
            forget(memory, change);
        }
        machine.end(space);
        machine.all_home(mode);
    }
}

/// A CPU that is asked to forget a page, and sees what comes of it if another maps the page meanwhile.
struct Slow<'a> {
    asked: AtomicBool,
    done: &'a AtomicBool,
}

impl Mmu for Slow<'_> {
    fn flush_page(&self, _: VirtAddr) {
        self.asked.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        assert!(!self.done.load(Ordering::SeqCst), "a page is mapped while old translations of it are in use");
    }

    fn flush_local(&self) {
        self.flush_page(VirtAddr(0));
    }

    fn flush_all(&self) {
        self.flush_page(VirtAddr(0));
    }
}

#[test]
fn whoever_maps_a_page_waits_until_what_was_there_is_flushed() {
    for mode in MODES {
        let mut machine = machine(mode);
        let space = machine.space();
        let [one, other, ..] = &mut machine.memories[..] else { unreachable!("there are several") };
        let range = PageRange::new(VirtAddr(0x4000_0000), 1);
        space.map(one, &MapRequest { range, first: Frame(1), flags: WRITE }).expect("nothing is there");
        let done = AtomicBool::new(false);
        let slow = Slow { asked: AtomicBool::new(false), done: &done };
        thread::scope(|scope| {
            let (space, slow) = (&space, &slow);
            scope.spawn(move || {
                while !slow.asked.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                space.map(other, &MapRequest { range, first: Frame(2), flags: WRITE }).expect("nothing is there");
                slow.done.store(true, Ordering::SeqCst);
            });
            space.unmap(one, range, None).expect("it is there").flush(one, slow);
        });
        assert_eq!(space.translate(&machine.spare, range.start), Some(Frame(2).start()), "{mode:?}");
        machine.end(space);
        machine.all_home(mode);
    }
}

/// What the second CPU does while the first one is in the middle of its change.
type Work = fn(&AddressSpace, &mut Memory, VirtAddr);

fn map_one(space: &AddressSpace, memory: &mut Memory, va: VirtAddr) {
    let request = MapRequest { range: PageRange::new(va, 1), first: Frame(0x200), flags: WRITE };
    space.map(memory, &request).expect("nothing is there");
}

fn protect_one(space: &AddressSpace, memory: &mut Memory, va: VirtAddr) {
    let change = space.protect(memory, PageRange::new(va, 1), READ).expect("it is there");
    forget(memory, change);
}

/// Two CPUs that change one space at different places.
struct Race<'a> {
    space: &'a AddressSpace,
    work: Work,
    places: [VirtAddr; 2],
    /// For how long the first CPU stops.
    pause: Duration,
}

/// Does the work at the first place and stops before its first store, until another CPU has done the same at the second place or
/// the pause is over. Returns whether the other one has done it.
fn second_overtakes(race: &Race<'_>, [one, other]: [&mut Memory; 2]) -> bool {
    let Race { space, work, places: [first, second], pause } = *race;
    let (begin, begun) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let (verdict, overtaken) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            begun.recv().expect("the first CPU comes to a store");
            work(space, other, second);
            // The receiver is gone where this thread had to wait.
            let _ = finish.send(());
        });
        let stopped = Cell::new(false);
        let onlooker = move || {
            if !stopped.replace(true) {
                begin.send(()).expect("the second CPU waits for it");
                verdict.send(finished.recv_timeout(pause).is_ok()).expect("the receiver waits");
            }
        };
        watched(onlooker, || work(space, one, first));
    });
    overtaken.recv().expect("the first CPU came to a store")
}

#[test]
fn an_entry_above_level_2_is_written_by_one_cpu_at_a_time() {
    const GIB: u64 = 1 << 30;
    for mode in [Mode::Pml4, Mode::Pml5] {
        let mut machine = machine_of(mode, Paging::new(watched::routines(mode), &FULL));
        let space = machine.space();
        let mut cpu = machine.memories.iter_mut();
        let [one, other] = [cpu.next(), cpu.next()].map(|memory| memory.expect("there are four"));
        // Pages of 1 GiB, to be split by the CPU that comes first.
        let large = PageRange::new(VirtAddr(3 << 39), 2 << 18);
        space.map(one, &MapRequest { range: large, first: Frame(0x4_0000), flags: WRITE }).expect("nothing is there");
        // Far enough apart to lie in different pieces, and under one entry that is absent or a large page.
        let cases: [(Work, u64, u64); 4] = [
            (map_one, 5 << 30, 2 << 20),
            (map_one, 5 << 39, 3 * GIB),
            (protect_one, large.start.0, 4 << 20),
            (protect_one, large.start.0 + GIB, 6 << 20),
        ];
        for (work, at, apart) in cases {
            let places = [VirtAddr(at), VirtAddr(at + apart)];
            // The whole pause passes, as the second CPU has to wait. It would need a thousandth of it.
            let race = Race { space: &space, work, places, pause: Duration::from_millis(200) };
            let overtaken = second_overtakes(&race, [&mut *one, &mut *other]);
            assert!(!overtaken, "{mode:?}: both write the entry above {at:#x}");
            let frames = places.map(|va| space.translate(one, va).map(PhysAddr::frame));
            assert!(frames.iter().all(Option::is_some), "{mode:?}, {at:#x}: a page is lost: {frames:?}");
        }
        // Where tables lead to both, neither waits; the pause ends as soon as that is seen.
        let places = [5 << 30, (5 << 30) + (2 << 20)].map(|at| VirtAddr(at + PAGE_SIZE));
        let race = Race { space: &space, work: map_one, places, pause: Duration::from_secs(60) };
        assert!(second_overtakes(&race, [one, other]), "{mode:?}: two tables, one claim");
        machine.end(space);
        machine.all_home(mode);
    }
}
