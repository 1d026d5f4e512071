//! Cursors: every step against a model, everything that is stale flushed by one token, nothing lost.

use mm::{Cache, Frame, MapError, PageFlags, PageRange, Rights, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::model::{Model, Run, effective};
use crate::machine::rng::Rng;
use crate::machine::{Booted, FULL, MODES};

const FLAGS: [PageFlags; 4] = [
    PageFlags::new(Rights::WRITE.union(Rights::USER)),
    PageFlags::new(Rights::EXEC.union(Rights::GLOBAL)),
    PageFlags::new(Rights::WRITE.union(Rights::GLOBAL)).cached(Cache::Uncached),
    PageFlags::new(Rights::USER).cached(Cache::WriteCombining),
];

/// Goes through ranges at random, with many changes in each, and looks at what the CPU may answer after the flush.
fn run(mode: Mode, seed: u64, frames: usize) -> [u64; 5] {
    let Some(mut booted) = Booted::new(mode, &FULL, frames) else { return [0; 5] };
    let (mut rng, mut model, mut done) = (Rng::new(seed), Model::default(), [0; 5]);
    let places = [0, 0x3F_C000, 0x1F_F000, mode.kernel_half(), mode.kernel_half() + 0x1F_E000];
    for round in 0..24 {
        let start = places[rng.below(5) as usize] + (rng.below(40) << 12);
        let pages = [1, 3, 34, 600, 1100][rng.below(5) as usize];
        if round % 5 == 0 {
            // Something to come upon: large pages, and tables that are full.
            let (base, frame) = (start & !0x3F_FFFF, [0x400, 0x40_0401 & 0x7_FFFF][rng.below(2) as usize]);
            if booted.map(base, 2048, frame, FLAGS[1]).is_ok() {
                let flags = effective(&booted.cpu, base, FLAGS[1]);
                model.insert(base >> 12, Run { pages: 2048, frame, flags });
            }
        }
        let seen: Vec<u64> = (0..pages).map(|n| start + (n << 12)).flat_map(|va| watched(mode, va)).collect();
        seen.iter().for_each(|va| drop(booted.tlb.answers(*va)));
        let (cpu, memory) = (booted.cpu, &mut booted.machine.memory);
        let work = |cursor: &mut mm::Cursor| {
            while cursor.left().pages > 0 {
                let va = cursor.left().start.0;
                let (page, flags) = (va >> 12, FLAGS[rng.below(4) as usize]);
                let there = model.at(page);
                let before = cursor.query();
                assert_eq!(
                    before.map(|leaf| (leaf.frame.0 + (page - (leaf.start.0 >> 12)), leaf.flags)),
                    there,
                    "{va:#x}"
                );
                let what = rng.below(4) as usize;
                let (expected, told) = match what {
                    0 => {
                        let frame = 0x1000 + rng.below(0x1000);
                        let told = cursor.map(Frame(frame), flags);
                        if told.is_ok() {
                            model.insert(page, Run { pages: 1, frame, flags: effective(&cpu, va, flags) });
                        }
                        (if there.is_some() { Err(MapError::Occupied) } else { Ok(()) }, told)
                    }
                    1 => {
                        let told = cursor.unmap();
                        if let (Ok(frame), Some((was, _))) = (told, there) {
                            assert_eq!(frame.0, was, "{mode:?}: the frame at {va:#x}");
                            model.remove(page, 1);
                        }
                        (if there.is_none() { Err(MapError::NotMapped) } else { Ok(()) }, told.map(|_| ()))
                    }
                    2 => {
                        let told = cursor.protect(flags);
                        if told.is_ok() {
                            model.protect(page, 1, effective(&cpu, va, flags));
                        }
                        (if there.is_none() { Err(MapError::NotMapped) } else { Ok(()) }, told)
                    }
                    _ => (Ok(()), Ok(())),
                };
                if told == Err(MapError::NoMemory) {
                    assert_eq!(expected, Ok(()), "{mode:?}: {what} at {va:#x}");
                    done[4] += 1;
                } else {
                    assert_eq!(told, expected, "{mode:?}: {what} at {va:#x}");
                    done[what] += u64::from(told.is_ok());
                }
                cursor.skip([1, 1, 2, 512, 1024, 700][rng.below(6) as usize]);
            }
            assert_eq!(cursor.map(Frame(1), FLAGS[0]), Err(MapError::Empty));
            assert_eq!(cursor.unmap(), Err(MapError::Empty));
            assert_eq!(cursor.protect(FLAGS[0]), Err(MapError::Empty));
            assert_eq!(cursor.query(), None);
        };
        let range = PageRange::new(VirtAddr(start), pages);
        let ((), stale) = booted.map.with_cursor(memory, range, work).expect("a good range");
        booted.flush(stale);
        for va in seen {
            let now = booted.tlb.tables_say(va);
            assert!(booted.tlb.answers(va).iter().all(|answer| *answer == now), "{mode:?}: {va:#x} was not flushed");
        }
        let scan = booted.machine.scan(&booted.cpu, booted.map.root());
        let mut said = Model::default();
        for (_, leaf) in &scan.leaves {
            let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
            said.push(leaf.start >> 12, Run { pages: leaf.bytes >> 12, frame: leaf.phys >> 12, flags });
        }
        assert_eq!(said, model.joined(), "{mode:?}");
        // A hole is a hole for the routines too, whatever was noted of the table that it is in.
        let whole = model.all_mapped(start >> 12, pages);
        let told = booted.map.unmap(&mut booted.machine.memory, range, None);
        assert!(told.is_ok() == whole || whole && told.as_ref().err() == Some(&MapError::NoMemory), "{mode:?}");
        if let Ok(stale) = told {
            model.remove(start >> 12, pages);
            booted.flush(stale);
        }
        let scan = booted.machine.scan(&booted.cpu, booted.map.root());
        assert_eq!(booted.machine.free_frames() + scan.tables.len() as u64, booted.machine.total(), "{mode:?}");
    }
    booted.shut_down();
    done
}

/// A page, and its entries as the self-map shows them.
fn watched(mode: Mode, va: u64) -> impl Iterator<Item = u64> {
    [va, mode.entry_address(va, 1) & !0xFFF, mode.entry_address(va, 2) & !0xFFF].into_iter()
}

#[test]
fn a_cursor_does_what_the_routines_do_and_one_flush_covers_all_of_it() {
    for mode in MODES {
        let mut done = [0; 5];
        for seed in 1..7 {
            let came = run(mode, seed, 256);
            (0..5).for_each(|n| done[n] += came[n]);
        }
        assert!(done[..4].iter().all(|count| *count > 10) && done[4] == 0, "{mode:?}: {done:?}");
    }
}

#[test]
fn a_cursor_runs_out_of_memory_without_a_trace() {
    for mode in MODES {
        let refused: u64 = (0..24).map(|frames| run(mode, frames as u64 + 1, frames)[4]).sum();
        assert!(refused > 2, "{mode:?}: {refused}");
    }
}

#[test]
fn a_cursor_begins_nowhere_else_and_knows_the_end() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let (self_map, _) = mode.self_map();
        let bad = [(0x1000, 0, MapError::Empty), (0x1800, 1, MapError::Misaligned), (self_map, 1, MapError::SelfMap)];
        for (start, pages, error) in bad {
            let range = PageRange::new(VirtAddr(start), pages);
            let told = booted.map.with_cursor(&mut booted.machine.memory, range, |_| unreachable!("not called"));
            assert_eq!(told.err(), Some(error), "{mode:?}");
        }
        let range = PageRange::new(VirtAddr(0x5000), 4);
        let (said, stale) = booted
            .map
            .with_cursor(&mut booted.machine.memory, range, |cursor| {
                let beyond = cursor.map(Frame(1 << booted.cpu.width().saturating_sub(12)), FLAGS[0]);
                cursor.skip(3);
                let last = cursor.left();
                cursor.skip(u64::MAX);
                (beyond, last, cursor.left().pages)
            })
            .expect("a good range");
        assert_eq!(said, (Err(MapError::BeyondPhys), PageRange::new(VirtAddr(0x8000), 1), 0), "{mode:?}");
        // Nothing was changed, so there is nothing to flush.
        let before = booted.tlb.flushes();
        booted.flush(stale);
        assert_eq!(booted.tlb.flushes(), before, "{mode:?}");
        booted.shut_down();
    }
}

#[test]
fn a_token_names_the_pages_between_the_first_and_the_last_change() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        booted.map(0x40_0000, 2048, 9, FLAGS[0]).expect("there is room");
        let range = PageRange::new(VirtAddr(0x40_0000), 2048);
        let ((), stale) = booted
            .map
            .with_cursor(&mut booted.machine.memory, range, |cursor| {
                cursor.skip(1022);
                cursor.protect(FLAGS[3]).expect("mapped");
                cursor.skip(3);
                cursor.unmap().expect("mapped");
            })
            .expect("a good range");
        assert_eq!(stale.range(), PageRange::new(VirtAddr(0x7F_E000), 4), "{mode:?}");
        let before = booted.tlb.flushes();
        booted.flush(stale);
        assert_eq!(booted.tlb.flushes() - before, 4, "{mode:?}");
        booted.shut_down();
    }
}
