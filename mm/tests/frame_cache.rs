//! The cache of single frames against a set: which are free, which are not, and what wrong frees are told.

mod random;

use std::collections::BTreeSet;

use mm::frames::{Boundary, Depot, FrameCache, Purpose};
use mm::{Frame, FrameError, FrameRun, Frames};
use random::Random;

const REACH: Frame = Frame(0x1800);

fn frames(runs: &[FrameRun], boundaries: &[Boundary]) -> Frames {
    let words = Frames::metadata_words(runs, boundaries);
    Frames::new(runs, boundaries, vec![!0; words].leak()).unwrap()
}

fn run(first: u64, end: u64) -> FrameRun {
    FrameRun::between(Frame(first), Frame(end))
}

/// With holes, odd ends, and zones that meet in the middle of a group.
fn worlds() -> Vec<(Vec<FrameRun>, Vec<Boundary>)> {
    let dma = Boundary { end: Frame(0x1000), name: "dma" };
    let odd = Boundary { end: Frame(0x1234), name: "odd" };
    vec![
        (vec![run(1, 0x9F), run(0x100, 0x2000)], vec![dma]),
        (vec![run(0x11, 0x1233), run(0x1235, 0x1400), run(0x1401, 0x2001)], vec![odd]),
        ((0..200).map(|n| FrameRun { first: Frame(n * 67), count: 1 + n % 66 }).collect(), vec![dma, odd]),
        (vec![run(0, 70), run(0x8_0000, 0x8_0046)], vec![dma]),
        // More sections than a cache looks up without the lock.
        ((0..12).map(|n| FrameRun { first: Frame(n << 19), count: 100 + n }).collect(), vec![dma]),
    ]
}

/// What is allocated, and by whom it may be given back: any CPU.
struct Model {
    runs: Vec<FrameRun>,
    total: u64,
    single: BTreeSet<u64>,
    pairs: BTreeSet<u64>,
}

impl Model {
    fn given(&self, frame: u64) -> bool {
        self.runs.iter().any(|run| run.contains(Frame(frame)))
    }

    fn allocated(&self, frame: u64) -> bool {
        self.single.contains(&frame) || self.pairs.contains(&(frame & !1))
    }

    fn take(&mut self, got: Result<Frame, FrameError>, limit: Frame, free_below: u64) -> Option<u64> {
        let Ok(Frame(frame)) = got else {
            assert_eq!(got, Err(FrameError::NoMemory));
            assert_eq!(free_below, 0, "refused though a frame is free");
            return None;
        };
        assert!(self.given(frame) && !self.allocated(frame), "{frame:#x} was not free");
        assert!(frame < limit.0, "{frame:#x} is beyond the limit");
        self.single.insert(frame);
        Some(frame)
    }

    fn free_below(&self, limit: Frame) -> u64 {
        let all: u64 = self.runs.iter().map(|run| run.end().min(limit).0.saturating_sub(run.first.0)).sum();
        let single = self.single.range(..limit.0).count() as u64;
        let pairs: u64 =
            self.pairs.iter().map(|first| u64::from(first + 1 < limit.0) + u64::from(*first < limit.0)).sum();
        all - single - pairs
    }

    fn agrees(&self, frames: &Frames, cache: &FrameCache) {
        let out = (self.single.len() + 2 * self.pairs.len()) as u64;
        assert_eq!(frames.free_frames() + cache.frames() + out, self.total, "frames are lost or made up");
        assert!(cache.frames() <= FrameCache::MOST);
        assert_eq!(cache.refused(), 0);
    }
}

