//! The frame allocator against a naive one, and on its own.

mod model;
#[path = "../random/mod.rs"]
mod random;

use std::collections::BTreeSet;

use mm::frames::Boundary;
use mm::{Frame, FrameError, FrameRun, Frames};

use model::{Model, pieces};
use random::Random;

const MAX_ORDER: u8 = Frames::MAX_ORDER;

fn runs(of: &[(u64, u64)]) -> Vec<FrameRun> {
    of.iter().map(|&(first, end)| FrameRun::between(Frame(first), Frame(end))).collect()
}

const DMA: Boundary = Boundary { end: Frame(0x1000), name: "dma" };
const DMA32: Boundary = Boundary { end: Frame(0x10_0000), name: "dma32" };
const LOW: Boundary = Boundary { end: Frame(0x3_0000), name: "low" };

/// An allocator over exactly as much metadata as it says it needs, with rubbish in it.
fn frames(runs: &[FrameRun], boundaries: &[Boundary]) -> Frames {
    let words = Frames::metadata_words(runs, boundaries);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let metadata = (0..words).map(|_| random.below(u64::MAX)).collect::<Vec<u64>>();
    Frames::new(runs, boundaries, metadata.leak()).unwrap()
}

/// Memory maps as firmware hands them over, and some that it should not.
fn worlds() -> Vec<(Vec<FrameRun>, Vec<Boundary>)> {
    let odd = Boundary { end: Frame(0x1234), name: "odd" };
    let gib = 0x4_0000;
    vec![
        (runs(&[(1, 0x9F), (0x100, 0x1000)]), vec![DMA, DMA32]),
        (runs(&[(1, 0x9F), (0x180, 0x2000)]), vec![DMA32, DMA]),
        (runs(&[(0, 0x1000)]), vec![]),
        (runs(&[(0x40, 0x80), (0x80, 0x100), (0x101, 0x102), (0x103, 0x140), (0x17F, 0x181)]), vec![]),
        (runs(&[(0x11, 0x2345), (0x2346, 0x3000)]), vec![odd, DMA, odd]),
        (runs(&[(1, 0x9F), (0x100, 0x3_FFE0), (0xF_0000, 0x12_0003)]), vec![DMA, LOW, DMA32]),
        (runs(&[(7, 0x99), (3 * gib + 5, 3 * gib + 0x1007), (9 * gib - 1, 9 * gib + 70)]), vec![DMA]),
        (runs(&[(0, 3 * gib), (4 * gib, 70 * gib), (80 * gib + 17, 81 * gib)]), vec![DMA, DMA32]),
        ((0..300).map(|n| FrameRun { first: Frame(n * 129), count: 1 + n % 128 }).collect(), vec![DMA]),
        ((0..40).map(|n| FrameRun { first: Frame(n * gib * 3 / 2), count: 100 + n }).collect(), vec![DMA32]),
    ]
}

