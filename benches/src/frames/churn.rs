//! Memory that has been in use for long.

use std::time::Instant;

use super::{FRAMES, FrameAllocator, Row, timed};
use crate::rng::Rng;
use crate::table::median;

/// The blocks that the workloads hold, and how full memory is to be kept.
pub struct Holder<A> {
    pub allocator: A,
    pub rng: Rng,
    held: Vec<(u32, u8)>,
    used: u64,
    target: u64,
}

impl<A: FrameAllocator> Holder<A> {
    /// Memory filled to `percent` with blocks of orders 0 to 9, and then 300 000 times one of them
    /// replaced.
    pub fn new(percent: u64) -> Self {
        let mut holder = Self { allocator: A::new(), rng: Rng(5), held: Vec::new(), used: 0, target: 0 };
        holder.fill(percent);
        holder
    }

    /// The same in memory that was in the same use before, 99 % full.
    pub fn new_after_full(percent: u64) -> Self {
        let mut holder = Self::new(99);
        while holder.used > FRAMES * percent / 100 {
            let (first, order) = holder.pick();
            holder.allocator.free(first.into(), order);
        }
        holder.fill(percent);
        holder
    }

    fn fill(&mut self, percent: u64) {
        let holder = self;
        holder.target = FRAMES * percent / 100;
        let mut refused = 0;
        while holder.used < holder.target && refused < 1000 {
            refused += u32::from(!holder.take_one());
        }
        for _ in 0..300_000 {
            let (first, order) = holder.pick();
            holder.allocator.free(first.into(), order);
            while holder.used < holder.target && holder.take_one() {}
        }
    }

    /// A random order: each half as likely as the one below it, so that all take about the same share of memory.
    pub fn order(&mut self) -> u8 {
        (self.rng.next() | 1 << 9).trailing_zeros() as u8
    }

    /// Whether memory is not as full as it is to be kept.
    pub fn wants_more(&self) -> bool {
        self.used < self.target
    }

    /// Notes a block as held.
    pub fn hold(&mut self, first: u64, order: u8) {
        self.held.push((first as u32, order));
        self.used += 1 << order;
    }

    /// Takes some block out of those held.
    pub fn pick(&mut self) -> (u32, u8) {
        let at = self.rng.below(self.held.len() as u64) as usize;
        let (first, order) = self.held.swap_remove(at);
        self.used -= 1 << order;
        (first, order)
    }

    fn take_one(&mut self) -> bool {
        let order = self.order();
        let Some(first) = self.allocator.alloc(order) else { return false };
        self.hold(first, order);
        true
    }
}

/// How many blocks B3 and B4 give back at a time. What caches hold may do for the first; the last is beyond all of them.
const BATCHES: [u64; 3] = [256, 1024, 4096];

/// How many blocks of each batch are given back in all.
const REPLACED: u64 = 512_000;

/// The names of the rows of B3 or B4: allocation, free, both, requests refused, free frames in blocks of 2 MiB; and
/// both for the larger batches.
pub type Names = ([&'static str; 5], [&'static str; 2]);

/// B3, B4: blocks are given back at random, a batch at a time, and as many frames taken again in blocks of random orders.
pub fn mixed<A: FrameAllocator>(percent: u64, (names, pairs): Names) -> Vec<Row> {
    let mut rows = replaced(&mut Holder::<A>::new(percent), BATCHES[0], names);
    for (batch, name) in BATCHES.into_iter().skip(1).zip(pairs) {
        let larger = replaced(&mut Holder::<A>::new(percent), batch, [name; 5]);
        rows.push(larger[2]);
    }
    rows
}

/// B4 in memory that was 99 % full before.
pub fn mixed_after_full<A: FrameAllocator>(names: [&'static str; 5]) -> Vec<Row> {
    replaced(&mut Holder::<A>::new_after_full(95), BATCHES[0], names)
}

/// Replaces blocks, `batch` at a time.
///
/// A batch is too short for the thread's own clock, which is a call into the host and would cost more than what it
/// measures. So the times are those on the wall, and the batch in the middle counts, as it was not interrupted.
fn replaced<A: FrameAllocator>(holder: &mut Holder<A>, batch: u64, names: [&'static str; 5]) -> Vec<Row> {
    let (mut taking, mut giving, mut asked, mut failed) = (Vec::new(), Vec::new(), 0, 0);
    let (mut out, mut orders, mut got) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPLACED / batch {
        out.clear();
        out.extend((0..batch).map(|_| holder.pick()));
        giving.push(each(batch, || out.iter().for_each(|&(first, order)| holder.allocator.free(first.into(), order))));
        orders.clear();
        let mut used = holder.used;
        while used < holder.target {
            orders.push(holder.order());
            used += 1 << orders[orders.len() - 1];
        }
        got.clear();
        got.resize(orders.len(), None);
        taking.push(each(orders.len() as u64, || {
            for (order, got) in orders.iter().zip(got.iter_mut()) {
                *got = holder.allocator.alloc(*order);
            }
        }));
        asked += orders.len();
        for (order, got) in orders.iter().zip(&got) {
            match got {
                Some(first) => holder.hold(*first, *order),
                None => failed += 1,
            }
        }
    }
    let (alloc, free) = (median(&mut taking), median(&mut giving));
    let share = 100.0 * failed as f64 / asked as f64;
    let free_frames = FRAMES - holder.used;
    let mut rows = vec![(names[0], alloc), (names[1], free), (names[2], alloc + free)];
    if A::BLOCKS {
        rows.push((names[3], share));
        rows.push((names[4], whole_blocks(&mut holder.allocator, free_frames)));
    }
    rows
}

/// Nanoseconds on the wall for each of `operations`.
fn each(operations: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / operations.max(1) as f64
}

/// B7: memory filled with single frames, half of them given back at random, then 16M times one replaced by another.
pub fn single<A: FrameAllocator>() -> Vec<Row> {
    const PAIRS: u64 = 4 * FRAMES;
    let mut allocator = A::new();
    let mut rng = Rng(7);
    let mut held: Vec<u32> = std::iter::from_fn(|| allocator.alloc(0)).map(|frame| frame as u32).collect();
    rng.shuffle(&mut held);
    for frame in held.split_off(FRAMES as usize / 2) {
        allocator.free(frame.into(), 0);
    }
    let pair = timed(PAIRS, || {
        for _ in 0..PAIRS {
            let at = rng.below(FRAMES / 2) as usize;
            allocator.free(held[at].into(), 0);
            let Some(frame) = allocator.alloc(0) else { unreachable!("half of memory is free") };
            held[at] = frame as u32;
        }
    });
    let mut rows = vec![("B7 pair", pair)];
    if A::BLOCKS {
        rows.push(("B7 2M %", whole_blocks(&mut allocator, FRAMES / 2)));
    }
    rows
}

/// What part of the free frames can be had in blocks of 2 MiB, in percent.
fn whole_blocks<A: FrameAllocator>(allocator: &mut A, free: u64) -> f64 {
    let blocks = std::iter::from_fn(|| allocator.alloc(9)).count() as u64;
    100.0 * (blocks << 9) as f64 / free as f64
}
