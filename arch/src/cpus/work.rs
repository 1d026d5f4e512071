//! Work for all other CPUs at once: a cross-call ([`sched::CrossCall`]) whose work lies on the initiator's stack.
//!
//! A target does not run the work in the interrupt that asks for it: the interrupted thread may hold a lock that the work takes. The
//! interrupt wakes a thread of high priority that is pinned to the CPU ([`preempt::call`]), and that thread runs the work, however
//! busy the CPU is. A CPU without such a thread runs it when it has nothing else to do.

use core::sync::atomic::{AtomicPtr, Ordering};

use sched::{CrossCall, Decision};

use super::wait::{Due, Pace};
use super::{Cpu, ask, others, request, serve};
use crate::interrupts;
use crate::percpu::{self, MAX};

/// What is to be done, by number of the CPU.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

/// The call that is under way.
static CALL: CrossCall<MAX> = CrossCall::new();

/// Where its work is: a [`Work`] on the initiator's stack.
static WORK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Why no CPU ran the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The CPU of this number did not come in time.
    Late(usize),
    /// Another call of the CPU of this number did not end in time.
    Busy(usize),
    /// The initiator gave up.
    GivenUp,
}

/// Runs `work` on every other CPU that is online, with interrupts on, and `meanwhile` on this one. Either all of them run it, at the
/// same time, or none. Returns when all have finished, with the number of the others.
///
/// `give_up` is called again and again while this CPU waits. Before all others have come, `true` ends the call.
///
/// # Errors
/// Why no CPU ran the work, `meanwhile` included.
///
/// # Panics
/// If a CPU that runs the work answers no interrupt any more: the work cannot leave this stack then.
pub fn on_others(work: Work, meanwhile: &mut dyn FnMut(), give_up: &mut dyn FnMut() -> bool) -> Result<usize, Failure> {
    begin(give_up)?;
    WORK.store((&raw const work).cast_mut().cast(), Ordering::SeqCst);
    let mut count = 0;
    for (index, cpu) in others() {
        CALL.want(index);
        request(cpu, ask::CALL);
        count += 1;
    }
    let gathered = gather(give_up);
    match gathered {
        Ok(()) => CALL.go(),
        Err(_) => CALL.cancel(),
    }
    // Those that have come wait for an interrupt.
    others().filter(|(index, _)| CALL.is_taken(*index)).for_each(|(_, cpu)| request(cpu, 0));
    if gathered.is_ok() {
        meanwhile();
    }
    wait_for_end(give_up);
    CALL.end();
    gathered.map(|()| count)
}

/// Waits until no other call is under way, and begins one.
fn begin(give_up: &mut dyn FnMut() -> bool) -> Result<(), Failure> {
    let mut pace = Pace::new();
    while let Err(other) = CALL.begin(percpu::index()) {
        serve(true);
        match pace.look() {
            Due::Nothing => {}
            Due::Late => return Err(Failure::Busy(other)),
            _ if give_up() => return Err(Failure::GivenUp),
            _ => {}
        }
    }
    Ok(())
}

/// Waits until all targets have come.
fn gather(give_up: &mut dyn FnMut() -> bool) -> Result<(), Failure> {
    let mut pace = Pace::new();
    let missing = || others().filter(|(index, _)| CALL.is_wanted(*index));
    while !CALL.all_came() {
        serve(true);
        let due = pace.look();
        if due == Due::Again {
            missing().for_each(|(_, cpu)| request(cpu, ask::CALL));
        }
        if due == Due::Late
            && let Some((index, _)) = missing().next()
        {
            return Err(Failure::Late(index));
        }
        if due != Due::Nothing && give_up() {
            return Err(Failure::GivenUp);
        }
    }
    Ok(())
}

/// Waits until all targets have finished. How long the work takes is its own matter, so it has no limit; but each CPU that runs it
/// has to go on answering interrupts.
fn wait_for_end(give_up: &mut dyn FnMut() -> bool) {
    let running = || others().filter(|(index, _)| CALL.is_taken(*index));
    let unheard = |cpu: &Cpu| cpu.requests.load(Ordering::SeqCst) & ask::CALL != 0;
    let mut pace = Pace::new();
    while !CALL.is_over() {
        serve(true);
        let due = pace.look();
        if due != Due::Nothing {
            // For its effect, by which the work may be cut short.
            let _ = give_up();
        }
        if let Due::Again | Due::Late = due {
            match running().find(|(_, cpu)| unheard(cpu)) {
                Some((index, cpu)) if due == Due::Late => {
                    let apic = cpu.apic.load(Ordering::Relaxed);
                    panic!("CPU {index} (APIC {apic}) does not answer while it runs work for all CPUs")
                }
                Some(_) => {}
                None => pace = Pace::new(),
            }
            running().for_each(|(_, cpu)| request(cpu, ask::CALL));
        }
    }
}

/// Whether this CPU is wanted for work that it has not taken yet.
pub(super) fn is_there() -> bool {
    CALL.is_wanted(percpu::index())
}

/// Does the work that this CPU is wanted for, if it is. The thread stays on this CPU.
pub fn take() {
    let own = percpu::index();
    if !CALL.take(own) {
        return;
    }
    let decision = loop {
        match CALL.decision() {
            Some(decision) => break decision,
            // Not by looking again and again: where CPUs are threads of a host, the others could not come.
            // SAFETY: a thread runs this, with interrupts on and nothing locked.
            None => interrupts::without(|| unsafe { interrupts::take_one_unless(|| CALL.decision().is_some()) }),
        }
    };
    if decision == Decision::Go {
        // SAFETY: the initiator waits, with the work on its stack, until this CPU has said that it is done.
        let work: Work = unsafe { *WORK.load(Ordering::SeqCst).cast() };
        work(own);
    }
    CALL.finish(own);
}