#[test]
fn random_programs_agree_with_the_model() {
    for (seed, (runs, boundaries)) in worlds().into_iter().enumerate() {
        let mut real = frames(&runs, &boundaries);
        let mut model = Model::new(&runs, &boundaries);
        model.agrees(&real);
        let total: u64 = runs.iter().map(|run| run.count).sum();
        assert_eq!((real.total_frames(), real.free_frames()), (total, total));
        let end = runs.last().unwrap().end().0 + 70;
        let mut random = Random(seed as u64 + 1);
        let (mut blocks, mut lots): (Vec<(u64, u8)>, Vec<FrameRun>) = Default::default();
        for step in 0..40_000 {
            // Waves: mostly allocations, then mostly frees, so that the allocator is full and empty many times.
            let growing = step / 2_000 % 2 == 0;
            let below = match random.below(4) {
                0 => random.below(end),
                _ => Frames::ANYWHERE.0,
            };
            match random.below(16) {
                0..=6 if growing => {
                    let order = [0, 0, 0, random.below(7) as u8, random.below(26) as u8][random.below(5) as usize];
                    let got = real.alloc(order, Frame(below));
                    blocks.extend(model.alloc(order, below, got).map(|first| (first, order)));
                }
                7..=9 if growing => {
                    let most = [10, 100, 5_000][random.below(3) as usize];
                    let (count, align) = (1 + random.below(most), 1 << random.below(10));
                    let got = real.alloc_run(count, align, Frame(below));
                    lots.extend(model.alloc_run(count, align, below, got));
                }
                0..=9 => {
                    if !blocks.is_empty() {
                        let (first, order) = blocks.swap_remove(random.below(blocks.len() as u64) as usize);
                        model.free(first, order, real.free(Frame(first), order));
                    }
                    if !lots.is_empty() {
                        let run = lots.swap_remove(random.below(lots.len() as u64) as usize);
                        model.free_run(run, real.free_run(run));
                    }
                }
                10 | 11 => {
                    // Anything at all: a hole, a frame that is free, the middle of a block, beyond the end.
                    let (first, order) = (random.below(end), random.below(26) as u8);
                    let first = if random.below(2) == 0 { first } else { first >> order.min(30) << order };
                    let is_a_piece = model.refusal(first, order).is_ok();
                    if !is_a_piece {
                        model.free(first, order, real.free(Frame(first), order));
                    }
                }
                12 | 13 if !blocks.is_empty() => {
                    // Nearly right: a live block with a wrong order, or its neighbour.
                    let (first, order) = blocks[random.below(blocks.len() as u64) as usize];
                    let wrong = random.below(26) as u8;
                    if wrong != order {
                        model.free(first, wrong, real.free(Frame(first), wrong));
                    }
                    if model.refusal(first + 1, 0).is_err() {
                        model.free(first + 1, 0, real.free(Frame(first + 1), 0));
                    }
                }
                14 if !lots.is_empty() => {
                    let run = lots[random.below(lots.len() as u64) as usize];
                    let longer = FrameRun { first: run.first, count: run.count + 1 + random.below(9) };
                    if pieces(longer).any(|(first, order)| model.refusal(first, order).is_err()) {
                        model.free_run(longer, real.free_run(longer));
                    }
                }
                _ => {
                    let frame = random.below(end);
                    assert_eq!(real.is_free(Frame(frame)), model.is_free(frame));
                    assert_eq!(real.was_given(Frame(frame)), model.given(frame));
                }
            }
            if step % 997 == 0 {
                model.agrees(&real);
            }
        }
        for (first, order) in blocks {
            model.free(first, order, real.free(Frame(first), order));
        }
        for run in lots {
            model.free_run(run, real.free_run(run));
        }
        model.agrees(&real);
        assert_eq!(real.free_frames(), total, "every frame is home");
    }
}

#[test]
fn every_frame_can_be_had_and_no_more() {
    for start in [0, 1, 63, 64, 4095, 4096 - 70] {
        for count in (0..200).chain([4096, 4097, 5000, 12_288]) {
            let runs = [FrameRun { first: Frame(start), count }];
            let mut real = frames(&runs, &[DMA]);
            let before: Vec<_> = real.zones().map(|zone| zone.blocks).collect();
            let mut got = BTreeSet::new();
            while let Ok(frame) = real.alloc(0, Frames::ANYWHERE) {
                assert!(runs[0].contains(frame) && got.insert(frame), "{frame} twice, or from nowhere");
            }
            assert_eq!((got.len() as u64, real.free_frames()), (count, 0));
            assert_eq!(real.alloc(0, Frames::ANYWHERE), Err(FrameError::NoMemory));
            for frame in got {
                assert_eq!(real.free(frame, 0), Ok(()));
            }
            assert_eq!(real.zones().map(|zone| zone.blocks).collect::<Vec<_>>(), before, "merged as it was");
        }
    }
}

