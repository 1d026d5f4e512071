//! Reading a tree word by word: leaves that continue one another come as one, and nothing is lost by it.

use mm::{Cache, Level, PageFlags, PageRange, Pte, RawEntry, Rights, VirtAddr};

use crate::machine::{Booted, MODES};

/// Leaves as the walker finds each on the way to its address.
fn by_path(booted: &Booted, at: VirtAddr, level: Level) -> Option<(u64, Pte)> {
    let mut found = None;
    booted.map.path(&booted.machine.memory, at, &mut |step| {
        if step.level == level {
            found = Some((step.raw, step.pte));
        }
    });
    found
}

#[test]
fn a_run_is_made_of_the_entries_that_are_there() {
    let data = PageFlags::new(Rights::WRITE);
    for mode in MODES {
        let mut booted = Booted::full(mode);
        // Pages that continue one another over the end of a table; then other rights, another cache, a gap in the frames, a
        // gap in the pages, and frames that run backwards.
        booted.map(0x40_0000 - 0x5000, 12, 7, data).expect("there is room");
        booted.map(0x40_7000, 2, 19, PageFlags::default()).expect("there is room");
        booted.map(0x40_9000, 2, 21, data.cached(Cache::Uncached)).expect("there is room");
        booted.map(0x40_B000, 3, 24, data.cached(Cache::Uncached)).expect("there is room");
        booted.map(0x41_0000, 2, 29, data.cached(Cache::Uncached)).expect("there is room");
        (0..3).for_each(|n| booted.map(0x42_0000 + n * 0x1000, 1, 50 - n, data).expect("there is room"));
        booted.map(0x8000_0000, 0x1000, 0x1000, data).expect("there is room");

        let info = booted.map.paging().routines.info;
        let mut runs: Vec<RawEntry> = Vec::new();
        booted.map.entries(&booted.machine.memory, 1, &mut |entry| runs.push(entry));
        let leaves: Vec<&RawEntry> = runs.iter().filter(|entry| matches!(entry.pte, Pte::Leaf(..))).collect();
        let mut pages = 0;
        for run in &leaves {
            for n in 0..run.count {
                let one = run.one(&info, n);
                assert_eq!(by_path(&booted, one.start, one.level), Some((one.raw, one.pte)), "{mode:?}, {one:x?}");
                pages += info.pages(one.level);
            }
        }
        assert_eq!(pages, 12 + 2 + 2 + 3 + 2 + 3 + 0x1000, "{mode:?}");
        let small: Vec<u64> = leaves.iter().filter(|run| run.start.0 < 0x8000_0000).map(|run| run.count).collect();
        assert_eq!(small, [5, 7, 2, 2, 3, 2, 1, 1, 1], "{mode:?}: runs are as long as they can be, and no longer");

        let mut tables = 0;
        booted.map.entries(&booted.machine.memory, 2, &mut |entry| {
            assert!(entry.level >= 2, "{mode:?}: {entry:x?}");
            tables += u64::from(matches!(entry.pte, Pte::Table(..)));
        });
        let all = runs.iter().filter(|entry| entry.level >= 2 && matches!(entry.pte, Pte::Table(..))).count();
        assert_eq!(tables, all as u64, "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn long_runs_and_long_gaps_end_where_they_end() {
    let data = PageFlags::new(Rights::WRITE);
    for mode in MODES {
        let mut booted = Booted::full(mode);
        // A hundred pages on frames that go on, of which one differs in its rights: at each place once.
        for other in 0..100 {
            let at = |page: u64| 0x40_1000 + page * 0x1000;
            booted.map(at(0), 100, 7, data).expect("there is room");
            let one = PageRange::new(VirtAddr(at(other)), 1);
            let stale =
                booted.map.protect(&mut booted.machine.memory, one, PageFlags::default()).expect("it is mapped");
            booted.flush(stale);
            let expected: Vec<(u64, u64)> =
                [(0, other), (other, 1), (other + 1, 99 - other)].into_iter().filter(|run| run.1 > 0).collect();
            assert_eq!(runs(&booted, at(0)), expected, "{mode:?}: page {other} differs");
            let all = PageRange::new(VirtAddr(at(0)), 100);
            let stale = booted.map.unmap(&mut booted.machine.memory, all, None).expect("it is mapped");
            booted.flush(stale);
        }
        // Single pages, each further from the one before.
        let mut expected = Vec::new();
        let mut page = 0;
        for gap in 0..40 {
            booted.map(0x40_1000 + page * 0x1000, 1, 7, data).expect("there is room");
            expected.push((page, 1));
            page += 1 + gap;
        }
        assert_eq!(runs(&booted, 0x40_1000), expected, "{mode:?}");
        booted.shut_down();
    }
}

/// The runs of leaves of 4 KiB: how many pages each begins behind `first`, and how many it has.
fn runs(booted: &Booted, first: u64) -> Vec<(u64, u64)> {
    let mut runs = Vec::new();
    booted.map.entries(&booted.machine.memory, 1, &mut |entry| {
        if entry.level == 1 && !entry.self_map {
            runs.push(((entry.start.0 - first) / 0x1000, entry.count));
        }
    });
    runs
}
