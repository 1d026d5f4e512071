//! Reading a tree word by word: leaves that continue one another come as one, and nothing is lost by it.

use mm::{Cache, Level, PageFlags, Pte, RawEntry, Rights, VirtAddr};

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