#[test]
fn every_order_can_be_exhausted() {
    let runs = runs(&[(0, 64 << 18), (65 << 18, 66 << 18)]);
    for order in 9..=MAX_ORDER {
        let mut real = frames(&runs, &[]);
        let mut count = 0;
        while real.alloc(order, Frames::ANYWHERE).is_ok() {
            count += 1;
        }
        let possible: u64 =
            runs.iter().map(|run| (run.end().0 >> order).saturating_sub(run.first.0.div_ceil(1 << order))).sum();
        assert_eq!(count, possible, "order {order}");
    }
}

#[test]
fn frees_that_are_wrong_change_nothing() {
    let runs = runs(&[(1, 0x9F), (0x100, 0x2000)]);
    let mut real = frames(&runs, &[DMA]);
    let pair = real.alloc(1, Frame(0x1000)).unwrap();
    let chunk = real.alloc(6, Frame(0x1000)).unwrap();
    let before: Vec<_> = real.zones().map(|zone| zone.blocks).collect();
    for (frame, order, error) in [
        (pair, 0, FrameError::WrongOrder),
        (pair, 2, if pair.0.is_multiple_of(4) { FrameError::WrongOrder } else { FrameError::Misaligned }),
        (pair.offset(1), 0, FrameError::WrongOrder),
        (chunk, 5, FrameError::WrongOrder),
        (chunk, 7, if chunk.0.is_multiple_of(128) { FrameError::WrongOrder } else { FrameError::Misaligned }),
        (Frame(0), 0, FrameError::NeverGiven),
        (Frame(0x9F), 0, FrameError::NeverGiven),
        (Frame(0x2000), 0, FrameError::NeverGiven),
        (Frame(u64::MAX), 0, FrameError::NeverGiven),
        (Frame(0x1FFF), 0, FrameError::DoubleFree),
        (pair, MAX_ORDER + 1, FrameError::OrderTooLarge),
        (pair, u8::MAX, FrameError::OrderTooLarge),
    ] {
        assert_eq!(real.free(frame, order), Err(error), "{frame}, order {order}");
    }
    assert_eq!(real.free_run(FrameRun { first: pair, count: 0 }), Err(FrameError::Empty));
    assert_eq!(real.free_run(FrameRun { first: pair, count: u64::MAX }), Err(FrameError::NeverGiven));
    assert_eq!(real.alloc_run(0, 1, Frames::ANYWHERE), Err(FrameError::Empty));
    assert_eq!(real.alloc_run(1, 3, Frames::ANYWHERE), Err(FrameError::Misaligned));
    assert_eq!(real.alloc_run(u64::MAX, 1, Frames::ANYWHERE), Err(FrameError::OrderTooLarge));
    assert_eq!(real.alloc_run(1 << 30, 1, Frames::ANYWHERE), Err(FrameError::OrderTooLarge));
    assert_eq!(real.zones().map(|zone| zone.blocks).collect::<Vec<_>>(), before);
    assert_eq!((real.free(pair, 1), real.free(chunk, 6)), (Ok(()), Ok(())));
    assert_eq!(real.free(pair, 1), Err(FrameError::DoubleFree));
}

#[test]
fn a_block_across_a_zones_edge_is_refused() {
    let runs = runs(&[(0xF00, 0x1100)]);
    let edge = Boundary { end: Frame(0x1002), name: "edge" };
    let mut real = frames(&runs, &[edge]);
    while real.alloc(1, Frames::ANYWHERE).is_ok() {}
    assert_eq!(real.free(Frame(0x1000), 2), Err(FrameError::CrossesZone));
    assert_eq!(real.free_run(FrameRun { first: Frame(0x1000), count: 4 }), Err(FrameError::CrossesZone));
    assert_eq!((real.free(Frame(0x1000), 1), real.free(Frame(0x1002), 1)), (Ok(()), Ok(())));
    assert_eq!(real.alloc(2, Frame(0x1004)), Err(FrameError::NoMemory), "two zones never make one block");
}

