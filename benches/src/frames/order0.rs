//! Single frames on an allocator that is otherwise unused, and pairs.

use std::hint::black_box;

use super::{FRAMES, FrameAllocator, Row, timed};
use crate::rng::Rng;

/// B1: takes every frame, gives all back in the order taken; takes all again, gives them back in the opposite order;
/// and once more, at random.
pub fn fill_and_free<A: FrameAllocator>() -> Vec<Row> {
    let mut allocator = A::new();
    // Zeroes would not be written to memory before the first frame is.
    let mut held: Vec<u32> = vec![1; FRAMES as usize];
    let mut rows = Vec::new();
    for name in ["B1 free in order", "B1 free last first", "B1 free at random"] {
        held.clear();
        let fill = timed(FRAMES, || {
            while let Some(frame) = allocator.alloc(0) {
                held.push(frame as u32);
            }
        });
        // Some carve their bitmaps out of the frames.
        assert!(held.len() as u64 > FRAMES - FRAMES / 256, "{} frames could not be had", FRAMES - held.len() as u64);
        match name {
            "B1 free in order" => rows.push(("B1 fill", fill)),
            "B1 free last first" => held.reverse(),
            _ => Rng(3).shuffle(&mut held),
        }
        rows.push((name, timed(held.len() as u64, || held.iter().for_each(|&frame| allocator.free(frame.into(), 0)))));
    }
    rows
}

/// B2: a block taken and given back at once, on an allocator of which nothing else is taken.
pub fn pairs<A: FrameAllocator>() -> Vec<Row> {
    const PAIRS: u64 = 1 << 20;
    let mut allocator = A::new();
    let mut pair = |order: u8| {
        timed(PAIRS, || {
            for _ in 0..PAIRS {
                let Some(frame) = allocator.alloc(order) else { unreachable!("memory is empty") };
                allocator.free(black_box(frame), order);
            }
        })
    };
    let single = pair(0);
    if A::ORDERS { vec![("B2 order 0", single), ("B2 order 9", pair(9))] } else { vec![("B2 order 0", single)] }
}
