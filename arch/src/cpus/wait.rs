//! Waiting for other CPUs, with a limit.

use core::sync::atomic::Ordering;

use super::{CPUS, serve};
use crate::cpu;

/// How long a CPU may take to answer: cycles of the TSC, some ten seconds; and looks, where the TSC is slow or not there.
const PATIENCE: u64 = 1 << 35;
const LOOKS: u32 = 1 << 28;

/// After this many looks the clock is read; after this many an interrupt is sent once more, because one may get lost.
const GLANCE: u32 = 1 << 12;
const AGAIN: u32 = 1 << 18;

/// What is due after a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Nothing: to look again.
    Nothing,
    /// What is looked at now and then only.
    Glance,
    /// To ask again.
    Again,
    /// To stop waiting.
    Late,
}

/// The pace of a wait, and its limit.
pub(super) struct Pace {
    begun: Option<u64>,
    looks: u32,
}

impl Pace {
    /// The wait begins now.
    pub(super) fn new() -> Self {
        Self { begun: cpu::cycles(), looks: 0 }
    }

    /// Counts a look that found nothing.
    pub(super) fn look(&mut self) -> Due {
        core::hint::spin_loop();
        self.looks = self.looks.saturating_add(1);
        let waited = || cpu::cycles().zip(self.begun).map_or(0, |(now, begun)| now.wrapping_sub(begun));
        match self.looks {
            LOOKS.. => Due::Late,
            looks if looks % GLANCE != 0 => Due::Nothing,
            _ if waited() > PATIENCE => Due::Late,
            looks if looks % AGAIN == 0 => Due::Again,
            _ => Due::Glance,
        }
    }
}

/// Waits until `done`, and serves meanwhile what is asked of this CPU. `again` is called now and then, for what may have got
/// lost.
///
/// # Panics
/// If it takes too long. `late` then names the CPU that does not answer.
pub(super) fn wait_until(done: impl Fn() -> bool, again: impl Fn(), late: impl Fn() -> Option<usize>, what: &str) {
    let mut pace = Pace::new();
    while !done() {
        serve(false);
        match pace.look() {
            Due::Nothing | Due::Glance => {}
            Due::Again => again(),
            Due::Late => give_up(late(), what),
        }
    }
}

/// Ends a wait that has taken too long for the CPU of the number `index`, which does not do `what`.
pub(super) fn give_up(index: Option<usize>, what: &str) -> ! {
    match index {
        Some(index) => {
            let apic = CPUS[index].apic.load(Ordering::Relaxed);
            panic!("CPU {index} (APIC {apic}) does not answer when it is asked to {what}")
        }
        None => panic!("no CPU answers when asked to {what}"),
    }
}