#[test]
fn metadata_is_small_and_holes_cost_nothing() {
    let gib = 1u64 << 18;
    let boundaries = [DMA, DMA32, Boundary { end: Frame(1 << 34), name: "low" }];
    for (name, map) in [
        ("16 MiB", runs(&[(0, 0x1000)])),
        ("16 MiB, a PC's", runs(&[(1, 0x9F), (0x100, 0x1000)])),
        ("64 MiB", runs(&[(1, 0x9F), (0x200, 0x4000)])),
        ("16 GiB", runs(&[(1, 0x9F), (0x200, 3 * gib), (4 * gib, 17 * gib)])),
        ("1 TiB", runs(&[(1, 0x9F), (0x200, 3 * gib), (4 * gib, 1012 * gib), (1024 * gib, 1037 * gib)])),
        ("4 PiB", runs(&[(1, 0x9F), (0x200, 3 * gib), (4 * gib, 1 << 40)])),
    ] {
        let bytes = 8 * Frames::metadata_words(&map, &boundaries) as u64;
        let frames = map.iter().map(|run| run.count).sum::<u64>();
        let share = bytes as f64 / frames as f64;
        assert!(share <= 0.30, "{name}: {share} bytes a frame");
    }
    let one = Frames::metadata_words(&runs(&[(0, gib), (2 * gib, 3 * gib)]), &[]);
    let two = Frames::metadata_words(&runs(&[(0, gib), (1 << 39, (1 << 39) + gib)]), &[]);
    assert!(two.abs_diff(one) <= 32, "a larger hole costs {one} -> {two} words");
}

#[test]
fn bad_set_ups_are_refused() {
    let metadata = || vec![0; 1 << 16].leak();
    for bad in [
        runs(&[(10, 20), (5, 6)]),
        runs(&[(10, 20), (19, 30)]),
        runs(&[(0, Frames::FRAME_END + 1)]),
        vec![FrameRun { first: Frame(u64::MAX), count: 2 }],
    ] {
        assert_eq!(Frames::new(&bad, &[], metadata()).err(), Some(FrameError::BadRuns));
        assert_eq!(Frames::metadata_words(&bad, &[]), usize::MAX);
    }
    let all = runs(&[(0, 0x1000)]);
    let many: Vec<_> = (1..=Frames::MAX_ZONES as u64).map(|n| Boundary { end: Frame(n), name: "n" }).collect();
    assert_eq!(Frames::new(&all, &many, metadata()).err(), Some(FrameError::TooManyZones));
    assert!(Frames::new(&all, &many[1..], metadata()).is_ok());
    let words = Frames::metadata_words(&all, &[DMA]);
    assert!(Frames::new(&all, &[DMA], &mut metadata()[..words]).is_ok());
    assert_eq!(Frames::new(&all, &[DMA], &mut metadata()[..words - 1]).err(), Some(FrameError::MetadataTooSmall));
    let mut none = Frames::new(&[], &[DMA], &mut []).unwrap();
    assert_eq!(none.alloc(0, Frames::ANYWHERE), Err(FrameError::NoMemory));
    assert_eq!(none.free(Frame(5), 0), Err(FrameError::NeverGiven));
}

#[test]
fn low_memory_is_kept_for_those_who_need_it() {
    let map = runs(&[(1, 0x9F), (0x100, 0x8_0000), (0x10_0000, 0x20_0000)]);
    let mut real = frames(&map, &[DMA, LOW, DMA32]);
    let names: Vec<_> = real.zones().map(|zone| zone.name).collect();
    assert_eq!(names, ["dma", "low", "dma32", "high"]);
    assert!(real.alloc(0, Frames::ANYWHERE).unwrap().0 >= 0x10_0000);
    assert!((0x3_0000..0x10_0000).contains(&real.alloc(0, Frame(0x10_0000)).unwrap().0));
    assert!((0x1000..0x3_0000).contains(&real.alloc(0, Frame(0x3_0000)).unwrap().0));
    assert!(real.alloc(0, Frame(0x1000)).unwrap().0 < 0x1000);
    assert_eq!(real.alloc(0, Frame(1)), Err(FrameError::NoMemory));
    let gibs: Vec<_> = std::iter::from_fn(|| real.alloc(18, Frames::ANYWHERE).ok()).collect();
    assert_eq!(gibs, [0x14_0000, 0x18_0000, 0x1C_0000, 0x4_0000].map(Frame), "falls back to the zone below");
}

