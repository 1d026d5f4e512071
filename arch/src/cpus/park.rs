//! Standing still, and changing the mode together: while one CPU leaves the mode for another, the others touch nothing but their
//! stacks and the kernel's image; then they follow it, one after the other.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::Frame;
use spin::Mutex;

use super::wait::{Due, Pace, give_up, wait_until};
use super::{Cpu, State, ask, others, request, serve};
use crate::{interrupts, mode, percpu, tlb};

/// The number of the CPU for which the others stand still, plus 1; 0 if they do not.
static FOR: AtomicUsize = AtomicUsize::new(0);
static WALK_ON: AtomicBool = AtomicBool::new(true);

/// One CPU changes the mode at a time: the way through it keeps its stack in one place.
static CHANGE: Mutex<()> = Mutex::new(());

/// The root that the others go to when they walk on, and whether it is one of the extended mode. Written while they stand.
static ROOT: AtomicUsize = AtomicUsize::new(0);
static XPA: AtomicBool = AtomicBool::new(false);

/// Runs `work`, which may change the mode, while all other CPUs stand still. They come after it, to the root and the mode that are
/// live then, before this returns; whatever has become stale meanwhile they have forgotten.
///
/// # Panics
/// If a CPU does not stop or go on in time.
///
/// # Safety
/// The root that is live when `work` returns is fit for the others too, as [`mode::enter`] wants it for this CPU.
pub unsafe fn while_others_stand<R>(work: impl FnOnce() -> R) -> R {
    if others().next().is_none() {
        return work();
    }
    let own = percpu::index() + 1;
    // Two that want it at once: the second serves the first.
    let mut pace = Pace::new();
    while let Err(other) = FOR.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        serve(true);
        if pace.look() == Due::Late {
            give_up(Some(other - 1), "end a change of the mode");
        }
    }
    WALK_ON.store(false, Ordering::SeqCst);
    others().for_each(|(_, cpu)| request(cpu, ask::PARK));
    let late = || others().next().map(|(index, _)| index);
    let again = || others().for_each(|(_, cpu)| request(cpu, ask::PARK));
    wait_until(|| others().next().is_none(), again, late, "stand still");
    let result = work();
    let live = mode::current();
    ROOT.store(live.root.0 as usize, Ordering::SeqCst);
    XPA.store(live.xpa, Ordering::SeqCst);
    WALK_ON.store(true, Ordering::SeqCst);
    let standing = || super::CPUS.iter().enumerate().filter(|(_, cpu)| cpu.state() == State::Parked);
    // Those that wait for an interrupt need one.
    standing().for_each(|(_, cpu)| request(cpu, 0));
    let late = || standing().next().map(|(index, _)| index);
    wait_until(|| standing().next().is_none(), || standing().for_each(|(_, cpu)| request(cpu, 0)), late, "go on");
    FOR.store(0, Ordering::SeqCst);
    result
}

/// Stands still until it is over. Called in an interrupt.
pub(super) fn stand(cpu: &Cpu) {
    if WALK_ON.load(Ordering::SeqCst) || FOR.load(Ordering::SeqCst) == percpu::index() + 1 {
        return;
    }
    // An interrupt that comes meanwhile must not leave for another thread.
    let _stay = sched::lock::stay();
    cpu.set(State::Parked);
    while !WALK_ON.load(Ordering::SeqCst) {
        // SAFETY: this is an interrupt's handler, before which others could come, and which holds nothing.
        unsafe { interrupts::take_one_unless(|| WALK_ON.load(Ordering::SeqCst)) };
    }
    let root = Frame(ROOT.load(Ordering::SeqCst) as u64);
    if mode::current().root == root {
        tlb::flush_all();
    } else {
        let _one = CHANGE.lock();
        // SAFETY: by the contract of `while_others_stand`, which waits until this CPU is online again.
        unsafe { mode::enter(root, XPA.load(Ordering::SeqCst)) };
        mode::raise_missed();
    }
    cpu.set(State::Online);
}
