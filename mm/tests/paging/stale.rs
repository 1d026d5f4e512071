//! What a change makes stale, and how it is flushed.

use std::sync::Mutex;

use mm::{Mmu, PageFlags, PageRange, Rights, Stale, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::{Booted, MODES};

/// A CPU that only writes down what is asked of it.
#[derive(Default)]
struct Recorder(Mutex<Vec<Flush>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flush {
    Page(u64),
    Local,
    All,
}

impl Recorder {
    fn push(&self, flush: Flush) {
        self.0.lock().expect("one thread").push(flush);
    }
}

impl Mmu for Recorder {
    fn flush_page(&self, va: VirtAddr) {
        self.push(Flush::Page(va.0));
    }

    fn flush_local(&self) {
        self.push(Flush::Local);
    }

    fn flush_all(&self) {
        self.push(Flush::All);
    }
}

fn flushes(booted: &mut Booted, stale: Stale) -> Vec<Flush> {
    let recorder = Recorder::default();
    stale.flush(&mut booted.machine.memory, &recorder);
    recorder.0.into_inner().expect("one thread")
}

const USER: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));

fn range(start: u64, pages: u64) -> PageRange {
    PageRange::new(VirtAddr(start), pages)
}

#[test]
fn few_pages_are_flushed_one_by_one() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        booted.map(0x1000, 40, 9, USER).expect("there is room");
        let stale = booted.map.unmap(&mut booted.machine.memory, range(0x1000, 33), None).expect("mapped");
        assert!(!stale.has_global());
        assert_eq!(stale.range(), range(0x1000, 33));
        let expected: Vec<Flush> = (1..=33).map(|n| Flush::Page(n << 12)).collect();
        assert_eq!(flushes(&mut booted, stale), expected, "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn many_pages_are_flushed_at_once_and_global_ones_with_them() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let kernel = mode.kernel_half();
        booted.map(0x1000, 34, 9, USER).expect("there is room");
        booted.map(kernel + 0x1000, 34, 9, PageFlags::DATA).expect("there is room");
        booted.map(kernel + 0x40_1000, 34, 9, PageFlags::new(Rights::WRITE)).expect("there is room");
        for (start, global) in [(0x1000, false), (kernel + 0x1000, true), (kernel + 0x40_1000, false)] {
            let flags = PageFlags::new(Rights::EXEC);
            let stale = booted.map.protect(&mut booted.machine.memory, range(start, 34), flags).expect("mapped");
            assert_eq!(stale.has_global(), global, "{mode:?}, {start:#x}");
            let expected = if global { Flush::All } else { Flush::Local };
            assert_eq!(flushes(&mut booted, stale), [expected], "{mode:?}, {start:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn a_large_page_is_flushed_by_one_address_and_its_entry_in_the_self_map() {
    for (mode, pages) in [(Mode::Pml2, 1024), (Mode::Pml3, 512), (Mode::Pml4, 512), (Mode::Pml5, 512)] {
        let mut booted = Booted::full(mode);
        booted.map(0x4000_0000, pages, 0x4_0000, USER).expect("there is room");
        let stale = booted.map.unmap(&mut booted.machine.memory, range(0x4000_0000, pages), None).expect("mapped");
        let expected = [Flush::Page(0x4000_0000), Flush::Page(mode.entry_address(0x4000_0000, 1))];
        assert_eq!(flushes(&mut booted, stale), expected, "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn mapping_leaves_nothing_behind_and_changing_nothing_holds_nothing() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        booted.map(0x1000, 1, 9, USER).expect("there is room");
        let (map, memory) = (&mut booted.map, &mut booted.machine.memory);
        // Tables with an entry left stay, and a range without pages has none to hold.
        for stale in [map.trim(memory, range(0, 0x1_0000)), map.clear(memory, range(0x100_0000, 0x1000), None)] {
            let stale = stale.expect("good ranges");
            assert_eq!((stale.tables_held(), stale.has_global()), (0, false), "{mode:?}");
            // SAFETY: no table is in it.
            unsafe { stale.forget(memory) };
        }
        booted.shut_down();
    }
}

#[test]
fn tables_are_held_until_the_flush() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let empty = booted.machine.free_frames();
        booted.map(0x40_0000, 1024, 9, USER).expect("there is room");
        let full = booted.machine.free_frames();
        let stale = booted.map.unmap(&mut booted.machine.memory, range(0x40_0000, 1024), None).expect("mapped");
        let leaf_tables = if mode == Mode::Pml2 { 1 } else { 2 };
        assert_eq!(stale.tables_held(), leaf_tables, "{mode:?}");
        assert_eq!(booted.machine.free_frames(), full, "{mode:?}: given back before the flush");
        booted.flush(stale);
        assert_eq!(booted.machine.free_frames(), full + leaf_tables, "{mode:?}");
        let stale = booted.map.trim(&mut booted.machine.memory, range(0x40_0000, 1)).expect("a good range");
        booted.flush(stale);
        assert_eq!(booted.machine.free_frames(), empty, "{mode:?}: trim leaves empty tables");
        booted.shut_down();
    }
}

#[test]
fn frames_are_reported_in_order_and_as_runs() {
    let mut booted = Booted::full(Mode::Pml4);
    booted.map(0x20_0000, 0x600, 0x200, USER).expect("there is room");
    booted.map(0x80_0000, 1, 0x800, USER).expect("there is room");
    booted.map(0x80_1000, 1, 0x7FF, USER).expect("there is room");
    let mut runs = Vec::new();
    let mut report = |run: mm::FrameRun| runs.push((run.first.0, run.count));
    let (map, memory) = (&mut booted.map, &mut booted.machine.memory);
    let stale = map.clear(memory, range(0x20_1000, 0x1000), Some(&mut report)).expect("a good range");
    booted.flush(stale);
    // The second run goes on where the first ends.
    assert_eq!(runs, [(0x201, 0x600), (0x7FF, 1)]);
    booted.shut_down();
}

#[test]
fn a_large_page_between_holes_is_flushed() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let pages = if mode == Mode::Pml2 { 1024 } else { 512 };
        booted.map(0x40_0000, pages, 0x400, USER).expect("there is room");
        assert!(booted.tlb.answers(0x40_0000).iter().all(Option::is_some));
        // One page before it, one behind: the steps of the flush begin beside the large page.
        let around = range(0x3F_F000, pages + 2);
        let stale = booted.map.clear(&mut booted.machine.memory, around, None).expect("a good range");
        booted.flush(stale);
        assert!(booted.tlb.answers(0x40_0000).iter().all(Option::is_none), "{mode:?}: still in the TLB");
        booted.shut_down();
    }
}

