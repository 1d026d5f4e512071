//! How threads begin and end: stacks are mapped for them, and taken back.

use core::fmt;
use core::sync::atomic::Ordering;

use mm::{MapError, PAGE_SIZE, Stack};
use sched::{Class, Lock, Priority, ThreadId};

use super::{ANY, CONTEXTS, SCHED, SPACES, THREADS, block, current, follow_up, go, masked, must_not_hold, reports};
use crate::Machine;

/// Pages of a thread's stack, log2.
const STACK_ORDER: u8 = 2;

/// How large a thread's stack is, in bytes.
pub const STACK_BYTES: u64 = PAGE_SIZE << STACK_ORDER;

/// What is kept of a thread beside what the scheduler knows.
struct Kept {
    stack: Option<Stack>,
    work: Option<Work>,
}

static KEPT: Lock<[Kept; THREADS]> = Lock::new(Class::Stacks, [const { Kept { stack: None, work: None } }; THREADS]);

/// What a thread does: a function, and what it is called with.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Its name, for people.
    pub name: &'static str,
    /// How important it is.
    pub priority: Priority,
    /// The CPU that it runs on, if not on any.
    pub cpu: Option<usize>,
    /// The function. When it returns, the thread ends.
    pub run: fn(usize),
    /// What the function is called with.
    pub argument: usize,
}

/// Why a thread could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There are no threads on this machine.
    NoThreads,
    /// There are as many as there can be.
    TooMany,
    /// Its stack could not be mapped.
    NoStack(MapError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Refusal::NoThreads => f.write_str("there are no threads on this machine"),
            Refusal::TooMany => write!(f, "there are {THREADS} threads, which is as many as there can be"),
            Refusal::NoStack(error) => write!(f, "no stack: {error}"),
        }
    }
}

/// Starts a thread that runs in whatever address space is loaded: it touches no page of the user half. It may have ended when this
/// returns.
///
/// # Errors
/// Why it could not be started. Nothing has changed then.
pub fn spawn(machine: &mut Machine, work: Work) -> Result<ThreadId, Refusal> {
    spawn_in(machine, work, ANY)
}

/// Starts a thread in the address space of this number, which has to stay until it has ended; [`OWN`](super::OWN) is the kernel's.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_in(machine: &mut Machine, work: Work, space: usize) -> Result<ThreadId, Refusal> {
    let target = work.cpu.unwrap_or_default();
    if !SCHED.takes_part(target) {
        return Err(Refusal::NoThreads);
    }
    let id = make(machine, work, space)?;
    masked(|contexts, cpu| {
        SCHED.start(cpu, id);
        follow_up(contexts, cpu);
    });
    Ok(id)
}

/// Makes a thread that does not run yet.
pub(super) fn make(machine: &mut Machine, work: Work, space: usize) -> Result<ThreadId, Refusal> {
    let created = masked(|contexts, _| (contexts, SCHED.create(work.name, work.priority, work.cpu)));
    let (contexts, id) = created.ok_or(Refusal::NoThreads)?;
    let id = id.ok_or(Refusal::TooMany)?;
    let mapped = machine.map.map_stack(&mut machine.memory.lock(), STACK_ORDER);
    let stack = mapped.map_err(|error| {
        masked(|_, _| SCHED.drop_thread(id));
        Refusal::NoStack(error)
    })?;
    SCHED.context(id).store(contexts.prepare(&stack, begin), Ordering::Relaxed);
    SCHED.set_stack(id, stack.pages().start.0 as usize..stack.top().0 as usize);
    SPACES[id.index()].store(space, Ordering::Relaxed);
    KEPT.lock()[id.index()] = Kept { stack: Some(stack), work: Some(work) };
    Ok(id)
}

/// Where every thread begins: with interrupts off, on its own stack, and the one that ran before not settled.
extern "C" fn begin() -> ! {
    if let Some(contexts) = CONTEXTS.get() {
        SCHED.arrive(contexts.cpu());
        contexts.unmask();
    }
    let work = current().and_then(|id| KEPT.lock()[id.index()].work.take());
    if let Some(work) = work {
        (work.run)(work.argument);
    }
    exit()
}

/// Ends the present thread.
fn exit() -> ! {
    must_not_hold();
    masked(|contexts, cpu| {
        if let Some(switch) = SCHED.exit(cpu) {
            go(contexts, switch);
        }
    });
    panic!("a thread goes on that has ended")
}

/// Whether the thread `id` has ended.
pub fn has_ended(id: ThreadId) -> bool {
    SCHED.has_ended(id)
}

/// Waits for the end of the thread `id`, and takes back what it had.
pub fn join(machine: &mut Machine, id: ThreadId) {
    if masked(|_, cpu| SCHED.join(cpu, id)) == Some(true) {
        while !SCHED.has_ended(id) {
            block();
        }
    }
    take_back(machine, id);
}

/// Takes back what threads had that have ended, and which nobody waited for.
pub fn reap(machine: &mut Machine) {
    for report in reports().filter(|report| report.state == sched::State::Ended) {
        take_back(machine, report.id);
    }
}

fn take_back(machine: &mut Machine, id: ThreadId) {
    if !SCHED.has_ended(id) {
        return;
    }
    let stack = KEPT.lock()[id.index()].stack.take();
    if let Some(stack) = stack {
        machine.map.unmap_stack(&mut machine.memory.lock(), machine.platform.mmu(), stack);
    }
    masked(|_, _| SCHED.drop_thread(id));
}
