//! What the walker remembers between calls must never show: whatever ends a table, ends what is remembered of it.

use mm::{
    Cache, Features, Frame, FrameRun, Frames, MapError, MapRequest, Memory, PageFlags, PageMap, PageRange, Rights,
};
use mm::{VirtAddr, Window};

use super::kernel_map::kernel;
use crate::machine::arena::Arena;
use crate::machine::mmu::{Access, Mode};
use crate::machine::model::{Model, Run, effective, wrong_with};
use crate::machine::rng::Rng;
use crate::machine::{Booted, FULL, MODES, cpu, routines};

const FLAGS: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));
const READ_ONLY: PageFlags = PageFlags::new(Rights::USER);
const READ: Access = Access { write: false, fetch: false, user: false };
const HERE: VirtAddr = VirtAddr(0x40_3000);

fn page(va: VirtAddr) -> PageRange {
    PageRange::new(va, 1)
}

fn request(va: VirtAddr, frame: u64) -> MapRequest {
    MapRequest { range: page(va), first: Frame(frame), flags: FLAGS }
}

/// The frames of the leaves of a tree, as they lie in memory.
fn leaves(booted: &Booted, map: &PageMap) -> Vec<(u64, u64)> {
    let scan = booted.machine.scan(&booted.cpu, map.root());
    scan.leaves.iter().map(|(_, leaf)| (leaf.start, leaf.phys >> 12)).collect()
}

#[test]
fn two_trees_in_turn_are_two_trees() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let paging = *booted.map.paging();
        let mut other = PageMap::new(&mut booted.machine.memory, paging).expect("there is room");
        let neighbour = HERE.offset(0x1000);
        for round in 0..4 {
            // The first call makes the tables, the second walks, the third goes by what it noted.
            for va in [HERE, neighbour, HERE.offset(0x2000)] {
                booted.map.map(&mut booted.machine.memory, &request(va, 0x100 + round)).expect("free in one");
                other.map(&mut booted.machine.memory, &request(va, 0x200 + round)).expect("free in the other");
            }
            let expected = |frame| [HERE.0, neighbour.0, HERE.0 + 0x2000].map(|va| (va, frame + round)).to_vec();
            assert_eq!(leaves(&booted, &booted.map), expected(0x100), "{mode:?}");
            assert_eq!(leaves(&booted, &other), expected(0x200), "{mode:?}");
            for va in [HERE, neighbour, HERE.offset(0x2000)] {
                let memory = &mut booted.machine.memory;
                let at = |map: &PageMap, memory: &Memory| map.translate(memory, va.offset(5)).map(|at| at.0);
                assert_eq!(at(&booted.map, memory), Some((0x100 + round) << 12 | 5), "{mode:?}");
                assert_eq!(at(&other, memory), Some((0x200 + round) << 12 | 5), "{mode:?}");
                // SAFETY: no CPU walks the other tree.
                unsafe { other.protect(memory, page(va), READ_ONLY).expect("mapped").forget(memory) };
                let stale = booted.map.unmap(memory, page(va), None).expect("mapped");
                booted.flush(stale);
                let memory = &mut booted.machine.memory;
                // SAFETY: as above.
                unsafe { other.unmap(memory, page(va), None).expect("still mapped").forget(memory) };
            }
            assert_eq!((leaves(&booted, &booted.map), leaves(&booted, &other)), (vec![], vec![]), "{mode:?}");
        }
        // SAFETY: as above.
        unsafe { other.free(&mut booted.machine.memory) };
        booted.shut_down();
    }
}

#[test]
fn a_tree_on_the_root_of_another_that_is_gone_is_empty() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let paging = *booted.map.paging();
        // One of the eight frames below 4 GiB is left for roots: the allocator need not deal one again at once if it has others.
        let mut others = Vec::new();
        while others.len() < 7
            && let Ok(other) = PageMap::new(&mut booted.machine.memory, paging)
        {
            others.push(other);
        }
        let other = others.pop().expect("there is room");
        // SAFETY: no CPU walks the tree.
        unsafe { other.free(&mut booted.machine.memory) };
        let mut same = 0;
        let mut last = None;
        for round in 0..4 {
            let memory = &mut booted.machine.memory;
            let mut tree = PageMap::new(memory, paging).expect("there is room");
            same += u64::from(last == Some(tree.root()));
            last = Some(tree.root());
            assert_eq!(tree.translate(memory, HERE), None, "{mode:?}");
            // SAFETY: no CPU walks the tree.
            let told = tree.unmap(memory, page(HERE), None).map(|stale| unsafe { stale.forget(memory) });
            assert_eq!(told, Err(MapError::NotMapped), "{mode:?}");
            for va in [HERE, HERE.offset(0x1000), HERE.offset(0x2000)] {
                tree.map(memory, &request(va, 0x300 + round)).expect("free");
            }
            assert_eq!(tree.translate(memory, HERE).map(|at| at.0), Some((0x300 + round) << 12), "{mode:?}");
            assert_eq!(leaves(&booted, &tree).len(), 3, "{mode:?}: pages were mapped that are not in the tree");
            // SAFETY: as above.
            unsafe { tree.free(&mut booted.machine.memory) };
        }
        assert!(same > 0, "{mode:?}: no root came twice, so that nothing was tried");
        // SAFETY: as above.
        others.into_iter().for_each(|other| unsafe { other.free(&mut booted.machine.memory) });
        booted.shut_down();
    }
}

