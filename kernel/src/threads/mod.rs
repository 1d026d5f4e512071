//! Kernel threads: [`sched`] decides, [`Contexts`] switches, and here the two meet.
//!
//! The kernel starts as the code of the first CPU, which becomes the thread `prompt`. It alone has the [`Machine`], so it alone
//! starts threads, which takes a stack out of the tables, and takes back the stacks of those that have ended. A thread is a function
//! and a number for it; what it shares with others lies in statics.
//!
//! A thread may lose its CPU after any instruction, but not while it holds a [`sched::Lock`], nor with interrupts off. It may not wait
//! then either: whoever is to wake it may need the lock.

mod caller;
mod contexts;
mod life;
pub mod load;

pub use caller::{call, make_all as make_callers};
pub use contexts::Contexts;
pub use life::{Refusal, STACK_BYTES, Work, has_ended, join, reap, spawn, spawn_in};

use core::sync::atomic::{AtomicUsize, Ordering};

use log::warn;
use mm::Stack;
use sched::{Blocked, Priority, Report, Scheduler, Switch, ThreadId, has_come, lock};
use spin::Once;

use crate::{Machine, Memories, Platform};
use life::make;

/// The most CPUs that can take part.
pub const CPUS: usize = mm::MOST_CPUS;

/// The stacks that are mapped for the threads of each CPU but the first: that of its [caller]. It idles on its first.
pub const STACKS_EACH_CPU: usize = 1;

/// The most threads: two for each CPU, one to idle in and its caller, and as many others as there are stacks for.
const THREADS: usize = CPUS * 2 + Stack::OTHERS;
const _: () = assert!(THREADS <= sched::MOST_THREADS);

/// How long the prompt waits for an interrupt before it looks whether something was typed all the same, in ticks. There are
/// machines on which no such interrupt comes through.
const POLL: u32 = 5;

static SCHED: Scheduler<THREADS, CPUS> = Scheduler::new(kick);

static CONTEXTS: Once<&'static dyn Contexts> = Once::new();

/// What tables are made of, for when there is nothing else to do.
static MEMORY: Once<&'static Memories> = Once::new();

/// The thread that waits for what is typed.
static PROMPT: Once<ThreadId> = Once::new();

/// The address space that each thread runs in; [`ANY`] for those that run in whatever is loaded.
static SPACES: [AtomicUsize; THREADS] = [const { AtomicUsize::new(ANY) }; THREADS];

const ANY: usize = usize::MAX;

/// The kernel's own address space.
pub const OWN: usize = 0;

/// Has another CPU look at its queue.
fn kick(cpu: usize) {
    if let Some(contexts) = CONTEXTS.get() {
        contexts.kick(cpu);
    }
}

