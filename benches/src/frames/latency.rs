//! B5: how long single operations take, in memory that is 95 % full.
//!
//! The same program runs several times, and of each operation the shortest time counts: what remains is what the
//! allocator did, without the interrupts and the neighbours. The clock's own time is taken off.

use std::time::Instant;

use super::churn::Holder;
use super::{FrameAllocator, Row};

const OPERATIONS: usize = 200_000;
const PASSES: usize = 5;

/// Runs it.
pub fn at_95<A: FrameAllocator>() -> Vec<Row> {
    let clock = (0..10_000).map(|_| elapsed(|| ())).min().unwrap_or(0);
    let (mut alloc, mut free): (Vec<u32>, Vec<u32>) = Default::default();
    for _ in 0..PASSES {
        let (taking, giving) = pass::<A>();
        shortest(&mut alloc, taking);
        shortest(&mut free, giving);
    }
    let mut rows = Vec::new();
    for (times, names) in [
        (&mut alloc, ["B5 alloc p50", "B5 alloc p99.9", "B5 alloc max"]),
        (&mut free, ["B5 free p50", "B5 free p99.9", "B5 free max"]),
    ] {
        times.sort_unstable();
        for (name, at) in names.into_iter().zip([times.len() / 2, times.len() * 999 / 1000, times.len() - 1]) {
            rows.push((name, f64::from(times[at].saturating_sub(clock))));
        }
    }
    rows
}

fn shortest(all: &mut Vec<u32>, times: Vec<u32>) {
    if all.is_empty() {
        *all = times;
    } else {
        // The same allocator in the same state does the same, so that the passes are alike operation by operation.
        all.iter_mut().zip(times).for_each(|(least, time)| *least = time.min(*least));
    }
}

fn elapsed(work: impl FnOnce()) -> u32 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as u32
}

fn pass<A: FrameAllocator>() -> (Vec<u32>, Vec<u32>) {
    let mut holder = Holder::<A>::new(95);
    let (mut alloc, mut free) = (Vec::with_capacity(OPERATIONS * 2), Vec::with_capacity(OPERATIONS));
    for _ in 0..OPERATIONS {
        let (first, order) = holder.pick();
        free.push(elapsed(|| holder.allocator.free(first.into(), order)));
        while holder.wants_more() {
            let order = holder.order();
            let mut got = None;
            alloc.push(elapsed(|| got = holder.allocator.alloc(order)));
            let Some(first) = got else { break };
            holder.hold(first, order);
        }
    }
    (alloc, free)
}
