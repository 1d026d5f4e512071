//! The thread of each CPU that runs what is asked of all CPUs at once.
//!
//! It is pinned and of high priority, so a busy CPU runs it at once, or in its turn among others that are as important. The
//! interrupt by which the CPU is asked wakes it: the thread that is interrupted may hold a lock that the work takes, so the work
//! never runs on top of it.

use core::sync::atomic::{Ordering, fence};

use log::warn;
use sched::{Priority, ThreadId};
use spin::Once;

use super::{CONTEXTS, CPUS, OWN, SCHED, Work, block, follow_up, life, masked};
use crate::Machine;

/// The thread of each CPU.
static CALLERS: [Once<ThreadId>; CPUS] = [const { Once::new() }; CPUS];

/// Makes the thread of each CPU that is online, where there are several. A CPU without one runs the work when it idles.
pub fn make_all(machine: &mut Machine) {
    let mut online = [0u64; CPUS.div_ceil(64)];
    machine.platform.each_cpu(&mut |cpu| {
        if cpu.online && cpu.index < CPUS {
            online[cpu.index / 64] |= 1 << (cpu.index % 64);
        }
    });
    if online.iter().map(|word| word.count_ones()).sum::<u32>() < 2 {
        return;
    }
    for cpu in (0..CPUS).filter(|cpu| online[cpu / 64] >> (cpu % 64) & 1 != 0) {
        let work = Work { name: "caller", priority: Priority::High, cpu: Some(cpu), run: serve, argument: 0 };
        match life::make(machine, work, OWN) {
            Ok(id) => _ = CALLERS[cpu].call_once(|| id),
            Err(refusal) => {
                warn!("cpus: from CPU {cpu} on, what is asked of all CPUs waits until they idle: {refusal}");
                return;
            }
        }
        // The CPU may take part already, or see this thread when it does: one of the two sees the other.
        fence(Ordering::SeqCst);
        if SCHED.takes_part(cpu) {
            masked(|contexts, own| {
                start(own, cpu);
                follow_up(contexts, own);
            });
        }
    }
}

/// Has the thread of the CPU `own`, on which this is called and which takes part from now on, run if it is made.
pub(super) fn begin(own: usize) {
    fence(Ordering::SeqCst);
    start(own, own);
}

/// Starts the thread of `cpu`, if it is made and was not started.
fn start(own: usize, cpu: usize) {
    if let Some(id) = CALLERS[cpu].get() {
        SCHED.start(own, *id);
    }
}

/// Wakes the thread of this CPU. Returns `false` if there is none. With interrupts off.
pub fn call() -> bool {
    let Some(cpu) = CONTEXTS.get().map(|contexts| contexts.cpu()) else { return false };
    CALLERS.get(cpu).and_then(Once::get).is_some_and(|id| SCHED.wake(cpu, *id))
}

/// Runs what is asked of this CPU, again and again.
fn serve(_: usize) {
    while let Some(contexts) = CONTEXTS.get() {
        contexts.take_call();
        block();
    }
}
