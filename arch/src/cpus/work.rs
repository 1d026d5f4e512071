//! Work for all CPUs at once.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use spin::Mutex;

use super::{AGAIN, others, request, serve};
use crate::percpu::{self, MAX};

/// What is to be done, by number of the CPU.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

/// Held by the CPU that has work for the others.
static GIVER: Mutex<()> = Mutex::new(());

/// Where the work is: a [`Work`] on the giver's stack.
static WORK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Who has not taken it yet, and how many have not finished it.
static WANTED: [AtomicBool; MAX] = [const { AtomicBool::new(false) }; MAX];
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` on every other CPU, with interrupts on, and `meanwhile` on this one. Returns when all have finished, with how many
/// others there were.
pub fn on_others(work: Work, meanwhile: &mut dyn FnMut()) -> usize {
    let giver = loop {
        if let Some(giver) = GIVER.try_lock() {
            break giver;
        }
        serve(true);
    };
    WORK.store((&raw const work).cast_mut().cast(), Ordering::SeqCst);
    let mut count = 0;
    for (index, cpu) in others() {
        LEFT.fetch_add(1, Ordering::SeqCst);
        WANTED[index].store(true, Ordering::SeqCst);
        request(cpu, 0);
        count += 1;
    }
    meanwhile();
    // Not to return is the only way to keep them from what is on this stack, so there is no limit.
    for look in 1u32.. {
        if LEFT.load(Ordering::SeqCst) == 0 {
            break;
        }
        serve(true);
        core::hint::spin_loop();
        if look % AGAIN == 0 {
            others().filter(|(index, _)| WANTED[*index].load(Ordering::SeqCst)).for_each(|(_, cpu)| request(cpu, 0));
        }
    }
    drop(giver);
    count
}

/// Whether this CPU is wanted for work.
pub(super) fn is_there() -> bool {
    WANTED[percpu::index()].load(Ordering::SeqCst)
}

/// Does the work that this CPU is wanted for, if it is.
pub(super) fn take() {
    let own = percpu::index();
    if WANTED[own].swap(false, Ordering::SeqCst) {
        // SAFETY: who gave the work waits, with it on its stack, until this CPU says that it has finished.
        let work: Work = unsafe { *WORK.load(Ordering::SeqCst).cast() };
        work(own);
        LEFT.fetch_sub(1, Ordering::SeqCst);
    }
}
