//! Several CPUs on one tree, of which one changes it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mm::{PageFlags, PageRange, Rights, VirtAddr};

use crate::machine::cpus::Cpus;
use crate::machine::mmu::Mode;
use crate::machine::program::{Setup, Tally, run_with};
use crate::machine::rng::Rng;
use crate::machine::watched::{self, watched};
use crate::machine::{Booted, FULL, MODES};

/// Steps in a program.
const STEPS: usize = 100;

fn program(seed: u64) -> Vec<u8> {
    let mut bytes = Rng::new(seed + 1).bytes(1 + 6 * STEPS);
    // Between 24 and 63 frames: enough for most steps, and little to compare after each.
    bytes[0] = 24 + bytes[0] % 40;
    bytes
}

fn programs_on_cpus(mode: Mode) {
    let mut tally = Tally::default();
    for seed in 0..24 {
        let cpus = 2 + seed as usize % 3;
        // Shown if the test fails: which program it was.
        println!("{mode:?}, {cpus} CPUs, seed {seed}");
        tally.add(run_with(mode, &FULL, &program(seed), Setup { cpus, ..Setup::default() }));
    }
    println!("{tally:?}");
    assert!(tally.done > 500 && tally.tables_held > 0, "{tally:?}");
}

#[test]
fn programs_on_several_cpus_pml2() {
    programs_on_cpus(Mode::Pml2);
}

#[test]
fn programs_on_several_cpus_pml3() {
    programs_on_cpus(Mode::Pml3);
}

#[test]
fn programs_on_several_cpus_pml4() {
    programs_on_cpus(Mode::Pml4);
}

#[test]
fn programs_on_several_cpus_pml5() {
    programs_on_cpus(Mode::Pml5);
}

/// The harness itself: a shootdown that leaves one CPU out, whichever it is, is found in every program.
#[test]
fn a_cpu_that_no_flush_reaches_is_found() {
    for mode in MODES {
        for seed in 0..6 {
            let cpus = 2 + seed as usize % 3;
            let deaf = seed as usize % cpus;
            let run = || run_with(mode, &FULL, &program(seed), Setup { cpus, deaf: Some(deaf), ..Setup::default() });
            let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a CPU was left out, and nobody noticed");
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let cpu = format!("CPU {deaf} ");
            let found =
                words.starts_with(&cpu) || ["a reserved bit", "the CPU reads"].iter().any(|w| words.contains(w));
            assert!(found || words.contains("self-map"), "{mode:?}, seed {seed}, found something else: {words}");
        }
    }
}

const USER: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));

/// The same step by step: what is unmapped stays readable on the CPU that was left out, and nowhere else.
#[test]
fn a_flush_that_reaches_one_cpu_leaves_the_others_as_they_were() {
    for mode in MODES {
        for deaf in [None, Some(0), Some(1)] {
            let mut booted = Booted::full(mode);
            booted.map(0x1000, 1, 9, USER).expect("there is room");
            let other = Arc::new(booted.machine.tlb(booted.cpu, booted.map.root()));
            let cpus = Cpus::new(vec![booted.tlb.clone(), other], deaf, 1);
            cpus.each().for_each(|cpu| assert!(cpu.answers(0x1000)[0].is_some()));
            let page = PageRange::new(VirtAddr(0x1000), 1);
            let stale = booted.map.unmap(&mut booted.machine.memory, page, None).expect("mapped");
            cpus.each().for_each(|cpu| assert!(cpu.answers(0x1000).iter().any(Option::is_some), "{mode:?}: kept"));
            cpus.watch_books(&mut booted.machine.memory);
            stale.flush(&mut booted.machine.memory, &cpus);
            for (n, cpu) in cpus.each().enumerate() {
                let still = cpu.answers(0x1000).iter().any(Option::is_some);
                assert_eq!(still, deaf == Some(n), "{mode:?}, CPU {n} of {deaf:?}");
            }
            booted.shut_down();
        }
    }
}

