//! Every reason to refuse, by its own word, from every routine that can have it; and nothing changes.

use mm::{MapError, PageFlags, PageRange, Rights, Stale, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::{Booted, MODES};

const FLAGS: PageFlags = PageFlags::new(Rights::WRITE);

/// Ranges that every routine refuses.
fn bad_ranges(mode: Mode) -> Vec<(u64, u64, MapError)> {
    let mut bad = vec![
        (0x1000, 0, MapError::Empty),
        (0x1001, 1, MapError::Misaligned),
        (0x1800, 1, MapError::Misaligned),
        (0x1000, u64::MAX, MapError::Wraps),
        (0x1000, 1 << 52, MapError::Wraps),
    ];
    let (self_first, self_last) = mode.self_map();
    bad.extend([
        (self_first, 1, MapError::SelfMap),
        (self_last & !0xFFF, 1, MapError::SelfMap),
        (self_first - 0x1000, 2, MapError::SelfMap),
        (self_first - 0x1000, (self_last - self_first) / 4096 + 1, MapError::SelfMap),
    ]);
    match mode {
        Mode::Pml2 | Mode::Pml3 => bad.extend([
            (0x1_0000_0000, 1, MapError::NotCanonical),
            (0xFFFF_FFFF_FFFF_F000, 1, MapError::NotCanonical),
            (0xFFFF_F000, 2, MapError::Wraps),
            (0, 0x10_0001, MapError::Wraps),
            (0xBFFF_F000, 2, MapError::CrossesHole),
            (0, 0x10_0000, MapError::CrossesHole),
        ]),
        Mode::Pml4 => bad.extend([
            (0x0000_8000_0000_0000, 1, MapError::NotCanonical),
            (0xFFFF_7FFF_FFFF_F000, 2, MapError::NotCanonical),
            (0x0000_7FFF_FFFF_F000, 2, MapError::NotCanonical),
            (0, (1 << 35) + 1, MapError::NotCanonical),
            (0x0000_7FFF_FFFF_F000, 0xF_FFF0_0000_0002, MapError::CrossesHole),
            (0, (1 << 52) - 1, MapError::CrossesHole),
            (0xFFFF_FFFF_FFFF_F000, 2, MapError::Wraps),
            (0xFFFF_F700_0000_0000, 1 << 35, MapError::Wraps),
            (0xFFFF_8000_0000_0000, 1 << 35, MapError::SelfMap),
        ]),
        Mode::Pml5 => bad.extend([
            (0x0100_0000_0000_0000, 1, MapError::NotCanonical),
            (0x0000_8000_0000_0000, 1 << 44, MapError::NotCanonical),
            (0x00FF_FFFF_FFFF_F000, 2, MapError::NotCanonical),
            (0x00FF_FFFF_FFFF_F000, 0xF_E000_0000_0002, MapError::CrossesHole),
            (0xFFFF_FFFF_FFFF_F000, 2, MapError::Wraps),
            (0xFF00_0000_0000_0000, 1 << 44, MapError::SelfMap),
        ]),
    }
    bad
}

/// What every routine says of one range.
fn ask_all(booted: &mut Booted, start: u64, pages: u64) -> [(&'static str, Result<(), MapError>); 7] {
    let range = PageRange::new(VirtAddr(start), pages);
    let mapped = booted.map(start, pages, 0, FLAGS);
    let (map, memory) = (&mut booted.map, &mut booted.machine.memory);
    let said = |result: Result<Stale, MapError>| result.map(|_| ());
    [
        ("map", mapped),
        ("unmap", said(map.unmap(memory, range, None))),
        ("clear", said(map.clear(memory, range, None))),
        ("protect", said(map.protect(memory, range, FLAGS))),
        ("split", said(map.split(memory, range))),
        ("merge", said(map.merge(memory, range))),
        ("trim", said(map.trim(memory, range))),
    ]
}

#[test]
fn a_bad_range_is_refused_by_its_own_word() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        booted.map(0x20_0000, 600, 0x300, FLAGS).expect("a good range");
        for (start, pages, expected) in bad_ranges(mode) {
            let before = booted.bytes_of_tables();
            for (routine, said) in ask_all(&mut booted, start, pages) {
                assert_eq!(said, Err(expected), "{mode:?}: {routine} of {pages:#x} pages at {start:#x}");
            }
            assert!(before == booted.bytes_of_tables(), "{mode:?}: something changed at {start:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn the_outermost_good_ranges_are_taken() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let kernel = mode.kernel_half();
        let user_end = if kernel == 0xC000_0000 { kernel } else { kernel.wrapping_neg() };
        let (self_first, self_last) = mode.self_map();
        let mut good = vec![(0, 1), (user_end - 0x1000, 1), (kernel, 1), (self_first - 0x1000, 1)];
        if self_last < 0xFFFF_FFFF_FFFF_F000 && kernel != 0xC000_0000 {
            good.extend([(self_last + 1, 1), (0xFFFF_FFFF_FFFF_F000, 1)]);
        }
        for (start, pages) in good {
            booted.map(start, pages, 0x55, FLAGS).unwrap_or_else(|error| panic!("{mode:?}, {start:#x}: {error}"));
            assert!(booted.map.query(&booted.machine.memory, VirtAddr(start + 0xFFF)).is_some());
        }
        booted.shut_down();
    }
}

#[test]
fn frames_beyond_the_physical_width_are_refused() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let end: u64 = if mode == Mode::Pml2 { 0x10_0000 } else { 0x100_0000_0000 };
        let cases = [
            (1, end, Err(MapError::BeyondPhys)),
            (1, end - 1, Ok(())),
            (2, end - 1, Err(MapError::BeyondPhys)),
            (1024, end - 1023, Err(MapError::BeyondPhys)),
            (1, u64::MAX, Err(MapError::BeyondPhys)),
            (2, u64::MAX, Err(MapError::BeyondPhys)),
            (1024, end - 1024, Ok(())),
        ];
        for (n, (pages, frame, expected)) in cases.into_iter().enumerate() {
            let start = 0x80_0000 * n as u64;
            assert_eq!(booted.map(start, pages, frame, FLAGS), expected, "{mode:?}: {pages} from {frame:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn what_is_mapped_is_occupied_and_what_is_not_is_not() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        // A run of small pages, a hole of one page, and a large page.
        booted.map(0x80_0000, 512, 0x1001, FLAGS).expect("free");
        booted.map(0xC0_0000, 1024, 0x4000, FLAGS).expect("free");
        let before = booted.bytes_of_tables();
        let occupied = [(0x80_0000, 1), (0x9F_F000, 1), (0x7F_F000, 2), (0x9F_F000, 2), (0xC0_0000, 1), (0xFF_F000, 9)];
        for (start, pages) in occupied.into_iter().chain([(0, 0x4_0000), (0xBF_F000, 2)]) {
            assert_eq!(booted.map(start, pages, 0x4000, FLAGS), Err(MapError::Occupied), "{mode:?}, {start:#x}");
        }
        let (map, memory) = (&mut booted.map, &mut booted.machine.memory);
        for (start, pages) in [(0x40_0000, 1), (0x7F_F000, 2), (0x9F_F000, 2), (0x80_0000, 2048), (0xFF_F000, 2)] {
            let range = PageRange::new(VirtAddr(start), pages);
            assert_eq!(map.unmap(memory, range, None).err(), Some(MapError::NotMapped), "{mode:?}, {start:#x}");
            assert_eq!(map.protect(memory, range, FLAGS).err(), Some(MapError::NotMapped), "{mode:?}, {start:#x}");
        }
        assert!(before == booted.bytes_of_tables(), "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn every_error_has_words_of_its_own() {
    use MapError::*;
    let all = [
        NotCanonical,
        CrossesHole,
        Wraps,
        Misaligned,
        Empty,
        BeyondPhys,
        SelfMap,
        Occupied,
        NotMapped,
        NoMemory,
        NotOffered,
    ];
    let words: std::collections::BTreeSet<String> = all.iter().map(|error| error.to_string()).collect();
    assert_eq!(words.len(), all.len());
}
