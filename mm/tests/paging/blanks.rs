//! Frames that were zeroed ahead of time.

use mm::{Frame, MapRequest, Memory, PAGE_SIZE, PageFlags, PageMap, PageRange, Paging, Rights, VirtAddr};

use crate::machine::{FULL, MODES, routines};
use crate::memories::memories;

const FLAGS: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));

/// Leaves something else than zeros in every frame, and all of them free.
fn soil(memory: &mut Memory) {
    let mut taken = Vec::new();
    while let Ok(frames) = memory.take(0, Frame(u64::MAX)) {
        // SAFETY: a frame of the arena that was just taken.
        unsafe { memory.window.at(frames.run().first).write_bytes(0xA5, PAGE_SIZE as usize) };
        taken.push(frames);
    }
    taken.into_iter().for_each(|frames| memory.put(frames));
    memory.drain();
}

/// Zeroes ahead as many as there can be; how many.
fn fill(memory: &mut Memory) -> u64 {
    (0..).take_while(|_| memory.zero_ahead()).count() as u64
}

#[test]
fn they_are_free_until_tables_are_made_of_them() {
    let (_arena, mut all, total) = memories(2);
    let memory = &mut all[0];
    soil(memory);
    let most = fill(memory);
    assert!(most > 0 && memory.cached_frames() >= most);
    assert_eq!(memory.free_frames(), total);
    let zero = |memory: &Memory, frame| memory.sum(frame) == Some(0);
    let tables: Vec<_> = (0..most + 4).map(|_| memory.table().expect("there are more")).collect();
    assert!(tables.iter().all(|frame| zero(memory, *frame)), "zeroed ahead or not");
    assert_eq!(memory.free_frames(), total - most - 4);
    tables.into_iter().for_each(|frame| memory.give_back(frame));
    assert_eq!(memory.free_frames(), total);
}

#[test]
fn one_of_them_is_known_as_free() {
    let (_arena, mut all, total) = memories(2);
    let [one, other] = &mut all[..] else { unreachable!("two were made") };
    soil(one);
    fill(one);
    // What the allocator and the cache do not have is zeroed.
    let first = Frame(0xF_F000);
    let free = (0..512).map(|n| first.offset(n)).filter(|frame| one.is_free(*frame)).count();
    assert_eq!(free as u64, total);
    // The memory of another CPU, which nobody has told how to reach this one's, does not know.
    assert!(other.free_frames() < total);
}

#[test]
fn pressure_gets_them_back() {
    let (_arena, mut all, total) = memories(1);
    let memory = &mut all[0];
    fill(memory);
    let mut taken = Vec::new();
    while let Ok(frames) = memory.take(0, Frame(u64::MAX)) {
        taken.push(frames);
    }
    assert_eq!(taken.len() as u64, total);
    assert!(!memory.zero_ahead(), "of nothing nothing can be zeroed");
    taken.into_iter().for_each(|frames| memory.put(frames));
    fill(memory);
    memory.drain();
    assert_eq!((memory.free_frames(), memory.cached_frames()), (total, 0));
}

#[test]
fn a_tree_made_of_them_maps_what_it_is_to_and_nothing_else() {
    for mode in MODES {
        let (_arena, mut all, total) = memories(1);
        let memory = &mut all[0];
        soil(memory);
        let mut map = PageMap::new(memory, Paging::new(routines(mode), &FULL)).expect("there is room");
        for n in 0..24 {
            fill(memory);
            let va = VirtAddr(0x1000 + n * 0x40_0000);
            let request = MapRequest { range: PageRange::new(va, 1), first: Frame(n), flags: FLAGS };
            let before = memory.cached_frames();
            map.map(memory, &request).expect("there is room");
            assert!(memory.cached_frames() < before, "{mode:?}: a table is made of a frame that is at hand");
        }
        let mut leaves = Vec::new();
        map.visit(memory, &mut |seen| {
            if let mm::Seen::Leaf(leaf) = seen {
                leaves.push((leaf.start.0, leaf.frame.0));
            }
        });
        let expected: Vec<_> = (0..24).map(|n| (0x1000 + n * 0x40_0000, n)).collect();
        assert_eq!(leaves, expected, "{mode:?}");
        // SAFETY: no CPU uses the tree.
        unsafe { map.free(memory) };
        assert_eq!(memory.free_frames(), total, "{mode:?}");
    }
}
