//! What can be seen of a thread from outside.

use core::ops::Range;

use crate::{Priority, ThreadId};

/// What a thread does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs.
    Running,
    /// It waits for a CPU.
    Ready,
    /// It waits until it is woken.
    Blocked,
    /// It waits until it is woken, or for a tick.
    Sleeping,
    /// It has ended, and somebody has to take note of it.
    Ended,
}

impl State {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::Sleeping => "sleeping",
            Self::Ended => "ended",
        }
    }
}

/// A thread, as it was a moment ago.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which it is.
    pub id: ThreadId,
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub state: State,
    /// How important it is.
    pub priority: Priority,
    /// The CPU on which it runs, or ran last, or is to run first.
    pub cpu: usize,
    /// Whether it must not run on another.
    pub pinned: bool,
    /// Whether it is what a CPU runs when there is nothing else.
    pub idle: bool,
    /// The ticks that found it running.
    pub used: u32,
    /// The addresses of its stack; none if it is not known.
    pub stack: Range<usize>,
    /// The context with which it goes on; what it was last saved as, if it runs.
    pub context: usize,
}
