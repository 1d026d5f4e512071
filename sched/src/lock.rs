//! A spin lock that keeps its CPU while it is held.
//!
//! Were a thread to lose its CPU while it holds a lock, everybody who wants the lock would spin until the thread runs again: for a
//! slice each, or for ever if they are more important. So a CPU counts the locks that its thread holds, and leaves the thread only
//! while the count is 0; what was put off meanwhile happens when the last of them is given back.
//!
//! Such a lock is for threads. What an interrupt handler takes too is locked with interrupts off instead, and needs no count: then
//! nothing can come in between. The [order](crate::order) is one for all of them: [`mark`] tells of those.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::{Mutex, MutexGuard, Once};

use crate::order::{Class, Held};

/// What a lock needs to know of the CPU that it is used on.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// The number of this CPU.
    pub cpu: fn() -> usize,
    /// One lock more is held here: the thread must not leave the CPU.
    pub raise: fn(),
    /// One less. If it was the last, the CPU may be left at once.
    pub lower: fn(),
    /// How many are held here.
    pub held: fn() -> usize,
    /// Which are.
    pub classes: fn() -> &'static Held,
}

static HOOKS: Once<Hooks> = Once::new();

/// Has locks tell `hooks` from here on; before, nothing can be preempted. No lock may be held.
pub fn install(hooks: Hooks) {
    HOOKS.call_once(|| hooks);
}

/// How many locks are held on this CPU, and how often it was said with [`stay`] that it must not be left.
pub fn held() -> usize {
    HOOKS.get().map_or(0, |hooks| (hooks.held)())
}

/// The number of this CPU; 0, that of the one that booted, while there is no other.
pub fn cpu() -> usize {
    HOOKS.get().map_or(0, |hooks| (hooks.cpu)())
}

/// Notes that a lock of `class` is taken with interrupts off, until the result is dropped.
///
/// # Panics
/// If it must not be waited for behind a lock that this CPU holds.
#[inline]
#[must_use = "the lock counts as given back when this is dropped"]
pub fn mark(class: Class) -> Mark {
    let held = HOOKS.get().map(|hooks| (hooks.classes)());
    if let Some(held) = held {
        held.check(class);
    }
    Mark { held: held.filter(|held| held.add(class)), class }
}

/// Says that a lock is held here.
#[derive(Debug)]
pub struct Mark {
    held: Option<&'static Held>,
    class: Class,
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(held) = self.held {
            held.remove(self.class);
        }
    }
}

/// Says that translations are about to be flushed on all CPUs, which may have to answer first what they wait for.
///
/// # Panics
/// If this CPU holds a lock that must not be held then.
pub fn flushing() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.classes)().check_flush();
    }
}

/// Does not let this CPU leave the present thread until the guard is dropped.
#[must_use = "the thread may lose its CPU when this is dropped"]
pub fn stay() -> Stay {
    if let Some(hooks) = HOOKS.get() {
        (hooks.raise)();
    }
    Stay(PhantomData)
}

/// What keeps a thread on its CPU. It stays there itself: on another, it would lower the wrong count.
#[derive(Debug)]
pub struct Stay(PhantomData<*mut ()>);

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(hooks) = HOOKS.get() {
            (hooks.lower)();
        }
    }
}

/// Nobody, where a CPU's number and one is kept.
const NOBODY: usize = 0;

/// A value that one thread at a time may use, and keeps its CPU meanwhile.
pub struct Lock<T> {
    class: Class,
    value: Mutex<T>,
    /// The CPU that has it, and one.
    owner: AtomicUsize,
}

/// The right to use what a [`Lock`] guards, until it is dropped.
pub struct Guard<'a, T> {
    owner: &'a AtomicUsize,
    // Dropped in this order: first the lock, then the right to the CPU.
    _mark: Mark,
    value: MutexGuard<'a, T>,
    _stay: Stay,
}

impl<T> Lock<T> {
    /// A lock around `value`, with its place in the order.
    pub const fn new(class: Class, value: T) -> Self {
        Self { class, value: Mutex::new(value), owner: AtomicUsize::new(NOBODY) }
    }

    /// Waits for the value.
    ///
    /// # Panics
    /// If this CPU has it already: nobody would ever give it back. And if it has one behind which this must not be waited for.
    pub fn lock(&self) -> Guard<'_, T> {
        self.lock_unless_held_here().expect("a lock that this CPU does not hold yet")
    }

    /// The value, unless somebody has it. Whoever does not wait may ask in any order.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let stay = stay();
        Some(self.guard(self.value.try_lock()?, stay))
    }

    /// Waits for the value unless this CPU has it, which is then not in a state to be used, or who has it will not go on.
    ///
    /// # Panics
    /// If this CPU has a lock behind which this must not be waited for.
    pub fn lock_unless_held_here(&self) -> Option<Guard<'_, T>> {
        let stay = stay();
        let Some(hooks) = HOOKS.get() else { return Some(self.guard(self.value.lock(), stay)) };
        // Whoever has it stays on his CPU, and this thread on its own.
        if self.owner.load(Ordering::Relaxed) == (hooks.cpu)() + 1 {
            return None;
        }
        (hooks.classes)().check(self.class);
        Some(self.guard(self.value.lock(), stay))
    }

    /// The lock without what it tells the CPU, for those who have to break it.
    pub const fn raw(&self) -> &Mutex<T> {
        &self.value
    }

    /// Says that nobody has the value, because whoever had it was robbed of it.
    pub fn disown(&self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
    }

    fn guard<'a>(&'a self, value: MutexGuard<'a, T>, stay: Stay) -> Guard<'a, T> {
        let held = HOOKS.get().map(|hooks| {
            self.owner.store((hooks.cpu)() + 1, Ordering::Relaxed);
            (hooks.classes)()
        });
        // Of two of one class, the second having been tried only, the first says when none is held any more.
        let mark = Mark { held: held.filter(|held| held.add(self.class)), class: self.class };
        Guard { owner: &self.owner, _mark: mark, value, _stay: stay }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