/// Fill to the last frame, free half of them at random, then replace random ones many times: what a long-running
/// machine does to its memory. A plain buddy ends with no free block of 2 MiB at all.
#[test]
fn churn_leaves_large_blocks_whole() {
    let total = 1u64 << 18;
    let mut real = frames(&runs(&[(0, total)]), &[]);
    let mut random = Random(7);
    let mut held: Vec<Frame> = (0..total).map(|_| real.alloc(0, Frames::ANYWHERE).unwrap()).collect();
    while held.len() as u64 > total / 2 {
        let frame = held.swap_remove(random.below(held.len() as u64) as usize);
        real.free(frame, 0).unwrap();
    }
    for _ in 0..6 * total {
        let n = random.below(held.len() as u64) as usize;
        real.free(held[n], 0).unwrap();
        held[n] = real.alloc(0, Frames::ANYWHERE).unwrap();
    }
    let zone = real.zones().next().unwrap();
    let whole: u64 = (9..=MAX_ORDER).map(|order| zone.blocks[order as usize] << order).sum();
    assert!(whole * 100 >= zone.free * 90, "only {whole} of {} free frames in blocks of 2 MiB", zone.free);
}

/// What a frame is told to be is what the model says, and the block that it is told to be part of is as it is told.
#[test]
fn every_frame_is_told_what_it_is() {
    for (runs, boundaries) in worlds() {
        let mut frames = frames(&runs, &boundaries);
        let mut random = Random(0x1234_5678_9ABC_DEF1);
        let mut taken = Vec::new();
        for _ in 0..200 {
            let order = random.below(7) as u8;
            if let Ok(first) = frames.alloc(order, Frames::ANYWHERE) {
                taken.push((first.0, order));
            }
            if !taken.is_empty() && random.below(3) == 0 {
                let (first, order) = taken.swap_remove(random.below(taken.len() as u64) as usize);
                frames.free(Frame(first), order).unwrap();
            }
        }
        for &(first, order) in &taken {
            let last = first + (1 << order) - 1;
            for frame in [first, last] {
                let place = frames.place_of(Frame(frame)).unwrap();
                assert!(!place.free, "{frame:#x}");
                assert_eq!(place.block, FrameRun { first: Frame(first), count: 1 << order }, "{frame:#x}");
            }
        }
        for run in &runs {
            assert_eq!(frames.place_of(run.end()).is_some(), frames.was_given(run.end()));
            for frame in [run.first.0, run.end().0 - 1, run.first.0 + random.below(run.count)] {
                let place = frames.place_of(Frame(frame)).unwrap();
                assert_eq!(place.free, frames.is_free(Frame(frame)));
                assert!(place.block.contains(Frame(frame)) && place.block.first.0.is_multiple_of(place.block.count));
                if place.free {
                    let all_free = |run: FrameRun| (0..run.count).all(|n| frames.is_free(run.first.offset(n)));
                    let count = place.block.count;
                    let larger = FrameRun { first: Frame(place.block.first.0 & !(2 * count - 1)), count: 2 * count };
                    assert!(count > 1 << 16 || all_free(place.block), "{frame:#x}");
                    let zone = |frame: Frame| frames.place_of(frame).map(|place| place.zone);
                    let one_zone = zone(larger.first) == zone(larger.first.offset(larger.count - 1));
                    assert!(count > 1 << 16 || !one_zone || !all_free(larger), "{frame:#x}: the largest is larger");
                }
            }
        }
        assert_eq!(frames.given_end(), runs.last().unwrap().end());
    }
}
