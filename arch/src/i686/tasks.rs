//! The tasks of the exceptions that have a stack of their own ([`OWN_STACK`]). Where the kernel's stack is what is wrong, an
//! interrupt gate would push onto it once more and the CPU would give up; a task gate changes stacks first (SDM vol. 3A,
//! 6.12.2). Along with the stack it loads CR3, so each task has to know the live root.

use core::cell::UnsafeCell;

use mm::Frame as PhysFrame;
use x86::bits32::task::TaskStateSegment;

use super::descriptors::{self, KERNEL_CODE, KERNEL_DATA};
use super::frame::Frame;
use crate::trap::{self, OWN_STACK};
use crate::{interrupts, percpu};

unsafe extern "C" {
    /// Where a task begins, in `trap.s`: the one that the CPU pushes an error code for, and the others.
    fn task_with_error();
    fn task_without_error();
}

/// How many tasks there are: the one that runs all the time, which comes first, and one for each such exception.
pub(super) const COUNT: usize = 1 + OWN_STACK.len();

/// How large such a task's stack is, in bytes.
const STACK: usize = 16 * 1024;

#[repr(C, align(4096))]
struct Stack([u8; STACK]);

static mut STACKS: [Stack; OWN_STACK.len()] = [const { Stack([0; STACK]) }; OWN_STACK.len()];

/// Where the first CPU's stacks for the exceptions end.
pub(super) fn first_stacks() -> [usize; OWN_STACK.len()] {
    core::array::from_fn(|at| (&raw const STACKS).cast::<Stack>().wrapping_add(at + 1).addr())
}

/// A CPU's tasks. It stores the registers of the task that it leaves in that one's state.
pub(super) struct Tasks([UnsafeCell<TaskStateSegment>; COUNT]);

impl Tasks {
    pub(super) const fn empty() -> Self {
        Self([const { UnsafeCell::new(TaskStateSegment::new()) }; COUNT])
    }

    /// Where the state of the task number `index` lies.
    ///
    /// # Panics
    /// If there is no such task.
    pub(super) const fn state(&self, index: usize) -> *mut TaskStateSegment {
        self.0[index].get()
    }

    /// Where the stack pointer lies with which the kernel goes on when ring 3 is interrupted.
    pub(super) const fn kernel_stack(&self) -> *mut usize {
        // SAFETY: only the place is asked for, in a state that is always there; nothing is read or written.
        unsafe { (&raw mut (*self.state(0)).esp0).cast() }
    }

    /// Fills in what the tasks begin with, but for their root: stacks that end at `stacks`.
    pub(super) fn prepare(&mut self, stacks: [usize; OWN_STACK.len()]) {
        // No I/O permission map: the limit ends before it.
        let no_map = size_of::<TaskStateSegment>() as u16;
        let main = self.0[0].get_mut();
        main.iobp_offset = no_map;
        // With the stack pointer beside it: where the kernel goes on when ring 3 is interrupted.
        main.ss0 = KERNEL_DATA;
        for (at, vector) in OWN_STACK.into_iter().enumerate() {
            let task = self.0[at + 1].get_mut();
            let start = if vector == trap::DOUBLE_FAULT { task_with_error } else { task_without_error };
            task.eip = start as *const () as u32;
            // What trap.s hands on.
            task.eax = u32::from(vector);
            // Interrupts off; bit 1 is always set.
            task.eflags = 2;
            // Four words are on the stack when Rust is called, these two among them, so that it is aligned to 16.
            task.esp = stacks[at] as u32 - 8;
            task.cs = KERNEL_CODE;
            (task.ds, task.es, task.ss) = (KERNEL_DATA, KERNEL_DATA, KERNEL_DATA);
            task.iobp_offset = no_map;
        }
    }

    /// Says that `root` is the live root: a task that begins loads it along with its registers, and must find the kernel
    /// there.
    pub(super) fn follow(&self, root: PhysFrame) {
        for index in 1..COUNT {
            // SAFETY: the CPU reads the field when the task begins and not otherwise; a 32-bit store is whole.
            unsafe { (&raw mut (*self.state(index)).cr3).write_unaligned(root.start().0 as u32) };
        }
    }
}

/// Which task `vector` has, if any.
pub(super) fn of(vector: usize) -> Option<usize> {
    OWN_STACK.iter().position(|own| usize::from(*own) == vector).map(|at| at + 1)
}

/// The tasks. The registers of the code that was interrupted are in the state of its task, to which the one that runs
/// now points back; that code is not gone on with.
#[unsafe(no_mangle)]
extern "C" fn task_entry(vector: u32, error: u32) -> ! {
    let cr2: u32;
    let tasks = descriptors::tasks_of(percpu::index());
    // SAFETY: reads CR2; the task that was interrupted has stopped, so its state does not change.
    let interrupted = unsafe {
        core::arch::asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack, preserves_flags));
        let back = of(vector as usize).map_or(0, |own| (*tasks.state(own)).link);
        tasks.state(descriptors::task_number(back)).read()
    };
    let mut frame = Frame {
        cr2,
        edi: interrupted.edi,
        esi: interrupted.esi,
        ebp: interrupted.ebp,
        esp: interrupted.esp,
        ebx: interrupted.ebx,
        edx: interrupted.edx,
        ecx: interrupted.ecx,
        eax: interrupted.eax,
        vector,
        error,
        eip: interrupted.eip,
        cs: u32::from(interrupted.cs),
        eflags: interrupted.eflags,
    };
    trap::dispatch(&mut frame);
    interrupts::halt()
}