#[test]
fn a_window_that_moves_takes_everything_along() {
    for mode in MODES {
        let (cpu, frames) = (cpu(mode, &FULL), 64usize);
        let first = Frame(0xF_F000);
        let (old, new) = (Arena::new(first.0, frames), Arena::new(first.0, frames));
        let all = FrameRun { first, count: frames as u64 };
        let free = FrameRun { first: first.offset(2), count: frames as u64 - 2 };
        // SAFETY: the first two frames of the arena, which nobody else uses.
        let books = unsafe { std::slice::from_raw_parts_mut(old.base().cast::<u64>(), 1024) };
        let allocator = Frames::new(&[free], &[], books).expect("two frames are enough for the books");
        // SAFETY: the arena shows these frames and outlives the memory.
        let mut memory = Memory::new(unsafe { Window::new(old.base(), all) }, allocator);
        let mut map = PageMap::new(&mut memory, mm::Paging::new(routines(mode), &FULL)).expect("there is room");
        for n in 0..3 {
            map.map(&mut memory, &request(HERE.offset(n << 12), 7 + n)).expect("free");
            assert_eq!(map.translate(&memory, HERE).map(|at| at.0), Some(7 << 12));
        }
        // The same memory at another address: what is still written to the old one is lost.
        // SAFETY: both arenas have so many bytes, and are apart.
        unsafe { new.base().copy_from_nonoverlapping(old.base(), frames << 12) };
        // SAFETY: as above; the books are in the first two frames of both.
        unsafe { memory.move_window(Window::new(new.base(), all)) };
        for n in 3..6 {
            map.map(&mut memory, &request(HERE.offset(n << 12), 7 + n)).expect("free");
        }
        for n in 0..6 {
            let va = HERE.offset(n << 12);
            let found = cpu.translate(&new, map.root().0 << 12, va.0, READ);
            assert_eq!(found.map(|(at, _)| at).ok(), Some((7 + n) << 12), "{mode:?}: {va}");
            assert_eq!(map.translate(&memory, va).map(|at| at.0), Some((7 + n) << 12), "{mode:?}: {va}");
        }
    }
}

#[test]
fn a_word_written_by_hand_is_seen_at_once_and_no_longer() {
    for mode in [Mode::Pml4, Mode::Pml5] {
        let mut kernel = kernel(mode);
        let (map, memory) = (&mut kernel.map, &mut kernel.machine.memory);
        let there = VirtAddr(HERE.0 + (1 << 30));
        for (va, frame) in [(HERE, 0x11), (there, 0x22)] {
            map.map_user(memory, &request(va, frame)).expect("free");
        }
        let mut other = 0;
        map.tables().path(memory, there, &mut |step| other = if step.level == 3 { step.raw } else { other });
        let where_is =
            |map: &mm::KernelMap, memory: &Memory, va| map.tables().translate(memory, va).map(|at| at.0 >> 12);
        assert_eq!(where_is(map, memory, HERE), Some(0x11));
        let absent = map.planted(memory, HERE, 3, |_| 0, |map, memory| where_is(map, memory, HERE));
        assert_eq!(absent, Some(None), "{mode:?}");
        assert_eq!(where_is(map, memory, HERE), Some(0x11), "{mode:?}");
        let elsewhere = map.planted(memory, HERE, 3, |_| other, |map, memory| where_is(map, memory, HERE));
        assert_eq!(elsewhere, Some(Some(0x22)), "{mode:?}");
        assert_eq!(where_is(map, memory, HERE), Some(0x11), "{mode:?}");
        assert_eq!(where_is(map, memory, there), Some(0x22), "{mode:?}");
    }
}