/// Does `work` with interrupts off.
fn masked<R>(work: impl FnOnce(&'static dyn Contexts, usize) -> R) -> Option<R> {
    let contexts = *CONTEXTS.get()?;
    let (mut work, mut result) = (Some(work), None);
    contexts.masked(&mut || result = work.take().map(|work| work(contexts, contexts.cpu())));
    result
}

/// Makes the running code the first thread, and a thread for when there is no other. Without the second the first still runs, and
/// that is all: why is logged.
pub fn start(machine: &mut Machine) {
    let Some(contexts) = machine.platform.contexts() else { return };
    CONTEXTS.call_once(|| contexts);
    MEMORY.call_once(|| machine.memory);
    let adopted = masked(|contexts, cpu| {
        // The lines of the devices lead to the first CPU.
        let id = SCHED.create("prompt", Priority::High, Some(cpu))?;
        SCHED.set_stack(id, contexts.first_stack());
        SPACES[id.index()].store(OWN, Ordering::Relaxed);
        SCHED.adopt(cpu, id);
        Some(PROMPT.call_once(|| id))
    });
    if adopted.flatten().is_none() {
        return;
    }
    let work = Work { name: "idle", priority: Priority::Low, cpu: Some(0), run: |_| idle(), argument: 0 };
    match make(machine, work, ANY) {
        Ok(id) => drop(masked(|_, cpu| SCHED.set_idle(cpu, id))),
        Err(refusal) => warn!("threads: none can be started, for want of one to idle in: {refusal}"),
    }
}

/// Has a CPU that was started take part: the code that runs on it, on `stack`, becomes the thread that it idles in. `false` if
/// there are as many threads as there can be.
pub fn take_part(stack: core::ops::Range<usize>) -> bool {
    let adopted = masked(|_, cpu| {
        let id = SCHED.create("idle", Priority::Low, Some(cpu))?;
        SCHED.set_stack(id, stack);
        SPACES[id.index()].store(ANY, Ordering::Relaxed);
        SCHED.adopt(cpu, id);
        SCHED.set_idle(cpu, id);
        caller::begin(cpu);
        Some(())
    });
    adopted.flatten().is_some()
}

/// What a CPU does when there is nothing else.
pub fn idle() -> ! {
    loop {
        if let Some(memory) = MEMORY.get() {
            memory.zero_ahead();
        }
        masked(|contexts, cpu| match SCHED.yield_now(cpu) {
            Some(switch) => go(contexts, switch),
            None => contexts.wait(),
        });
    }
}

/// Makes a switch that was decided.
fn go(contexts: &dyn Contexts, switch: Switch) {
    // Every space has the stacks of all threads, so this may come first.
    let space = SPACES[switch.to.index()].load(Ordering::Relaxed);
    if space != ANY {
        contexts.enter_space(space);
    }
    contexts.switch(SCHED.context(switch.from), SCHED.context(switch.to).load(Ordering::Relaxed));
    // It may be another CPU by now.
    SCHED.arrive(contexts.cpu());
}

/// Leaves the present thread if another should run and nothing keeps this one here. With interrupts off.
fn follow_up(contexts: &dyn Contexts, cpu: usize) {
    if lock::held() == 0 && SCHED.wants_switch(cpu) {
        yield_on(contexts, cpu);
    }
}

fn yield_on(contexts: &dyn Contexts, cpu: usize) {
    if let Some(switch) = SCHED.yield_now(cpu) {
        go(contexts, switch);
    }
}

/// Whoever waits must hold no lock.
fn must_not_hold() {
    let held = lock::held();
    assert_eq!(held, 0, "a thread that holds {held} locks must not wait");
}

/// The thread that runs here, if this CPU takes part.
pub fn current() -> Option<ThreadId> {
    masked(|_, cpu| SCHED.current(cpu)).flatten()
}

/// What is known of the thread that runs here, for a report: nothing is waited for.
pub fn running() -> Option<Report> {
    let cpu = CONTEXTS.get()?.cpu();
    SCHED.report(SCHED.current(cpu)?.index())
}

/// The address space that the thread `id` runs in, if not in any.
pub fn space_of(id: ThreadId) -> Option<usize> {
    Some(SPACES[id.index()].load(Ordering::Relaxed)).filter(|space| *space != ANY)
}

/// The clock, in ticks of ten milliseconds. It wraps.
pub fn now() -> u32 {
    SCHED.now()
}

/// Waits until the present thread is woken. That may have happened before, or happen without a reason.
pub fn block() {
    must_not_hold();
    masked(|contexts, cpu| match SCHED.block(cpu) {
        Blocked::Switch(switch) => go(contexts, switch),
        Blocked::Awake => {}
        Blocked::Alone => contexts.wait(),
    });
}

/// Has the thread `id` go on, or not wait when it next does.
pub fn wake(id: ThreadId) {
    masked(|contexts, cpu| {
        SCHED.wake(cpu, id);
        follow_up(contexts, cpu);
    });
}

/// Lets others run that are as important.
pub fn yield_now() {
    must_not_hold();
    masked(yield_on);
}

/// Waits until the tick `deadline`.
pub fn sleep_until(deadline: u32) {
    wait_until(deadline, || has_come(deadline, now()));
}

/// Waits until `over`, which is looked at whenever the present thread is woken, and when the tick `deadline` comes.
fn wait_until(deadline: u32, mut over: impl FnMut() -> bool) {
    let listed = masked(|_, cpu| {
        SCHED.wake_at(cpu, deadline);
        SCHED.current(cpu).map(|id| (cpu, id))
    });
    let Some(Some((list, id))) = listed else { return };
    while !over() {
        block();
    }
    masked(|_, _| SCHED.forget(list, id));
}

/// What is known of every thread.
pub fn reports() -> impl Iterator<Item = Report> {
    (0..THREADS).filter_map(|index| SCHED.report(index))
}

/// How much of its stack a thread uses, in bytes, as far as can be known: not while another CPU runs it.
pub fn stack_used(report: &Report) -> Option<usize> {
    let pointer = match report.state {
        _ if current() == Some(report.id) => CONTEXTS.get()?.stack_pointer(),
        sched::State::Running => return None,
        _ => report.context,
    };
    report.stack.end.checked_sub(pointer).filter(|used| *used <= report.stack.len())
}

/// Waits until something may have been typed. Others run meanwhile, unless a lock is held, as where a long answer is made out of
/// what the lock guards.
pub fn wait_for_input(platform: &dyn Platform) {
    let waits = CONTEXTS.get().is_some_and(|contexts| contexts.beats()) && lock::held() == 0;
    if waits && current().is_some() {
        let mut looked = false;
        wait_until(now().wrapping_add(POLL), || core::mem::replace(&mut looked, true));
    } else {
        platform.pause();
    }
}

/// The timer of this CPU has interrupted. With interrupts off.
pub fn tick() {
    if let Some(contexts) = CONTEXTS.get() {
        SCHED.tick(contexts.cpu());
    }
}

/// Something was typed. With interrupts off.
pub fn input() {
    if let (Some(contexts), Some(prompt)) = (CONTEXTS.get(), PROMPT.get()) {
        SCHED.wake(contexts.cpu(), *prompt);
    }
}

/// Leaves the present thread if another should run. With interrupts off, and nothing keeps the thread here.
pub fn leave() {
    if let Some(contexts) = CONTEXTS.get() {
        follow_up(*contexts, contexts.cpu());
    }
}
