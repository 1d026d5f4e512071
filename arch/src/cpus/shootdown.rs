//! Forgetting translations on every CPU.
//!
//! One shootdown is under way at a time. What it names is written before the others are asked, and they answer when they have
//! forgotten it; the frames behind the old translations are given to nobody before all have. CPUs that idle are not woken for
//! pages of programs, which they do not touch: they forget everything before they go on. They are woken for tables: a CPU reads
//! those ahead of its time, and sets accessed bits in them, whatever it runs.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{Change, Flush, Forget, VirtAddr};
use sched::lock;
use spin::Mutex;

use super::space::{self, RESIDENCE};
use super::wait::{Due, Pace, give_up, wait_until};
use super::{CPUS, ask, others, request, serve};
use crate::{interrupts, percpu, tlb};

/// Whose translations are to be forgotten.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// The kernel's tree's: of them the kernel half is in all address spaces.
    Kernel,
    /// Those that this change of a space's user half has made stale.
    Space(Change),
}

/// Stands for [`Of::Kernel`] where a space's number is.
const KERNEL: usize = usize::MAX;

/// Held by the CPU whose shootdown is under way.
static TURN: Mutex<()> = Mutex::new(());

/// Its number.
static WHOSE: AtomicUsize = AtomicUsize::new(0);

/// What is to be forgotten: so many pages, or everything if that is more than there is room for.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static PAGES: [AtomicUsize; Flush::MOST_PAGES] = [const { AtomicUsize::new(0) }; Flush::MOST_PAGES];

/// And whose.
static NUMBER: AtomicUsize = AtomicUsize::new(KERNEL);
static GENERATION: AtomicUsize = AtomicUsize::new(0);

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
    among(flush, Of::Kernel, |_| true);
}

/// The same for this CPU, if it has what `of` says loaded, and for those others that `concerns` says yes to.
pub(super) fn among(flush: &Flush, of: Of, concerns: impl Fn(usize) -> bool) {
    lock::flushing();
    match of {
        Of::Kernel => here(flush),
        Of::Space(change) => {
            interrupts::without(|| match RESIDENCE.forget(percpu::index(), change) {
                Forget::Nothing => {}
                Forget::Named => forget(flush),
                Forget::Space => tlb::flush_local(),
            });
        }
    }
    let concerned = || others().filter(|(index, _)| concerns(*index));
    if concerned().next().is_none() {
        return;
    }
    let (mut pace, mut done) = (Pace::new(), SHOOTDOWNS.load(Ordering::Relaxed));
    let turn = loop {
        if let Some(turn) = TURN.try_lock() {
            break turn;
        }
        serve(false);
        if pace.look() == Due::Late {
            // Others may have had their turns meanwhile: the limit is for one.
            if core::mem::replace(&mut done, SHOOTDOWNS.load(Ordering::Relaxed)) == done {
                give_up(Some(WHOSE.load(Ordering::Relaxed)), "end its shootdown");
            }
            pace = Pace::new();
        }
    };
    WHOSE.store(percpu::index(), Ordering::Relaxed);
    match flush.pages() {
        Some(pages) => {
            for (place, page) in PAGES.iter().zip(pages) {
                place.store(page.0 as usize, Ordering::Relaxed);
            }
            COUNT.store(pages.len(), Ordering::Relaxed);
        }
        None => COUNT.store(usize::MAX, Ordering::Relaxed),
    }
    let (number, generation) = match of {
        Of::Kernel => (KERNEL, 0),
        Of::Space(change) => (change.number, change.generation),
    };
    NUMBER.store(number, Ordering::Relaxed);
    GENERATION.store(generation, Ordering::Relaxed);
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

/// Does what the shootdown under way asks of this CPU, and says so. What it has loaded must not change meanwhile, so interrupts are off.
pub(super) fn answer() {
    interrupts::without(|| {
        let own = percpu::index();
        // Asked twice, because the first interrupt took long: answered already.
        if !WAITED_FOR[own].load(Ordering::SeqCst) {
            return;
        }
        let (number, generation) = (NUMBER.load(Ordering::Relaxed), GENERATION.load(Ordering::Relaxed));
        if number == KERNEL {
            forget_asked(|| {
                tlb::flush_all();
                CPUS[own].stale.store(false, Ordering::SeqCst);
            });
            space::keep_loaded_only();
        } else {
            match RESIDENCE.forget(own, Change { number, generation }) {
                Forget::Nothing => {}
                // No page of a space's user half is global.
                Forget::Named => forget_asked(tlb::flush_local),
                Forget::Space => tlb::flush_local(),
            }
        }
        WAITED_FOR[own].store(false, Ordering::SeqCst);
        LEFT.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Forgets on this CPU what is written down, `all` if that is everything.
fn forget_asked(all: impl FnOnce()) {
    match COUNT.load(Ordering::Relaxed) {
        count if count <= Flush::MOST_PAGES => {
            PAGES[..count].iter().for_each(|page| tlb::flush_page(VirtAddr(page.load(Ordering::Relaxed) as u64)));
        }
        _ => all(),
    }
}

/// Forgets on this CPU what `flush` names of the kernel's tree.
pub fn here(flush: &Flush) {
    if !space::keeps() {
        return forget(flush);
    }
    // With what is kept of other spaces goes what is not global of the kernel half. This one must not be left in between.
    interrupts::without(|| {
        forget(flush);
        space::keep_loaded_only();
    });
}

/// Forgets on this CPU what `flush` names, as the space that is loaded has it.
fn forget(flush: &Flush) {
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