/// A CPU that has less: no NX, no PAT, no 1 GiB pages, 36 bits of physical address.
const LESS: Features = Features { nx: false, pat: false, page_1g: false, phys_bits: 36, ..FULL };

const KINDS: [PageFlags; 5] = [
    FLAGS,
    READ_ONLY,
    PageFlags::new(Rights::WRITE.union(Rights::EXEC).union(Rights::GLOBAL)),
    PageFlags::new(Rights::USER.union(Rights::WRITE)).cached(Cache::WriteCombining),
    PageFlags::new(Rights::EXEC).cached(Cache::Uncached),
];

/// The pages of a table of level 1.
const fn small_pages(mode: Mode) -> u64 {
    if matches!(mode, Mode::Pml2) { 1024 } else { 512 }
}

/// Calls about pages one by one, close together, with now and then one about a range among them, each against the model.
struct Crowd {
    booted: Booted,
    mode: Mode,
    model: Model,
    rng: Rng,
    done: [u64; 3],
}

impl Crowd {
    /// A page or what a large page covers, in one of two places in each of three GiB and at the ends of both halves.
    fn range(&mut self) -> (u64, u64) {
        let small = small_pages(self.mode);
        let user = [0xC000_0000, 0x8000_0000_0000, 0x100_0000_0000_0000][usize::from(self.mode.levels()).max(3) - 3];
        let (kernel, last) = (self.mode.kernel_half(), user - (small << 12));
        let bases = [0x40_0000, 0x80_0000, 0x4000_0000, 0x4040_0000, 0x8000_0000, last, user, kernel];
        let base = bases[self.rng.below(8) as usize];
        let at = [0, 1, 2, 3, 4, small - 2, small - 1, small, 2 * small - 1][self.rng.below(9) as usize];
        let odd = if self.rng.below(64) == 0 { 0x800 } else { 0 };
        match self.rng.below(16) {
            0 => (base, small),
            1 => (base + (at << 12), small),
            2 => (0x8000_0000, small * small),
            3 => (base, 2 * small),
            _ => (base + (at << 12) + odd, 1),
        }
    }

    fn step(&mut self) {
        let (start, pages) = self.range();
        let (range, first) = (PageRange::new(VirtAddr(start), pages), start >> 12);
        let flags = KINDS[self.rng.below(5) as usize];
        let wrong = wrong_with(self.mode, start, pages);
        let mut watched = vec![start & !0xFFF, self.mode.entry_address(start, 1) & !0xFFF];
        watched.push(self.mode.entry_address(start, 2) & !0xFFF);
        watched.retain(|_| wrong.is_none());
        watched.iter().for_each(|va| drop(self.booted.tlb.answers(*va)));
        let what = self.rng.below(16);
        let memory = &mut self.booted.machine.memory;
        if what < 7 {
            let end = 1u64 << (self.booted.cpu.width() - 12);
            let frame =
                [first & 0xF_FFFF, 0x4_0000, 0x777, 0x4_0200, end - pages, end - 1, end][self.rng.below(7) as usize];
            let expected = match wrong {
                Some(error) => Err(error),
                None if frame + pages > end => Err(MapError::BeyondPhys),
                None if !self.model.within(first, pages).is_empty() => Err(MapError::Occupied),
                None => Ok(()),
            };
            let told = self.booted.map.map(memory, &MapRequest { range, first: Frame(frame), flags });
            assert_eq!(told, expected, "{:?}: map {start:#x}, {pages:#x} pages onto {frame:#x}", self.mode);
            if told.is_ok() {
                self.model.insert(first, Run { pages, frame, flags: effective(&self.booted.cpu, start, flags) });
                self.done[0] += 1;
            }
        } else if what < 15 {
            let expected = match wrong {
                Some(error) => Err(error),
                None if !self.model.all_mapped(first, pages) => Err(MapError::NotMapped),
                None => Ok(()),
            };
            let mut frames = 0;
            let mut report = |run: FrameRun| frames += run.count;
            let told = match what {
                7..=9 => self.booted.map.unmap(memory, range, None),
                10 => self.booted.map.unmap(memory, range, Some(&mut report)),
                _ => self.booted.map.protect(memory, range, flags),
            };
            assert_eq!(told.as_ref().err().copied(), expected.err(), "{:?}: {what}, {start:#x}, {pages:#x}", self.mode);
            let Ok(stale) = told else { return };
            self.booted.flush(stale);
            self.done[1] += 1;
            assert_eq!(frames, if what == 10 { pages } else { 0 }, "{:?}", self.mode);
            if what < 11 {
                self.model.remove(first, pages);
            } else {
                self.model.protect(first, pages, effective(&self.booted.cpu, start, flags));
            }
        } else if wrong.is_none() {
            let few = self.rng.below(4);
            let told = match few {
                0 => self.booted.map.clear(memory, range, None),
                1 => self.booted.map.trim(memory, range),
                2 => self.booted.map.merge(memory, range),
                _ => self.booted.map.split(memory, range),
            };
            let stale = told.expect("a good range, and memory enough");
            self.booted.flush(stale);
            self.done[2] += 1;
            if few == 0 {
                self.model.remove(first, pages);
            }
        }
        for va in watched {
            let now = self.booted.tlb.tables_say(va);
            assert!(self.booted.tlb.answers(va).iter().all(|answer| *answer == now), "{:?}: {va:#x}", self.mode);
        }
        let byte = self.booted.map.translate(&self.booted.machine.memory, VirtAddr(start)).map(|at| at.0);
        let expected = self.model.at(first).filter(|_| self.mode.is_canonical(start));
        assert_eq!(byte, expected.map(|(frame, _)| frame << 12 | start & 0xFFF), "{:?}: {start:#x}", self.mode);
    }

