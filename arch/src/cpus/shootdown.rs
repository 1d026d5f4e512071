//! Forgetting translations on every CPU.
//!
//! One shootdown is under way at a time. What it names is written before the others are asked, and they answer when they have
//! forgotten it; the frames behind the old translations are given to nobody before all have. CPUs that idle are not woken for
//! pages of programs, which they do not touch: they forget everything before they go on. They are woken for tables: a CPU reads
//! those ahead of its time, and sets accessed bits in them, whatever it runs.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{Flush, VirtAddr};
use sched::lock;
use spin::Mutex;

use super::{CPUS, ask, others, request, serve, wait_until};
use crate::{percpu, tlb};

/// Held by the CPU whose shootdown is under way.
static TURN: Mutex<()> = Mutex::new(());

/// What is to be forgotten: so many pages, or everything if that is more than there is room for.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static PAGES: [AtomicUsize; Flush::MOST_PAGES] = [const { AtomicUsize::new(0) }; Flush::MOST_PAGES];

/// Who has not answered.
static WAITED_FOR: [AtomicBool; percpu::MAX] = [const { AtomicBool::new(false) }; percpu::MAX];
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// How many shootdowns there were, and how many CPUs were asked in all.
static SHOOTDOWNS: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Has every CPU forget what `flush` names, this one first, and returns when all have.
///
/// # Panics
/// If a CPU does not answer in time, or if this one holds a lock that another may need before it answers.
pub fn everywhere(flush: &Flush) {
    among(flush, true, |_| true);
}

/// The same for this CPU, if it `is_one`, and for those others that `concerns` says yes to.
pub(super) fn among(flush: &Flush, is_one: bool, concerns: impl Fn(usize) -> bool) {
    lock::flushing();
    if is_one {
        here(flush);
    }
    let concerned = || others().filter(|(index, _)| concerns(*index));
    if concerned().next().is_none() {
        return;
    }
    let turn = loop {
        if let Some(turn) = TURN.try_lock() {
            break turn;
        }
        serve(false);
        core::hint::spin_loop();
    };
    match flush.pages() {
        Some(pages) => {
            for (place, page) in PAGES.iter().zip(pages) {
                place.store(page.0 as usize, Ordering::Relaxed);
            }
            COUNT.store(pages.len(), Ordering::Relaxed);
        }
        None => COUNT.store(usize::MAX, Ordering::Relaxed),
    }
    let mut asked = 0;
    for (index, cpu) in concerned() {
        if flush.may_wait() {
            // In this order: see `awake`.
            cpu.stale.store(true, Ordering::SeqCst);
            if cpu.idle.load(Ordering::SeqCst) {
                continue;
            }
        }
        WAITED_FOR[index].store(true, Ordering::SeqCst);
        LEFT.fetch_add(1, Ordering::SeqCst);
        request(cpu, ask::FLUSH);
        asked += 1;
    }
    SHOOTDOWNS.fetch_add(1, Ordering::Relaxed);
    ASKED.fetch_add(asked, Ordering::Relaxed);
    let waited_for = || others().filter(|(index, _)| WAITED_FOR[*index].load(Ordering::SeqCst));
    wait_until(
        || LEFT.load(Ordering::SeqCst) == 0,
        || waited_for().for_each(|(_, cpu)| request(cpu, ask::FLUSH)),
        || waited_for().next().map(|(index, _)| index),
        "forget translations",
    );
    drop(turn);
}

/// Does what the shootdown under way asks of this CPU, and says so.
pub(super) fn answer() {
    let own = percpu::index();
    // Asked twice, because the first interrupt took long: answered already.
    if !WAITED_FOR[own].load(Ordering::SeqCst) {
        return;
    }
    match COUNT.load(Ordering::Relaxed) {
        count if count <= Flush::MOST_PAGES => {
            PAGES[..count].iter().for_each(|page| tlb::flush_page(VirtAddr(page.load(Ordering::Relaxed) as u64)));
        }
        _ => {
            tlb::flush_all();
            CPUS[own].stale.store(false, Ordering::SeqCst);
        }
    }
    WAITED_FOR[own].store(false, Ordering::SeqCst);
    LEFT.fetch_sub(1, Ordering::SeqCst);
}

/// Forgets on this CPU what `flush` names.
pub fn here(flush: &Flush) {
    match flush.pages() {
        Some(pages) => pages.iter().for_each(|page| tlb::flush_page(*page)),
        None if flush.has_global() => tlb::flush_all(),
        None => tlb::flush_local(),
    }
}

/// How many shootdowns there were, and how many CPUs were asked in all.
pub fn statistics() -> (usize, usize) {
    (SHOOTDOWNS.load(Ordering::Relaxed), ASKED.load(Ordering::Relaxed))
}
