//! The plainest loops that do the loads and stores which any implementation must do: tables are there already, nothing
//! is checked, everything is inlined and the compiler may do several entries at once.

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::{AMD64, Data, NEAR, PHYS, timed};
use crate::arena;
use crate::table::Sample;

const FLAGS: u64 = 0x8000_0000_0000_0007;
const READ_ONLY: u64 = 0x8000_0000_0000_0005;

pub fn sample(workload: &str, data: &Data) -> Option<Sample> {
    let pages = AMD64.pages;
    // SAFETY: the arena is larger than that, and nobody else uses it now.
    let all = unsafe { std::slice::from_raw_parts_mut(arena::base().cast::<u64>(), arena::FRAMES * 512) };
    let entries = &mut *black_box(&mut all[..pages]);
    let entry = |n: usize| PHYS + ((n as u64) << 12);
    Some(match workload {
        "A1" | "A2" | "A7a" | "A7b" => timed(pages, 0, || {
            for (n, slot) in entries.iter_mut().enumerate() {
                *slot = entry(n) | FLAGS;
            }
            black_box(entries);
        }),
        "A3a" => {
            // As many leaf tables as pages, one entry in each.
            let slots: Vec<usize> =
                data.sparse.iter().enumerate().map(|(n, va)| n * 512 + (va >> 12) as usize % 512).collect();
            let mut order: Vec<usize> = slots;
            crate::rng::Rng(2).shuffle(&mut order);
            timed(order.len(), 0, || {
                for slot in &order {
                    all[*slot] = PHYS | FLAGS;
                }
                black_box(&mut *all);
            })
        }
        "A3b" => timed(pages, 0, || {
            for n in &data.shuffled {
                entries[*n as usize] = entry(*n as usize) | FLAGS;
            }
            black_box(entries);
        }),
        "A4a" => timed(pages, 0, || {
            black_box(data.shuffled.iter().fold(0, |sum: u64, n| sum.wrapping_add(entries[*n as usize])));
        }),
        "A4b" => {
            let near = &entries[..NEAR];
            timed(pages, 0, || {
                black_box(data.near.iter().fold(0, |sum: u64, n| sum.wrapping_add(near[*n as usize])));
            })
        }
        "A5a" => timed(pages, 0, || {
            for (n, slot) in entries.iter_mut().enumerate() {
                *slot = entry(n);
            }
            black_box(entries);
        }),
        "A5b" | "A8" => timed(pages, 0, || {
            entries.fill(0);
            black_box(entries);
        }),
        "A5b-frames" => timed(pages, 0, || {
            black_box(entries.iter().fold(0, |sum: u64, entry| sum.wrapping_add(entry >> 12)));
        }),
        "A6a" | "A6b" => timed(pages, 0, || {
            for (n, slot) in entries.iter_mut().enumerate() {
                *slot = entry(n) | READ_ONLY;
            }
            black_box(entries);
        }),
        "list" => timed(pages, 0, || {
            for (slot, pa) in entries.iter_mut().zip(&data.scattered) {
                *slot = pa | FLAGS;
            }
            black_box(entries);
        }),
        _ => return None,
    })
}

fn atomic(slot: &mut u64) -> &AtomicU64 {
    // SAFETY: the entry is aligned, and borrowed mutably for as long as the atomic is.
    unsafe { AtomicU64::from_ptr(slot) }
}

/// The same for a range of entries that a CPU may walk meanwhile: 8 bytes at a time, because nothing larger is sure to be
/// read as a whole, and what is there is looked at.
pub fn sample_u64(workload: &str) -> Option<Sample> {
    let pages = AMD64.pages;
    // SAFETY: the arena is larger than that, and nobody else uses it now.
    let entries = unsafe { std::slice::from_raw_parts_mut(arena::base().cast::<u64>(), pages) };
    let entries = black_box(entries);
    Some(match workload {
        "A2" => timed(pages, 0, || {
            for (n, slot) in entries.iter_mut().enumerate() {
                atomic(slot).store((PHYS + ((n as u64) << 12)) | FLAGS, Release);
            }
        }),
        "A6b" => timed(pages, 0, || {
            for slot in entries.iter_mut() {
                let slot = atomic(slot);
                slot.store(slot.load(Acquire) & !2 | READ_ONLY, Release);
            }
        }),
        _ => return None,
    })
}
