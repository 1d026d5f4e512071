//! Address spaces: which is loaded on which CPU.
//!
//! A CPU goes to a space when a thread has to run in it, and stays there for threads that run in any, for all have the same kernel
//! half. So a space is *live* on those CPUs only that have it loaded, and what has become stale in its user half is forgotten there
//! and nowhere else: leaving a space drops all of it. There are no process-context identifiers, which would keep some of it.
//!
//! A CPU notes that a space is live on it before it loads the root, and that the other is not after it has. Whoever changes a table
//! looks at the notes behind a fence: either he finds the CPU, or the CPU walks the tables as they are after the change.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use mm::{AddressSpace, Flush, Frame, Mmu, VirtAddr};
use sched::lock;

use super::shootdown::among;
use super::{ask, others, request, wait_until};
use crate::percpu::{self, MAX};
use crate::{interrupts, registers};

/// The kernel's own.
const KERNEL: usize = 0;

/// Where each root is, as CR3 has it; 0 if there is no space of that number, or none to be entered.
static ROOTS: [AtomicUsize; AddressSpace::MOST] = [const { AtomicUsize::new(0) }; AddressSpace::MOST];

/// Where each is live.
static LIVE: [[AtomicBool; MAX]; AddressSpace::MOST] =
    [const { [const { AtomicBool::new(false) }; MAX] }; AddressSpace::MOST];

/// Which each CPU has loaded; written by it alone, with interrupts off.
static LOADED: [AtomicUsize; MAX] = [const { AtomicUsize::new(KERNEL) }; MAX];

/// Makes the space with this number and root one that can be entered. This CPU has the kernel's own loaded.
///
/// # Safety
/// The tree is one of the live mode, has the live tree's kernel half, and stays until it is [retired](retire).
pub unsafe fn register(number: usize, root: Frame) {
    ROOTS[KERNEL].store(registers::cr3() as usize, Ordering::SeqCst);
    ROOTS[number].store(root.start().0 as usize, Ordering::SeqCst);
}

/// Loads the space with this number on this CPU if it is not. With interrupts off.
///
/// # Panics
/// If there is no such space.
pub fn enter(number: usize) {
    let cpu = percpu::index();
    let old = LOADED[cpu].load(Ordering::Relaxed);
    if old == number {
        return;
    }
    let root = ROOTS[number].load(Ordering::SeqCst);
    assert!(root != 0, "no address space has the number {number}");
    LIVE[number][cpu].store(true, Ordering::SeqCst);
    // SAFETY: who registered the root promised that it has the kernel half that this code runs on, and not to take it away while it
    // is live. Global translations stay, and are the same in all spaces.
    unsafe { registers::set_cr3(root as u64) };
    LOADED[cpu].store(number, Ordering::Relaxed);
    LIVE[old][cpu].store(false, Ordering::SeqCst);
}

/// Which space this CPU has loaded.
pub fn loaded() -> usize {
    interrupts::without(|| LOADED[percpu::index()].load(Ordering::Relaxed))
}

/// Has every CPU leave the space with this number for the kernel's own. Nobody enters it any more, and nothing of its user half is in
/// any CPU's caches when this returns.
///
/// # Panics
/// If a CPU does not leave it in time, or this one holds a lock that another may need before it does.
pub fn retire(number: usize) {
    lock::flushing();
    ROOTS[number].store(0, Ordering::SeqCst);
    leave();
    let there = || others().filter(|(index, _)| LIVE[number][*index].load(Ordering::SeqCst));
    there().for_each(|(_, cpu)| request(cpu, ask::LEAVE));
    wait_until(
        || there().next().is_none(),
        || there().for_each(|(_, cpu)| request(cpu, ask::LEAVE)),
        || there().next().map(|(index, _)| index),
        "leave an address space",
    );
}

/// Leaves the space that this CPU has loaded if that is retired.
pub(super) fn leave() {
    interrupts::without(|| {
        let number = LOADED[percpu::index()].load(Ordering::Relaxed);
        if number != KERNEL && ROOTS[number].load(Ordering::SeqCst) == 0 {
            enter(KERNEL);
        }
    });
}

/// The CPUs on which the space with this number is live, as [`mm`] knows them.
#[derive(Clone, Copy, Debug)]
pub struct In(pub usize);

impl Mmu for In {
    fn flush(&self, flush: &Flush) {
        // Behind the change, in the order of memory.
        fence(Ordering::SeqCst);
        let live = &LIVE[self.0];
        among(flush, loaded() == self.0, |index| live[index].load(Ordering::SeqCst));
    }

    fn flush_page(&self, va: VirtAddr) {
        self.flush(&Flush::page(va).when_awake());
    }

    fn flush_local(&self) {
        self.flush(&Flush::all(false));
    }

    fn flush_all(&self) {
        self.flush(&Flush::all(true));
    }
}

/// One for each number.
pub static SPACES: [In; AddressSpace::MOST] = {
    let mut spaces = [In(KERNEL); AddressSpace::MOST];
    let mut number = 0;
    while number < AddressSpace::MOST {
        spaces[number] = In(number);
        number += 1;
    }
    spaces
};
