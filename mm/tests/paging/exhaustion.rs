//! Out of memory at every count of frames: a change is made, or it is not, and no frame is lost.

use mm::{MapError, PageFlags, PageMap, PageRange, Rights, Stale, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::{Booted, FULL, MODES};

/// What a script does, in an order in which each step finds what it needs.
#[derive(Clone, Copy, Debug)]
enum Do {
    Map(u64, u64, u64),
    Unmap(u64, u64),
    Clear(u64, u64),
    Protect(u64, u64),
    Split(u64, u64),
    Merge(u64, u64),
    Trim(u64, u64),
}

const GIB: u64 = 0x4000_0000;

/// Every way in which a table is needed: new ones in rows and below each other, and large pages cut at both ends.
const SCRIPT: [Do; 16] = [
    Do::Map(0x1000, 1, 7),
    Do::Map(0x3FFF_F000, 2, 7),
    Do::Map(0x4060_0000 - 0x3000, 0x1003, 0x600),
    Do::Protect(0x4060_0000 - 0x1000, 3),
    Do::Map(2 * GIB, 0x2_0000, 0x4_0000),
    Do::Unmap(2 * GIB + 0x1000, 0x1_FFFD),
    Do::Split(2 * GIB, 1),
    Do::Clear(0, 0x4_0000),
    Do::Map(0x800_0000, 0x8000, 0x8000),
    Do::Protect(0x800_1000, 1),
    Do::Split(0x8C0_1000, 0x3002),
    Do::Protect(0x80F_F000, 0x7000),
    Do::Merge(0x800_0000, 0x8000),
    Do::Unmap(0x8A0_1000, 0x202),
    Do::Trim(0, 0x8_0000),
    Do::Clear(0, 0xB_0000),
];

fn carry_out(booted: &mut Booted, what: Do) -> Result<Option<Stale>, MapError> {
    let flags = PageFlags::new(Rights::WRITE);
    let range = |start, pages| PageRange::new(VirtAddr(start), pages);
    if let Do::Map(start, pages, frame) = what {
        return booted.map(start, pages, frame, flags).map(|()| None);
    }
    let (map, memory) = (&mut booted.map, &mut booted.machine.memory);
    let result = match what {
        Do::Map(..) => unreachable!("done above"),
        Do::Unmap(start, pages) => map.unmap(memory, range(start, pages), None),
        Do::Clear(start, pages) => map.clear(memory, range(start, pages), None),
        Do::Protect(start, pages) => map.protect(memory, range(start, pages), PageFlags::new(Rights::EXEC)),
        Do::Split(start, pages) => map.split(memory, range(start, pages)),
        Do::Merge(start, pages) => map.merge(memory, range(start, pages)),
        Do::Trim(start, pages) => map.trim(memory, range(start, pages)),
    };
    result.map(Some)
}

/// Runs the script with `frames` frames; a step without enough of them is left out. How many steps that were.
fn run_with(mode: Mode, frames: usize) -> Option<usize> {
    let mut booted = Booted::new(mode, &FULL, frames)?;
    let mut left_out = 0;
    for what in SCRIPT {
        let before = booted.bytes_of_tables();
        let free = booted.machine.free_frames();
        match carry_out(&mut booted, what) {
            Ok(Some(stale)) => booted.flush(stale),
            Ok(None) => booted.tlb.accept_books(),
            Err(error) => {
                let missing = error == MapError::NotMapped && left_out > 0;
                assert!(error == MapError::NoMemory || missing, "{mode:?}, {frames} frames, {what:?}: {error}");
                assert_eq!(booted.machine.free_frames(), free, "{mode:?}, {frames} frames, {what:?}");
                assert!(before == booted.bytes_of_tables(), "{mode:?}, {frames} frames: {what:?} changed the tables");
                left_out += 1;
            }
        }
        let tables = booted.machine.scan(&booted.cpu, booted.map.root()).tables.len() as u64;
        assert_eq!(
            booted.machine.free_frames() + tables,
            booted.machine.total(),
            "{mode:?}, {frames} frames, {what:?}"
        );
    }
    booted.shut_down();
    Some(left_out)
}

#[test]
fn nothing_is_lost_or_half_done_at_any_count_of_frames() {
    for mode in MODES {
        // A root, and in pml3 its four directories.
        let for_a_root = if mode == Mode::Pml3 { 5 } else { 1 };
        let mut complete = None;
        for frames in 0..64 {
            match run_with(mode, frames) {
                None => assert!(frames < for_a_root, "{mode:?}: no root with {frames} frames"),
                Some(left_out) => {
                    assert!(frames >= for_a_root, "{mode:?}: a root with {frames} frames");
                    assert!(complete.is_none() || left_out == 0, "{mode:?}: more memory made it worse");
                    complete = complete.or((left_out == 0).then_some(frames));
                }
            }
        }
        println!("{mode:?}: complete with {complete:?} frames");
        assert!(complete.is_some_and(|frames| frames > for_a_root + 4), "{mode:?}: {complete:?}");
    }
}

#[test]
fn no_more_tables_are_taken_than_needed() {
    // Tables besides the root (and pml3's directories): for a page; for two on both sides of 1 GiB; for a large page.
    let expected = [(Mode::Pml2, [1, 2, 0]), (Mode::Pml3, [1, 2, 0]), (Mode::Pml4, [3, 5, 2]), (Mode::Pml5, [4, 6, 3])];
    for (mode, expected) in expected {
        let cases = [(0x1000, 1, 1), (0x3FFF_F000, 2, 1), (0x80_0000, 1024, 0x400)];
        for ((start, pages, frame), tables) in cases.into_iter().zip(expected) {
            let mut booted = Booted::full(mode);
            let free = booted.machine.free_frames();
            booted.map(start, pages, frame, PageFlags::DATA).expect("there is room");
            assert_eq!(free - booted.machine.free_frames(), tables, "{mode:?}, {pages} pages at {start:#x}");
            booted.shut_down();
        }
    }
}

#[test]
fn roots_lie_below_4_gib() {
    for mode in [Mode::Pml3, Mode::Pml4, Mode::Pml5] {
        // Eight of its frames lie below.
        let mut booted = Booted::full(mode);
        let paging = *booted.map.paging();
        let mut roots = Vec::new();
        while let Ok(map) = PageMap::new(&mut booted.machine.memory, paging) {
            assert!(map.root().0 < 0x10_0000, "{mode:?}: a root at {}", map.root());
            roots.push(map);
        }
        assert!(booted.machine.free_frames() > 100, "{mode:?}: it is not for lack of frames above");
        for map in roots {
            // SAFETY: no CPU was ever told of it.
            unsafe { map.free(&mut booted.machine.memory) };
        }
        booted.shut_down();
    }
}

#[test]
fn a_range_far_too_large_is_refused_at_once() {
    for (mode, start, pages) in [(Mode::Pml4, 0, (1 << 35) - 1), (Mode::Pml5, 0, (1 << 40) - 2)] {
        let mut booted = Booted::full(mode);
        let before = booted.bytes_of_tables();
        let begun = std::time::Instant::now();
        // No page lies on a frame that suits a larger one: millions of tables would be needed.
        assert_eq!(booted.map(start, pages, 1, PageFlags::DATA), Err(MapError::NoMemory), "{mode:?}");
        assert!(begun.elapsed().as_secs() < 5, "{mode:?}: every one of them was counted by hand");
        assert!(before == booted.bytes_of_tables(), "{mode:?}");
        booted.shut_down();
    }
}