    fn check(&self) {
        let scan = self.booted.machine.scan(&self.booted.cpu, self.booted.map.root());
        let mut said = Model::default();
        for (_, leaf) in &scan.leaves {
            let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
            said.push(leaf.start >> 12, Run { pages: leaf.bytes >> 12, frame: leaf.phys >> 12, flags });
        }
        assert_eq!(said, self.model.joined(), "{:?}", self.mode);
        assert_eq!(self.booted.machine.free_frames() + scan.tables.len() as u64, self.booted.machine.total());
    }
}

#[test]
fn pages_one_by_one_and_close_together() {
    for mode in MODES {
        let mut done = [0; 3];
        for (seed, features) in [FULL, LESS, FULL, LESS].into_iter().enumerate() {
            let booted = Booted::new(mode, &features, 1200).expect("memory enough");
            let rng = Rng::new(seed as u64 + 77);
            let mut crowd = Crowd { booted, mode, model: Model::default(), rng, done: [0; 3] };
            for n in 0..3000 {
                crowd.step();
                if n % 8 == 0 {
                    crowd.check();
                }
            }
            (0..3).for_each(|n| done[n] += crowd.done[n]);
            crowd.booted.shut_down();
        }
        assert!(done.iter().all(|count| *count > 300), "{mode:?}: {done:?}");
    }
}

#[test]
fn a_full_table_that_has_lost_a_page_is_full_no_more() {
    for mode in MODES {
        let (mut booted, small) = (Booted::full(mode), small_pages(mode));
        booted.map(HERE.0 & !0x3F_FFFF, small, 0x1001, FLAGS).expect("free");
        let memory = &mut booted.machine.memory;
        // The first call leaves the hint, the second goes by it.
        let changed = booted.map.protect(memory, page(HERE), READ_ONLY).expect("mapped");
        let gone = booted.map.unmap(memory, page(HERE.offset(0x1000)), None).expect("mapped");
        booted.flush(changed);
        booted.flush(gone);
        let (memory, all) = (&mut booted.machine.memory, PageRange::new(VirtAddr(HERE.0 & !0x3F_FFFF), small));
        assert_eq!(booted.map.unmap(memory, all, None).err(), Some(MapError::NotMapped), "{mode:?}");
        assert_eq!(booted.map.protect(memory, all, FLAGS).err(), Some(MapError::NotMapped), "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn what_the_self_map_showed_of_a_protected_large_page_is_flushed() {
    for mode in MODES {
        let (mut booted, small) = (Booted::full(mode), small_pages(mode));
        let large = PageRange::new(VirtAddr(0x4080_0000), small);
        booted.map(large.start.0, small, 0x4_0000, FLAGS).expect("free");
        let shown = mode.entry_address(large.start.0, 1) & !0xFFF;
        // Cached in another way, that the self-map passes on; once by a walk, then by hint.
        for flags in [FLAGS.cached(Cache::Uncached), FLAGS, FLAGS.cached(Cache::WriteThrough)] {
            let before = booted.tlb.answers(shown);
            let stale = booted.map.protect(&mut booted.machine.memory, large, flags).expect("mapped");
            booted.flush(stale);
            let now = booted.tlb.tables_say(shown);
            assert!(before.iter().all(|answer| *answer != now), "{mode:?}: nothing has changed");
            assert_eq!(booted.tlb.answers(shown), [now], "{mode:?}");
        }
        booted.shut_down();
    }
}
