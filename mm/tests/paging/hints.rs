//! What the walker remembers between calls must never show: whatever ends a table, ends what is remembered of it.

use mm::{Frame, FrameRun, Frames, MapError, MapRequest, Memory, PageFlags, PageMap, PageRange, Rights};
use mm::{VirtAddr, Window};

use super::kernel_map::kernel;
use crate::machine::arena::Arena;
use crate::machine::mmu::{Access, Mode};
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
        // The same memory at another address: all that is behind the old one is gone.
        // SAFETY: both arenas have so many bytes, and are apart.
        unsafe { new.base().copy_from_nonoverlapping(old.base(), frames << 12) };
        // SAFETY: as above; the books are in the first two frames of both.
        unsafe { memory.move_window(Window::new(new.base(), all)) };
        // SAFETY: nobody looks there any more.
        unsafe { old.base().write_bytes(0xFF, frames << 12) };
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