#[test]
fn tables_at_both_ends_of_a_trim_are_flushed() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let span = if mode == Mode::Pml2 { 0x40_0000 } else { 0x20_0000 };
        for start in [0, span] {
            booted.map(start, 1, 9, USER).expect("there is room");
            let stale = booted.map.unmap(&mut booted.machine.memory, range(start, 1), None).expect("mapped");
            booted.flush(stale);
        }
        // Seen through the self-map, the two leaf tables are pages.
        let seen = [0, span].map(|va| mode.entry_address(va, 1));
        assert!(seen.iter().all(|at| booted.tlb.answers(*at).iter().all(Option::is_some)));
        // From the second page of one table to the first page of the other.
        let middle = range(0x1000, span >> 12);
        let stale = booted.map.trim(&mut booted.machine.memory, middle).expect("a good range");
        assert!(stale.tables_held() >= 2, "{mode:?}");
        booted.flush(stale);
        for at in seen {
            assert!(booted.tlb.answers(at).iter().all(Option::is_none), "{mode:?}: a table is still seen at {at:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn a_whole_table_is_flushed_as_all_its_pages() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let pages = if mode == Mode::Pml2 { 1024 } else { 512 };
        // One frame aside from where a large page would lie, so that a table is needed.
        for (start, global) in [(0x40_0000, false), (mode.kernel_half() + 0x40_0000, true)] {
            booted.map(start, pages, 0x401, PageFlags::DATA).expect("there is room");
            // Without a report, the table is not read: that it had global pages goes by the half.
            let stale = booted.map.unmap(&mut booted.machine.memory, range(start, pages), None).expect("mapped");
            assert_eq!((stale.tables_held(), stale.has_global()), (1, global), "{mode:?}, {start:#x}");
            let expected = if global { Flush::All } else { Flush::Local };
            assert_eq!(flushes(&mut booted, stale), [expected], "{mode:?}, {start:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn every_table_of_an_unlinked_tree_is_counted() {
    for (mode, tables) in [(Mode::Pml2, 1), (Mode::Pml3, 1), (Mode::Pml4, 3), (Mode::Pml5, 4)] {
        for report in [false, true] {
            let mut booted = Booted::full(mode);
            booted.map(0x40_0000, 1, 9, USER).expect("there is room");
            // What one entry of the root covers, or two; PAE's root entry stays, and what is below it is taken out.
            let all = range(0, 1 << [11, 18, 27, 36][usize::from(mode.levels()) - 2]);
            let mut ignore = |_| {};
            let memory = &mut booted.machine.memory;
            let report: mm::Report = if report { Some(&mut ignore) } else { None };
            let stale = booted.map.clear(memory, all, report).expect("a good range");
            assert_eq!(stale.tables_held(), tables, "{mode:?}");
            booted.flush(stale);
            booted.shut_down();
        }
    }
}