#[test]
fn random_programs_agree_with_the_model() {
    for (seed, (runs, boundaries)) in worlds().into_iter().enumerate() {
        let mut real = frames(&runs, &boundaries);
        let mut cache = FrameCache::new(REACH);
        let total = runs.iter().map(|run| run.count).sum();
        let end = runs.last().unwrap().end().0 + 70;
        let mut model = Model { runs, total, single: BTreeSet::new(), pairs: BTreeSet::new() };
        let mut random = Random(seed as u64 + 1);
        let mut held: Vec<u64> = Vec::new();
        for step in 0..60_000 {
            let growing = step / 4_000 % 2 == 0;
            match random.below(20) {
                0..=9 if growing => {
                    let (purpose, limit) = if random.below(2) == 0 {
                        (Purpose::Fixed, REACH)
                    } else {
                        (Purpose::Movable, Frames::ANYWHERE)
                    };
                    let free_below = model.free_below(limit);
                    held.extend(model.take(cache.alloc(&mut real, purpose), limit, free_below));
                }
                0..=9 if !held.is_empty() => {
                    // In the order taken, or at random: piles are for the former.
                    let last = held.len() as u64 - 1;
                    let at = if random.below(3) == 0 { random.below(last + 1) } else { last } as usize;
                    let frame = held.swap_remove(at);
                    assert_eq!(cache.free(&mut real, Frame(frame)), Ok(()));
                    model.single.remove(&frame);
                }
                10 | 11 => {
                    if let Ok(Frame(first)) = real.alloc(1, Frames::ANYWHERE) {
                        assert!(!model.allocated(first) && !model.allocated(first + 1));
                        model.pairs.insert(first);
                    }
                }
                12 if !growing => {
                    if let Some(first) = model.pairs.pop_first() {
                        assert_eq!(real.free(Frame(first), 1), Ok(()));
                    }
                }
                13..=17 => {
                    // Wrong: nothing may change.
                    let frame = random.below(end);
                    let before = (real.free_frames(), cache.frames());
                    let expected = if model.single.contains(&frame) {
                        continue;
                    } else if !model.given(frame) {
                        FrameError::NeverGiven
                    } else if model.allocated(frame) {
                        FrameError::WrongOrder
                    } else {
                        FrameError::DoubleFree
                    };
                    assert_eq!(cache.free(&mut real, Frame(frame)), Err(expected), "{frame:#x}");
                    assert_eq!((real.free_frames(), cache.frames()), before);
                }
                18 if random.below(50) == 0 => {
                    cache.drain(&mut real);
                    assert_eq!(cache.frames(), 0);
                }
                _ => model.agrees(&real, &cache),
            }
        }
        for frame in held {
            assert_eq!(cache.free(&mut real, Frame(frame)), Ok(()));
        }
        for first in model.pairs {
            assert_eq!(real.free(Frame(first), 1), Ok(()));
        }
        assert_eq!(real.free_frames() + cache.frames(), total);
        cache.drain(&mut real);
        assert_eq!((real.free_frames(), cache.refused()), (total, 0), "every frame is home");
    }
}

#[test]
fn the_last_frame_can_be_had_wherever_it_is() {
    for count in (1..200).chain([4096, 5000]) {
        let mut real = frames(&[run(0, count)], &[]);
        let mut cache = FrameCache::new(REACH);
        let mut got = BTreeSet::new();
        for purpose in [Purpose::Fixed, Purpose::Movable].into_iter().cycle() {
            let Ok(frame) = cache.alloc(&mut real, purpose) else { break };
            assert!(got.insert(frame));
        }
        assert_eq!(got.len() as u64, count);
        for frame in got {
            assert_eq!(cache.free(&mut real, frame), Ok(()));
            assert_eq!(cache.free(&mut real, frame), Err(FrameError::DoubleFree));
        }
        cache.drain(&mut real);
        assert_eq!(real.free_frames(), count);
    }
}

#[test]
fn fixed_and_movable_frames_lie_apart() {
    let mut real = frames(&[run(0, 0x1000)], &[]);
    let mut cache = FrameCache::new(REACH);
    let mut groups = [BTreeSet::new(), BTreeSet::new()];
    for n in 0..1000 {
        let purpose = [Purpose::Fixed, Purpose::Movable][n % 2];
        groups[n % 2].insert(cache.alloc(&mut real, purpose).unwrap().0 / 64);
    }
    assert!(groups[0].is_disjoint(&groups[1]));
}

