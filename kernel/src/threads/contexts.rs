//! What threads ask of the machine.

use core::ops::Range;
use core::sync::atomic::AtomicUsize;

use mm::Stack;

/// How a CPU goes from one thread to another. `boot` implements it with `arch`.
pub trait Contexts: Sync {
    /// The number of this CPU.
    fn cpu(&self) -> usize;

    /// Does `work` with interrupts off, and then leaves them as they were. Where `work` goes on with another thread, that one's
    /// are as it left them.
    fn masked(&self, work: &mut dyn FnMut());

    /// Takes interrupts from here on.
    fn unmask(&self);

    /// With interrupts off: takes them until one has come, as cheaply as the CPU can wait for it. They are off again then.
    fn wait(&self);

    /// Lays the first context of a thread on its new stack: it begins with `begin`, with interrupts off.
    fn prepare(&self, stack: &Stack, begin: extern "C" fn() -> !) -> usize;

    /// Goes on with the context `to`, and returns when somebody goes on with the one that is left in `from`. With interrupts off.
    ///
    /// The kernel passes what [`prepare`](Self::prepare) or this has made, each once, while its stack is mapped.
    fn switch(&self, from: &AtomicUsize, to: usize);

    /// Has this CPU use the address space of that number, if it does not; 0 is the kernel's own. With interrupts off.
    ///
    /// # Panics
    /// If there is no such space.
    fn enter_space(&self, number: usize);

    /// Interrupts the CPU of that number, which is another than this one, so that it looks at its queue.
    fn kick(&self, cpu: usize);

    /// Runs on this CPU the work for all CPUs that it is wanted for, if it is. The thread is pinned.
    fn take_call(&self);

    /// Whether the timer interrupts.
    fn beats(&self) -> bool;

    /// Where the stack lies that the kernel was started on.
    fn first_stack(&self) -> Range<usize>;

    /// The stack pointer.
    fn stack_pointer(&self) -> usize;

    /// Holds numbers made of `seed` in all registers for some milliseconds; returns how many were lost.
    fn hold(&self, seed: usize) -> usize;
}
