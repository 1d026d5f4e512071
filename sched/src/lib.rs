//! Kernel threads: who runs where and when.
//!
//! This is the policy and the bookkeeping; the CPU is touched elsewhere. A [`Scheduler`] has room for a fixed number of threads
//! and CPUs and needs no heap, so that it can be a `static`. Its rules:
//!
//! - Every CPU has a queue of threads that are ready, one list a [`Priority`], each in the order in which they became ready.
//!   The first of the most important list runs next, for a slice of [`SLICE`] ticks.
//! - **Nobody starves**: a thread that has waited for [`PATIENCE`] ticks goes before others that are more important, the one that
//!   has waited longest first, and its slice is not cut short. A CPU does so once in [`PACE`] ticks, so that four fifths of its
//!   time are left to the most important however many are waiting. Of n threads that wait on a CPU none waits for more than
//!   `PATIENCE + n * (PACE + SLICE)` ticks, whatever the others do.
//! - A thread that becomes ready and is more important than the one that runs takes its place at once.
//! - A CPU that has nothing to do takes a thread from the longest queue, but none that is pinned to its CPU.
//! - A thread sleeps until a tick of the clock, which the first CPU beats; the CPU on which it fell asleep wakes it.
//!
//! # The hand-over
//!
//! A thread that leaves its CPU is still on its stack when the scheduler has decided who comes next. If another CPU could take
//! it then, two CPUs would run on one stack. So leaving has two halves: [`yield_now`](Scheduler::yield_now),
//! [`block`](Scheduler::block) and [`exit`](Scheduler::exit) only decide and leave the thread marked as running, in no queue; and
//! the thread that was switched *to* calls [`arrive`](Scheduler::arrive), on its own stack, which puts the one that has left into
//! a queue, to sleep or to rest. Nobody ever waits for a context to be saved: before it is, there is nothing to be found.
//!
//! A wake that comes before the thread it is for has blocked is not lost: it is kept (once), and the thread's next block takes it
//! and does not wait. So a block may end without a reason, and whoever waits for something looks again.
//!
//! # Who calls
//!
//! Every method that takes the number of a CPU is called on that CPU, with interrupts off: the timer's interrupt takes the same
//! locks. At most one of them is held at a time, but for a sleeper being woken, where the clock's is held first and a queue's
//! second.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

mod call;
#[cfg(not(loom))]
pub mod lock;
#[cfg(not(loom))]
pub mod order;
mod queue;
mod report;
mod scheduler;
mod sleepers;
mod sync;
mod thread;

pub use call::{CrossCall, Decision};
#[cfg(not(loom))]
pub use lock::Lock;
#[cfg(not(loom))]
pub use order::Class;
pub use report::{Report, State};
pub use scheduler::{Blocked, Scheduler, Switch};
pub use thread::{Priority, ThreadId};

/// How long a thread runs before another of its priority does, in ticks.
pub const SLICE: u32 = 4;

/// How long a thread that is ready may be passed over, in ticks.
pub const PATIENCE: u32 = 100;

/// How often a CPU runs a thread that was passed over for too long although others are more important: once in so many ticks.
pub const PACE: u32 = 5 * SLICE;

/// The most threads that a [`Scheduler`] can have room for.
pub const MOST_THREADS: usize = 1 << thread::INDEX_BITS;

/// Whether the tick `at` has come when the clock shows `now`. The clock's 32 bits wrap after 497 days at a hundred ticks a second;
/// what lies half of that ahead or less is the future.
pub const fn has_come(at: u32, now: u32) -> bool {
    now.wrapping_sub(at) <= i32::MAX as u32
}