/// Several CPUs with a cache each and one lock, taking and giving back each other's frames.
#[test]
fn several_cpus_share_what_there_is() {
    use std::sync::{Arc, Mutex, mpsc};

    struct Lock(Arc<Mutex<Frames>>);

    impl Depot for Lock {
        fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
            work(&mut self.0.lock().unwrap())
        }
    }

    const CPUS: usize = 3;
    let total = 0x4000;
    let shared = Arc::new(Mutex::new(frames(&[run(0, total)], &[])));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..CPUS).map(|_| mpsc::channel::<Vec<u64>>()).unzip();
    let marks: Arc<Vec<_>> = Arc::new((0..total).map(|_| std::sync::atomic::AtomicBool::new(false)).collect());
    let threads: Vec<_> = (receivers.into_iter().enumerate())
        .map(|(cpu, receiver)| {
            let (mut depot, next, marks) = (Lock(shared.clone()), senders[(cpu + 1) % CPUS].clone(), marks.clone());
            std::thread::spawn(move || {
                use std::sync::atomic::Ordering::SeqCst;
                let mut cache = FrameCache::new(Frames::ANYWHERE);
                for round in 0..300 {
                    let purpose = [Purpose::Fixed, Purpose::Movable][round % 2];
                    let batch: Vec<u64> = (0..200).map(|_| cache.alloc(&mut depot, purpose).unwrap().0).collect();
                    assert!(batch.iter().all(|frame| !marks[*frame as usize].swap(true, SeqCst)), "given twice");
                    next.send(batch).unwrap();
                    for frame in receiver.recv().unwrap() {
                        marks[frame as usize].store(false, SeqCst);
                        assert_eq!(cache.free(&mut depot, Frame(frame)), Ok(()));
                    }
                }
                depot.with(|frames| cache.drain(frames));
                assert_eq!(cache.refused(), 0);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(shared.lock().unwrap().free_frames(), total, "every frame is home");
}

/// Blocks of all orders through the cache, single frames among them: none is handed out twice, wrong frees of every kind
/// are told what the naive allocator would tell them, and nothing is refused as long as a block is free.
#[test]
fn blocks_agree_with_the_model() {
    for seed in 1..4 {
        let total = 0x8000;
        let mut real = frames(&[run(0, total)], &[]);
        let mut cache = FrameCache::new(REACH);
        let mut random = Random(seed);
        // The order of the block that each frame belongs to, and whether it begins there.
        let mut owner: Vec<Option<(u64, u8)>> = vec![None; total as usize];
        let mut held: Vec<(u64, u8)> = Vec::new();
        for step in 0..40_000 {
            let growing = step / 4_000 % 2 == 0;
            match random.below(12) {
                0..=5 if growing => {
                    let order = (random.below(1 << 12) | 1 << 11).trailing_zeros() as u8;
                    let below = if random.below(4) == 0 { random.below(total) } else { total };
                    let got = match order {
                        0 => cache.alloc(&mut real, Purpose::Movable),
                        _ => cache.alloc_block(&mut real, order, Frame(below)),
                    };
                    let limit = if order == 0 { total } else { below };
                    let size = 1 << order;
                    let Ok(Frame(first)) = got else {
                        let fits = |at: u64| owner[at as usize..(at + size) as usize].iter().all(Option::is_none);
                        let mut starts = (0..total).step_by(size as usize).take_while(|at| at + size <= limit);
                        assert!(!starts.any(fits), "refused a block of order {order} though one is free");
                        continue;
                    };
                    assert_eq!(first % size, 0);
                    assert!(first + size <= limit);
                    for slot in &mut owner[first as usize..(first + size) as usize] {
                        assert_eq!(slot.replace((first, order)), None, "handed out twice");
                    }
                    held.push((first, order));
                }
                0..=5 if !held.is_empty() => {
                    let (first, order) = held.swap_remove(random.below(held.len() as u64) as usize);
                    assert_eq!(cache.free_block(&mut real, Frame(first), order), Ok(()));
                    owner[first as usize..][..1 << order].fill(None);
                }
                6..=9 => {
                    let order = random.below(12) as u8;
                    let frame = random.below(total);
                    let first = if random.below(4) == 0 { frame } else { frame >> order << order };
                    let expected = if first % (1 << order) != 0 {
                        FrameError::Misaligned
                    } else {
                        match owner[first as usize] {
                            None => FrameError::DoubleFree,
                            Some(is) if is == (first, order) => continue,
                            Some(_) => FrameError::WrongOrder,
                        }
                    };
                    let before = (real.free_frames(), cache.frames());
                    assert_eq!(cache.free_block(&mut real, Frame(first), order), Err(expected), "{first:#x} {order}");
                    assert_eq!((real.free_frames(), cache.frames()), before);
                }
                10 if random.below(100) == 0 => cache.drain(&mut real),
                _ => {
                    let used: u64 = held.iter().map(|(_, order)| 1 << order).sum();
                    assert_eq!(real.free_frames() + cache.frames() + used, total, "frames are lost or made up");
                    assert!(cache.frames() <= FrameCache::MOST);
                    let frame = random.below(total);
                    let free = owner[frame as usize].is_none();
                    assert_eq!(real.is_free(Frame(frame)) || cache.holds(Frame(frame)), free, "{frame:#x}");
                    let place = real.place_of(Frame(frame)).expect("every frame was given");
                    assert_eq!(place.free, real.is_free(Frame(frame)));
                    assert!(place.block.contains(Frame(frame)));
                }
            }
        }
        for (first, order) in held {
            assert_eq!(cache.free_block(&mut real, Frame(first), order), Ok(()));
            assert_eq!(cache.free_block(&mut real, Frame(first), order), Err(FrameError::DoubleFree));
        }
        cache.drain(&mut real);
        assert_eq!((real.free_frames(), cache.refused()), (total, 0), "every frame is home");
        assert_eq!(real.zones().next().unwrap().largest(), Some(15), "and one with its neighbours");
    }
}

/// Fill but for a few frames, free half at random, then replace random ones many times. Were the frames that come back
/// dealt again for ever, as a stack of them would be, no block of 2 MiB would become whole.
#[test]
fn churn_through_the_cache_leaves_large_blocks_whole() {
    let total = 1u64 << 18;
    let mut real = frames(&[run(0, total)], &[]);
    let mut cache = FrameCache::new(REACH);
    let mut random = Random(7);
    let mut held: Vec<Frame> = (0..total - 100).map(|_| cache.alloc(&mut real, Purpose::Movable).unwrap()).collect();
    while held.len() as u64 > total / 2 {
        let frame = held.swap_remove(random.below(held.len() as u64) as usize);
        cache.free(&mut real, frame).unwrap();
    }
    let mut replace = |times: u64| {
        (0..times).fold(0, |same, _| {
            let n = random.below(held.len() as u64) as usize;
            cache.free(&mut real, held[n]).unwrap();
            let old = std::mem::replace(&mut held[n], cache.alloc(&mut real, Purpose::Movable).unwrap());
            same + u64::from(old == held[n])
        })
    };
    replace(3000);
    let same = replace(1000);
    assert!(same < 300, "{same} of 1000 frames were dealt again at once, wherever they were");
    replace(6 * total);
    cache.drain(&mut real);
    let zone = real.zones().next().unwrap();
    let whole: u64 = (9..=Frames::MAX_ORDER).map(|order| zone.blocks[order as usize] << order).sum();
    assert!(whole * 100 >= zone.free * 90, "only {whole} of {} free frames in blocks of 2 MiB", zone.free);
}

/// Two blocks of one order whose first frames are a multiple of 2^16 apart share a bit in the cache: both can be given back,
/// neither twice, and both can be had again.
#[test]
fn blocks_far_apart_are_told_apart() {
    let total = 0x3_0000;
    for order in [0, 3] {
        let mut real = frames(&[run(0, total)], &[]);
        let mut cache = FrameCache::new(Frames::ANYWHERE);
        let all: Vec<Frame> =
            std::iter::from_fn(|| cache.alloc_block(&mut real, order, Frames::ANYWHERE).ok()).collect();
        assert_eq!((all.len() as u64) << order, total);
        for first in [0x40, 0x80, 0xC0] {
            for far in [first + 0x1_0000, first, first + 0x2_0000] {
                assert_eq!(cache.free_block(&mut real, Frame(far), order), Ok(()), "{far:#x}");
                for again in [first + 0x1_0000, first, first + 0x2_0000].into_iter().take_while(|at| *at != far) {
                    let second = cache.free_block(&mut real, Frame(again), order);
                    assert_eq!(second, Err(FrameError::DoubleFree), "{again:#x} after {far:#x}");
                }
            }
        }
        assert_eq!(real.free_frames() + cache.frames(), 9 << order);
        let mut got: Vec<u64> =
            std::iter::from_fn(|| cache.alloc_block(&mut real, order, Frames::ANYWHERE).ok().map(|at| at.0)).collect();
        got.sort_unstable();
        let far = |base: u64| [base + 0x40, base + 0x80, base + 0xC0];
        assert_eq!(got, [far(0), far(0x1_0000), far(0x2_0000)].concat(), "order {order}");
        assert_eq!((real.free_frames(), cache.frames(), cache.refused()), (0, 0, 0));
    }
}

/// A block given back on two CPUs is seen when the second cache gives it to the allocator, and is free once.
#[test]
fn a_block_given_back_on_two_cpus_is_counted() {
    for order in [0, 2] {
        let mut real = frames(&[run(0, 0x1000)], &[]);
        let mut caches = [FrameCache::new(REACH), FrameCache::new(REACH)];
        let block = caches[0].alloc_block(&mut real, order, Frames::ANYWHERE).unwrap();
        for cache in &mut caches {
            assert_eq!(cache.free_block(&mut real, block, order), Ok(()));
        }
        caches.iter_mut().for_each(|cache| cache.drain(&mut real));
        assert_eq!(caches.map(|cache| cache.refused()), [0, 1]);
        assert_eq!(real.free_frames(), 0x1000);
        assert_eq!(caches_free(&mut real, block, order), Err(FrameError::DoubleFree));
    }
}

fn caches_free(real: &mut Frames, block: Frame, order: u8) -> Result<(), FrameError> {
    FrameCache::new(REACH).free_block(real, block, order)
}

/// What comes back goes to the list of its kind, and from there to requests of that kind.
#[test]
fn fixed_and_movable_frames_stay_apart_when_they_come_back() {
    let mut real = frames(&[run(0, 0x4000)], &[]);
    let mut cache = FrameCache::new(Frames::ANYWHERE);
    let mut random = Random(11);
    let mut held: [Vec<Frame>; 2] = Default::default();
    let mut groups = [BTreeSet::new(), BTreeSet::new()];
    for step in 0..4000 {
        let kind = random.below(2) as usize;
        if held[kind].len() < 64 || step % 3 == 0 {
            let frame = cache.alloc(&mut real, [Purpose::Fixed, Purpose::Movable][kind]).unwrap();
            groups[kind].insert(frame.0 / 64);
            held[kind].push(frame);
        } else {
            let at = random.below(held[kind].len() as u64) as usize;
            assert_eq!(cache.free(&mut real, held[kind].swap_remove(at)), Ok(()));
        }
    }
    let shared = groups[0].intersection(&groups[1]).count();
    assert_eq!(shared, 0, "of {} and {} groups {shared} had both", groups[0].len(), groups[1].len());
}

/// CPUs take and give back blocks of all orders side by side: a neighbour that changes under the lock never makes a right free
/// fail, and no block is handed out twice.
#[test]
fn several_cpus_churn_beside_one_another() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    struct Lock(Arc<Mutex<Frames>>);

    impl Depot for Lock {
        fn with<R>(&mut self, work: impl FnOnce(&mut Frames) -> R) -> R {
            work(&mut self.0.lock().unwrap())
        }
    }

    let total = 0x2000;
    let shared = Arc::new(Mutex::new(frames(&[run(0, total)], &[])));
    let marks: Arc<Vec<_>> = Arc::new((0..total).map(|_| AtomicBool::new(false)).collect());
    let threads: Vec<_> = (0..3)
        .map(|cpu| {
            let (mut depot, marks) = (Lock(shared.clone()), marks.clone());
            std::thread::spawn(move || {
                let (mut cache, mut random, mut held) =
                    (FrameCache::new(Frames::ANYWHERE), Random(cpu + 5), Vec::<(Frame, u8)>::new());
                for _ in 0..60_000 {
                    if held.is_empty() || random.below(2) == 0 {
                        let order = (random.below(1 << 10) | 1 << 9).trailing_zeros() as u8;
                        let Ok(first) = cache.alloc_block(&mut depot, order, Frames::ANYWHERE) else { continue };
                        for mark in &marks[first.0 as usize..][..1 << order] {
                            assert!(!mark.swap(true, Ordering::SeqCst), "handed out twice");
                        }
                        held.push((first, order));
                    } else {
                        let (first, order) = held.swap_remove(random.below(held.len() as u64) as usize);
                        marks[first.0 as usize..][..1 << order]
                            .iter()
                            .for_each(|mark| mark.store(false, Ordering::SeqCst));
                        assert_eq!(cache.free_block(&mut depot, first, order), Ok(()), "{first} of order {order}");
                    }
                }
                for (first, order) in held {
                    marks[first.0 as usize..][..1 << order].iter().for_each(|mark| mark.store(false, Ordering::SeqCst));
                    assert_eq!(cache.free_block(&mut depot, first, order), Ok(()));
                }
                depot.with(|frames| cache.drain(frames));
                assert_eq!(cache.refused(), 0);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(shared.lock().unwrap().free_frames(), total, "every frame is home");
}

/// Memory that was 99 % full of blocks of all orders, and is 95 % full from then on, while blocks are replaced at random: no
/// request fails, and a part of what is free stays in blocks of 2 MiB.
#[test]
fn mixed_orders_find_room_after_memory_was_full() {
    let total = 1u64 << 22;
    let mut real = frames(&[run(0, total)], &[]);
    let mut cache = FrameCache::new(REACH);
    let mut random = Random(5);
    let (mut held, mut used) = (Vec::<(Frame, u8)>::new(), 0);
    let mut order = { move || (random.below(1 << 10) | 1 << 9).trailing_zeros() as u8 };
    let mut pick = Random(9);
    let mut failed = 0;
    let mut fill =
        |held: &mut Vec<(Frame, u8)>, used: &mut u64, target: u64, cache: &mut FrameCache, real: &mut Frames| {
            let mut failed = 0;
            while *used < target {
                let order = order();
                match cache.alloc_block(real, order, Frames::ANYWHERE) {
                    Ok(first) => {
                        held.push((first, order));
                        *used += 1 << order;
                    }
                    Err(_) => {
                        failed += 1;
                        break;
                    }
                }
            }
            failed
        };
    fill(&mut held, &mut used, total * 99 / 100, &mut cache, &mut real);
    for step in 0..400_000 {
        let target = if step < 100_000 { total * 99 / 100 } else { total * 95 / 100 };
        let (first, order) = held.swap_remove(pick.below(held.len() as u64) as usize);
        assert_eq!(cache.free_block(&mut real, first, order), Ok(()));
        used -= 1 << order;
        let missed = fill(&mut held, &mut used, target, &mut cache, &mut real);
        failed += if step > 200_000 { missed } else { 0 };
    }
    cache.drain(&mut real);
    let zone = real.zones().next().unwrap();
    let whole: u64 = (9..=Frames::MAX_ORDER).map(|order| zone.blocks[order as usize] << order).sum();
    assert_eq!(failed, 0);
    assert!(whole * 100 >= zone.free * 15, "only {whole} of {} free frames in blocks of 2 MiB", zone.free);
}

/// When the metadata has moved, a cache must not ask the old one, which may be anything by then.
#[test]
fn a_cache_follows_the_metadata() {
    let runs = [run(0, 0x1000)];
    let words = Frames::metadata_words(&runs, &[]);
    let old = Box::into_raw(vec![0u64; words].into_boxed_slice());
    // SAFETY: the box is leaked, and nothing else reads or writes it before the metadata has moved.
    let mut real = Frames::new(&runs, &[], unsafe { &mut *old }).unwrap();
    let mut cache = FrameCache::new(REACH);
    let (kept, freed) =
        (cache.alloc(&mut real, Purpose::Movable).unwrap(), cache.alloc(&mut real, Purpose::Movable).unwrap());
    assert_eq!(cache.free(&mut real, freed), Ok(()));
    cache.drain(&mut real);
    assert_eq!(cache.free(&mut real, kept), Ok(()));
    // SAFETY: as above; this reads.
    let new = unsafe { (*old).to_vec() }.leak().as_mut_ptr();
    // SAFETY: the same words at another address, for good, and the cache is told below.
    unsafe { real.move_metadata(|_| new.cast()) };
    cache.invalidate_view();
    // Pairs of words by which every frame is allocated by itself.
    // SAFETY: nothing refers to the old words any more.
    unsafe { (*old).iter_mut().skip(1).step_by(2).for_each(|word| *word = !0) };
    // SAFETY: as above.
    unsafe { (*old).iter_mut().step_by(2).for_each(|word| *word = 0) };
    let free = (0..0x1000).map(Frame).rfind(|frame| real.is_free(*frame)).unwrap();
    assert_eq!(cache.free(&mut real, free), Err(FrameError::DoubleFree));
    cache.drain(&mut real);
    assert_eq!((real.free_frames(), cache.refused()), (0x1000, 0));
}
