//! The largest pages that fit: which sizes a range comes to, before and after split and merge.

use mm::{Features, PageFlags, PageRange, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::{Booted, FULL};

/// (level, first address, frame) of every leaf.
fn leaves(booted: &Booted) -> Vec<(u8, u64, u64)> {
    let scan = booted.machine.scan(&booted.cpu, booted.map.root());
    scan.leaves.iter().map(|(level, leaf)| (*level, leaf.start, leaf.phys >> 12)).collect()
}

/// How many leaves there are at levels 1, 2 and 3.
fn sizes(booted: &Booted) -> [usize; 3] {
    [1, 2, 3].map(|level| leaves(booted).iter().filter(|leaf| leaf.0 == level).count())
}

fn booted(mode: Mode, features: Features) -> Booted {
    Booted::new(mode, &features, 256).expect("enough frames")
}

/// Mode, CPU, (first address, pages, first frame), leaves at levels 1, 2 and 3.
type Case = (Mode, Features, (u64, u64, u64), [usize; 3]);

const NO_1G: Features = Features { page_1g: false, ..FULL };
const NO_PSE: Features = Features { pse: false, ..FULL };

#[test]
fn a_range_is_mapped_with_the_largest_pages_that_fit() {
    let cases: [Case; 18] = [
        (Mode::Pml2, FULL, (0x40_0000, 1024, 0x400), [0, 1, 0]),
        (Mode::Pml2, FULL, (0x40_0000, 1024, 0x200), [1024, 0, 0]),
        (Mode::Pml2, FULL, (0x3F_F000, 1026, 0x3FF), [2, 1, 0]),
        (Mode::Pml2, NO_PSE, (0x40_0000, 1024, 0x400), [1024, 0, 0]),
        (Mode::Pml2, FULL, (0x4000_0000, 0x4_0000, 0), [0, 256, 0]),
        (Mode::Pml3, FULL, (0x40_0000, 1024, 0x400), [0, 2, 0]),
        (Mode::Pml3, NO_PSE, (0x20_0000, 512, 0x200), [0, 1, 0]),
        (Mode::Pml3, FULL, (0x4000_0000, 0x4_0000, 0), [0, 512, 0]),
        (Mode::Pml3, FULL, (0x20_0000, 511, 0x200), [511, 0, 0]),
        (Mode::Pml4, FULL, (0x4000_0000, 0x4_0000, 0x4_0000), [0, 0, 1]),
        (Mode::Pml4, NO_1G, (0x4000_0000, 0x4_0000, 0x4_0000), [0, 512, 0]),
        (Mode::Pml4, FULL, (0x4000_0000, 0x4_0000, 0x200), [0, 512, 0]),
        (Mode::Pml4, FULL, (0x4000_0000, 0x3_FFFF, 0x4_0000), [511, 511, 0]),
        (Mode::Pml4, FULL, (0x3FDF_F000, 0x8_0000, 0x3_FDFF), [512, 511, 1]),
        (Mode::Pml4, FULL, (0x80_0000_0000, 0x800_0000, 0), [0, 0, 512]),
        (Mode::Pml5, FULL, (0x4000_0000, 0x4_0000, 0x4_0000), [0, 0, 1]),
        (Mode::Pml5, NO_1G, (0x4000_0000, 0x4_0000, 0x4_0000), [0, 512, 0]),
        (Mode::Pml5, FULL, (0xFF00_0000_0020_0000, 512, 0x200), [0, 1, 0]),
    ];
    for (mode, features, (start, pages, frame), expected) in cases {
        let mut booted = booted(mode, features);
        booted.map(start, pages, frame, PageFlags::DATA).expect("there is room");
        assert_eq!(sizes(&booted), expected, "{mode:?}, {pages:#x} pages at {start:#x} onto {frame:#x}");
        for (_, va, at) in leaves(&booted) {
            assert_eq!(at - frame, (va - start) >> 12, "{mode:?}, {va:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn a_split_cuts_only_what_crosses_an_end() {
    let mut booted = booted(Mode::Pml4, FULL);
    booted.map(0x4000_0000, 0x8_0000, 0x4_0000, PageFlags::DATA).expect("there is room");
    // From inside the first 1 GiB page to the middle of a 2 MiB page in the second one.
    let range = PageRange::new(VirtAddr(0x4020_0000), 0x4_0000);
    let stale = booted.map.split(&mut booted.machine.memory, range).expect("there is room");
    booted.flush(stale);
    assert_eq!(sizes(&booted), [0, 1024, 0]);
    let stale =
        booted.map.split(&mut booted.machine.memory, PageRange::new(VirtAddr(0x4020_1000), 0x3FF)).expect("room");
    booted.flush(stale);
    assert_eq!(sizes(&booted), [512, 1023, 0]);
    booted.shut_down();
}

#[test]
fn merging_undoes_splitting() {
    for (mode, pages, whole) in [
        (Mode::Pml2, 0x1000, [0, 4, 0]),
        (Mode::Pml3, 0x1000, [0, 8, 0]),
        (Mode::Pml4, 0x8_0000, [0, 0, 2]),
        (Mode::Pml5, 0x8_0000, [0, 0, 2]),
    ] {
        let mut booted = booted(mode, FULL);
        let range = PageRange::new(VirtAddr(0x4000_0000), pages);
        booted.map(range.start.0, pages, 0x4_0000, PageFlags::DATA).expect("there is room");
        let free = booted.machine.free_frames();
        for first in [1, pages / 2 + 3, pages - 1] {
            let piece = PageRange::new(range.start.offset(first << 12), 1);
            let stale = booted.map.split(&mut booted.machine.memory, piece).expect("there is room");
            booted.flush(stale);
        }
        assert_ne!(sizes(&booted), whole, "{mode:?}");
        let stale = booted.map.merge(&mut booted.machine.memory, range).expect("a good range");
        booted.flush(stale);
        assert_eq!(sizes(&booted), whole, "{mode:?}");
        assert_eq!(booted.machine.free_frames(), free, "{mode:?}: tables kept");
        booted.shut_down();
    }
}

#[test]
fn what_differs_is_not_merged() {
    let start = 0x4000_0000;
    // The last page: of another frame, with other flags, or missing; or all on frames that are not aligned.
    for case in 0..4 {
        let mut booted = booted(Mode::Pml3, FULL);
        let first = if case == 3 { 0x1001 } else { 0x1000 };
        booted.map(start, 511, first, PageFlags::DATA).expect("there is room");
        match case {
            0 => booted.map(start + 0x1F_F000, 1, 0x1200, PageFlags::DATA).expect("there is room"),
            1 => booted.map(start + 0x1F_F000, 1, 0x11FF, PageFlags::RODATA).expect("there is room"),
            3 => booted.map(start + 0x1F_F000, 1, 0x1200, PageFlags::DATA).expect("there is room"),
            _ => {}
        }
        let before = booted.bytes_of_tables();
        let range = PageRange::new(VirtAddr(start), 512);
        let stale = booted.map.merge(&mut booted.machine.memory, range).expect("a good range");
        assert_eq!(stale.tables_held(), 0, "case {case}");
        booted.flush(stale);
        assert!(before == booted.bytes_of_tables(), "case {case}");
        booted.shut_down();
    }
}

#[test]
fn a_merge_stays_in_its_range() {
    for mode in [Mode::Pml2, Mode::Pml3, Mode::Pml4, Mode::Pml5] {
        let mut booted = booted(mode, FULL);
        let pages = if mode == Mode::Pml2 { 1024 } else { 512 };
        let start = VirtAddr(0x4000_0000);
        booted.map(start.0, pages, 0x4_0000, PageFlags::DATA).expect("there is room");
        let stale = booted.map.split(&mut booted.machine.memory, PageRange::new(start, 1)).expect("there is room");
        booted.flush(stale);
        let before = booted.bytes_of_tables();
        for range in [PageRange::new(start, pages - 1), PageRange::new(start.offset(0x1000), pages - 1)] {
            // Pages outside would stay in the TLB as small ones, and a later flush of the large page would miss them.
            let stale = booted.map.merge(&mut booted.machine.memory, range).expect("a good range");
            booted.flush(stale);
            assert!(before == booted.bytes_of_tables(), "{mode:?}");
        }
        booted.shut_down();
    }
}
