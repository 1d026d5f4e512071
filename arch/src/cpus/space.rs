//! Address spaces: which is loaded on which CPU, and which is kept.
//!
//! A CPU goes to a space when a thread has to run in it, and stays there for threads that run in any, for all have the same kernel
//! half. So a space is *live* on those CPUs only that have it loaded, and what has become stale in its user half is forgotten there
//! and nowhere else. Leaving a space drops all of it on a CPU without process-context identifiers (PCID). With them a space's
//! identifier is its number, and a CPU keeps all that it has been in: of what becomes stale meanwhile it learns when it comes back.
//! How that is known, and why nothing gets lost, is told in [`mm::Residence`].

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use mm::{AddressSpace, Flush, Frame, Mmu, Residence, VirtAddr};
use sched::lock;

use super::shootdown::{Of, among};
use super::wait::wait_until;
use super::{ask, others, request};
use crate::machine::pcid;
use crate::percpu::{self, MAX};
use crate::{interrupts, registers};

/// The kernel's own.
const KERNEL: usize = 0;

/// Where each root is, as CR3 has it; 0 if there is no space of that number, or none to be entered.
static ROOTS: [AtomicUsize; AddressSpace::MOST] = [const { AtomicUsize::new(0) }; AddressSpace::MOST];

/// Where each is live, and where it is kept.
pub(super) static RESIDENCE: Residence<MAX, { pcid::CPUS }> = Residence::new();

/// How often each CPU has gone to another space, and how often that was still warm.
static ENTERED: [AtomicU32; MAX] = [const { AtomicU32::new(0) }; MAX];
static WARM: [AtomicU32; MAX] = [const { AtomicU32::new(0) }; MAX];

/// Has this CPU keep the spaces that it leaves, if it can.
///
/// # Safety
/// It has the kernel's own loaded, and its global pages are switched on.
pub(crate) unsafe fn keep_warm() {
    let cpu = percpu::index();
    // SAFETY: `enter` alone loads other numbers, and every flush asks the residence from here on; the rest is the caller's promise.
    if unsafe { pcid::switch_on(cpu) } {
        RESIDENCE.keep(cpu);
    }
}

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
    let load = |warm| {
        let root = ROOTS[number].load(Ordering::SeqCst) as u64;
        assert!(root != 0, "no address space has the number {number}");
        let value = if RESIDENCE.keeps(cpu) { pcid::cr3(root, number, warm) } else { root };
        // SAFETY: who registered the root promised that it has the kernel half that this code runs on, and not to take it away while
        // it is live. Global translations stay, and are the same in all spaces; so do those of this one if all are good.
        unsafe { registers::set_cr3(value) };
    };
    if let Some(warm) = RESIDENCE.enter(cpu, number, load) {
        ENTERED[cpu].fetch_add(1, Ordering::Relaxed);
        WARM[cpu].fetch_add(u32::from(warm), Ordering::Relaxed);
    }
}

/// Has every CPU leave the space with this number for the kernel's own. Nobody enters it any more, and nothing of its user half is used
/// by any CPU when this returns, nor will be when another space gets the number.
///
/// # Panics
/// If a CPU does not leave it in time, or this one holds a lock that another may need before it does.
pub fn retire(number: usize) {
    lock::flushing();
    ROOTS[number].store(0, Ordering::SeqCst);
    leave();
    let there = || others().filter(|(index, _)| RESIDENCE.is_live(number, *index));
    there().for_each(|(_, cpu)| request(cpu, ask::LEAVE));
    wait_until(
        || there().next().is_none(),
        || there().for_each(|(_, cpu)| request(cpu, ask::LEAVE)),
        || there().next().map(|(index, _)| index),
        "leave an address space",
    );
    // Only now: a CPU that was still there has gone on filling its caches from the old tables.
    RESIDENCE.change(number);
}

/// Leaves the space that this CPU has loaded if that is retired.
pub(super) fn leave() {
    interrupts::without(|| {
        let number = RESIDENCE.loaded(percpu::index());
        if number != KERNEL && ROOTS[number].load(Ordering::SeqCst) == 0 {
            enter(KERNEL);
        }
    });
}

/// Has this CPU keep nothing but the space that it has loaded, because of what it forgets of the kernel half. With interrupts off.
pub(crate) fn keep_loaded_only() {
    RESIDENCE.keep_loaded_only(percpu::index());
}

/// Whether this CPU keeps spaces that it leaves. Where the code can be moved to another CPU, it may be another when this returns.
pub(crate) fn keeps() -> bool {
    pcid::CPUS != 0 && RESIDENCE.keeps(percpu::index())
}

/// What the CPU number `cpu` does with spaces.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// It keeps those that it leaves, by PCID.
    pub keeps: bool,
    /// It forgets all of them at once by INVPCID.
    pub invpcid: bool,
    /// How often it has gone to another one. It wraps.
    pub entered: u32,
    /// How often that was still warm. It wraps.
    pub warm: u32,
}

/// What the CPU number `cpu` does with spaces.
pub fn known_of(cpu: usize) -> Known {
    Known {
        keeps: RESIDENCE.keeps(cpu),
        invpcid: pcid::has_invpcid(cpu),
        entered: ENTERED[cpu].load(Ordering::Relaxed),
        warm: WARM[cpu].load(Ordering::Relaxed),
    }
}

/// The CPUs on which the space with this number is live, as [`mm`] knows them.
#[derive(Clone, Copy, Debug)]
pub struct In(pub usize);

impl Mmu for In {
    fn flush(&self, flush: &Flush) {
        // Behind the change of the tables, in the order of memory.
        let change = RESIDENCE.change(self.0);
        among(flush, Of::Space(change), |index| RESIDENCE.is_live(self.0, index));
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