/// A table is seen by others from the store that links it on, and all that is in it with it.
#[test]
fn no_store_of_a_large_map_shows_anything_but_the_map() {
    for mode in MODES {
        let mut booted = Booted::with(watched::routines(mode), mode, &FULL, 64).expect("64 frames are enough");
        // No page of the range lies on its frame as a large one would have to.
        let (pages, first) = (3000, 0x1_0003);
        let stores = Arc::new(AtomicU64::new(0));
        let (cpu, counter) = (booted.tlb.clone(), stores.clone());
        let onlooker = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            // Poison, or what was in the frame, would be found here.
            for page in [0, 1, 511, 512, 1023, 1024, pages - 1] {
                for answer in cpu.answers(0x40_1000 + (page << 12)) {
                    assert!(answer.is_none_or(|(frame, ..)| frame == first + page), "{mode:?}: {answer:x?} at {page}");
                }
            }
        };
        watched(onlooker, || booted.map(0x40_1000, pages, first, USER)).expect("there is room");
        assert!(stores.load(Ordering::Relaxed) >= pages, "{mode:?}: nobody looked");
        booted.shut_down();
    }
}

/// A page of pml3 that becomes global and executable in two stores can be seen global and not yet executable: a load of
/// CR3 would not drop that.
#[test]
fn what_becomes_global_is_flushed_as_global() {
    for mode in MODES {
        let mut booted = Booted::with(watched::routines(mode), mode, &FULL, 64).expect("64 frames are enough");
        let start = mode.kernel_half() + 0x1000;
        booted.map(start, 40, 9, PageFlags::new(Rights::WRITE)).expect("there is room");
        let cpu = booted.tlb.clone();
        let onlooker = move || drop(cpu.answers(start + 0x3000));
        let (range, flags) = (PageRange::new(VirtAddr(start), 40), PageFlags::new(Rights::EXEC | Rights::GLOBAL));
        let protect = || booted.map.protect(&mut booted.machine.memory, range, flags);
        let stale = watched(onlooker, protect).expect("mapped");
        booted.flush(stale);
        let answers = booted.tlb.answers(start + 0x3000);
        assert!(
            answers.iter().all(|answer| answer.is_some_and(|(_, rights, _)| rights == Rights::EXEC)),
            "{answers:x?}"
        );
        booted.shut_down();
    }
}

/// Between the small pages and the large one there is no moment with neither.
#[test]
fn no_store_of_a_merge_hides_a_page() {
    for mode in MODES {
        let mut booted = Booted::with(watched::routines(mode), mode, &FULL, 64).expect("64 frames are enough");
        let pages = if mode == Mode::Pml2 { 1024 } else { 512 };
        // An entry of pml3 that is stored in halves is absent for a moment if it moves to another 4 GiB: the tables are above.
        let first = if mode == Mode::Pml3 { 0x14_0000 } else { 0x4_0000 };
        let range = PageRange::new(VirtAddr(0x4000_0000), pages);
        // Two halves, so that they lie in a table.
        for half in [0, pages / 2] {
            booted.map(0x4000_0000 + (half << 12), pages / 2, first + half, USER).expect("there is room");
        }
        let stores = Arc::new(AtomicU64::new(0));
        let (cpu, counter) = (booted.tlb.clone(), stores.clone());
        let onlooker = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            for page in [0, 1, pages - 1] {
                let said = cpu.tables_say(0x4000_0000 + (page << 12));
                assert_eq!(said.map(|(frame, ..)| frame), Some(first + page), "{mode:?}, page {page}");
            }
        };
        let merge = || booted.map.merge(&mut booted.machine.memory, range);
        let stale = watched(onlooker, merge).expect("a good range");
        assert!(stale.tables_held() == 1 && stores.load(Ordering::Relaxed) > 0, "{mode:?}: nothing was merged");
        booted.flush(stale);
        booted.shut_down();
    }
}
