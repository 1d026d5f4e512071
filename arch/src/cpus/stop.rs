//! Stopping all other CPUs for good: one has found that nothing can be relied on any more.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{CPUS, State, others};
use crate::{apic, interrupts, percpu};

/// The number of the CPU that stops the others, plus 1.
static BY: AtomicUsize = AtomicUsize::new(0);

/// How long the others are waited for: looks.
const PATIENCE: u32 = 1 << 22;

/// Stops the others, by an NMI, which nothing shuts out. Does not return on a CPU that another one is stopping. Tells how many
/// did not stop in time.
pub fn others_stop() -> usize {
    interrupts::disable();
    let own = percpu::index() + 1;
    match BY.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {}
        // A panic in the report of a panic: the others have been told.
        Err(by) if by == own => return 0,
        Err(_) => obey(),
    }
    for (_, cpu) in others() {
        apic::send_nmi(cpu.apic.load(Ordering::Relaxed));
    }
    for _ in 0..PATIENCE {
        if others().next().is_none() {
            return 0;
        }
        core::hint::spin_loop();
    }
    others().count()
}

/// The NMI came because another CPU stops all: this one stops. Returns if nobody does.
pub(crate) fn nmi() {
    let by = BY.load(Ordering::SeqCst);
    if by != 0 && by != percpu::index() + 1 {
        obey();
    }
}

fn obey() -> ! {
    CPUS[percpu::index()].set(State::Stopped);
    interrupts::halt()
}
