//! Whether this CPU may leave the thread that it runs, and who decides which is next.
//!
//! Each CPU counts for how many reasons it must not: the locks that its thread holds ([`sched::lock`]). While the count is not 0
//! the timer's tick only makes a note that another thread should run; whoever lowers the count to 0 follows it up. An interrupt
//! handler runs with interrupts off, and the CPU is left on its way out, when what it took is given back.

use core::sync::atomic::{AtomicU32, Ordering};

use sched::lock;
use sched::order::Held;
use spin::Once;

use crate::{interrupts, percpu};

/// Who is told of what interrupts say, always with interrupts off.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// The timer of this CPU has interrupted.
    pub tick: fn(),
    /// Something was typed.
    pub input: fn(),
    /// This CPU may be left, if another thread should run.
    pub leave: fn(),
    /// This CPU is wanted for a cross-call. Returns `false` if it has no thread for that.
    pub call: fn() -> bool,
}

static HOOKS: Once<Hooks> = Once::new();

/// What a CPU counts, in a cache line of its own: each is written by its CPU alone, with interrupts off.
#[repr(align(64))]
struct Counts {
    stay: AtomicU32,
    /// The classes of the locks among the reasons, and of those that are taken with interrupts off.
    classes: Held,
}

static COUNTS: [Counts; percpu::MAX] =
    [const { Counts { stay: AtomicU32::new(0), classes: Held::none() } }; percpu::MAX];

/// Has locks keep their CPU from here on.
pub fn prepare() {
    lock::install(lock::Hooks { cpu: percpu::index, raise, lower, held, classes });
}

/// Has `hooks` told from here on.
pub fn install(hooks: Hooks) {
    HOOKS.call_once(|| hooks);
}

fn raise() {
    interrupts::without(|| {
        let count = &COUNTS[percpu::index()].stay;
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    });
}

fn lower() {
    let on = interrupts::enabled();
    interrupts::without(|| {
        let count = &COUNTS[percpu::index()].stay;
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        // Where they were off somebody relies on staying; an interrupt handler leaves on its way out.
        if on {
            leave();
        }
    });
}

/// How many reasons there are to stay.
fn held() -> usize {
    interrupts::without(|| COUNTS[percpu::index()].stay.load(Ordering::Relaxed) as usize)
}

/// Which locks are held here. To be asked where this CPU cannot be left.
fn classes() -> &'static Held {
    &COUNTS[percpu::index()].classes
}

/// Leaves this CPU if that is due and allowed. With interrupts off.
pub(crate) fn leave() {
    if COUNTS[percpu::index()].stay.load(Ordering::Relaxed) == 0
        && let Some(hooks) = HOOKS.get()
    {
        (hooks.leave)();
    }
}

/// Tells of a tick of this CPU's timer. With interrupts off.
pub(crate) fn tick() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.tick)();
    }
}

/// Tells that something was typed. With interrupts off.
pub(crate) fn input() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.input)();
    }
}

/// Wakes the thread of this CPU that serves cross-calls; `false` if there is none. With interrupts off.
pub(crate) fn call() -> bool {
    HOOKS.get().is_some_and(|hooks| (hooks.call)())
}
