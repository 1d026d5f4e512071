//! Threads, as the kernel asks for them: [`kernel::threads::Contexts`] by way of `arch`.

use core::ops::Range;
use core::sync::atomic::AtomicUsize;

use arch::{context, cpu, cpus, interrupts, percpu, preempt, timer};
use kernel::threads::{self, Contexts};
use mm::Stack;

use crate::image;

const _: () = assert!(threads::CPUS == percpu::MAX);

/// This PC's CPUs.
pub struct PcContexts;

/// The ones there are.
pub static CONTEXTS: PcContexts = PcContexts;

/// Has the kernel told of what interrupts say.
pub fn install() {
    preempt::install(preempt::Hooks {
        tick: threads::tick,
        input: threads::input,
        leave: threads::leave,
        call: threads::call,
    });
}

impl Contexts for PcContexts {
    fn cpu(&self) -> usize {
        percpu::index()
    }

    fn masked(&self, work: &mut dyn FnMut()) {
        interrupts::without(work);
    }

    fn unmask(&self) {
        // SAFETY: the IDT is loaded, and a thread begins with nothing locked.
        unsafe { interrupts::enable() };
    }

    fn wait(&self) {
        // SAFETY: as above: only a thread that holds no lock waits.
        unsafe { if percpu::index() > 0 || timer::beats() { cpus::wait() } else { interrupts::take_one() } }
    }

    fn prepare(&self, stack: &Stack, begin: extern "C" fn() -> !) -> usize {
        // SAFETY: the stack is mapped, and whoever has it lends it to one thread.
        unsafe { context::prepare(stack.top().0 as usize, begin) }
    }

    fn switch(&self, from: &AtomicUsize, to: usize) {
        // The thread that is left may be the one in which this CPU waits.
        cpus::awake();
        // SAFETY: the kernel's promise: the scheduler hands a context out once, after the thread has left its stack, and the
        // stack is unmapped only when the thread has ended.
        unsafe { context::switch(from.as_ptr(), to) };
    }

    fn enter_space(&self, number: usize) {
        cpus::space::enter(number);
    }

    fn kick(&self, cpu: usize) {
        cpus::kick(cpu);
    }

    fn take_call(&self) {
        cpus::work::take();
    }

    fn beats(&self) -> bool {
        timer::beats()
    }

    fn first_stack(&self) -> Range<usize> {
        image::stack()
    }

    fn stack_pointer(&self) -> usize {
        cpu::frame_pointer()
    }

    fn hold(&self, seed: usize) -> usize {
        context::hold(seed)
    }
}
