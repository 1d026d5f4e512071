//! The double fault's own task. Where the kernel's stack is what is wrong, an interrupt gate would push onto it once
//! more and the CPU would give up; a task gate changes stacks first (SDM vol. 3A, 6.12.2).

use x86::bits32::task::TaskStateSegment;

use super::descriptors::{KERNEL_CODE, KERNEL_DATA};
use super::frame::Frame;
use crate::{interrupts, trap};

unsafe extern "C" {
    /// Where the task begins, in `trap.s`.
    fn double_fault_task();
}

/// How large the task's stack is, in bytes.
const STACK: usize = 16 * 1024;

#[repr(C, align(4096))]
struct Stack([u8; STACK]);

static mut STACK_OF_TASK: Stack = Stack([0; STACK]);

/// The task that is always running. The CPU stores its registers here when the other one begins.
pub(super) static mut MAIN: TaskStateSegment = TaskStateSegment::new();

/// The double fault's task.
pub(super) static mut TASK: TaskStateSegment = TaskStateSegment::new();

/// Fills in what the task begins with, but for its root.
///
/// # Safety
/// The task must not be running.
pub(super) unsafe fn prepare() {
    // SAFETY: the caller's promise: nobody else, the CPU included, reads the two now.
    unsafe {
        let (main, task) = (&raw mut MAIN, &raw mut TASK);
        let (main, task) = (&mut *main, &mut *task);
        task.eip = double_fault_task as *const () as u32;
        // Interrupts off; bit 1 is always set.
        task.eflags = 2;
        task.esp = (&raw const STACK_OF_TASK).add(1) as u32;
        task.cs = KERNEL_CODE;
        (task.ds, task.es, task.ss) = (KERNEL_DATA, KERNEL_DATA, KERNEL_DATA);
        // No I/O permission map: the limit ends before it.
        task.iobp_offset = size_of::<TaskStateSegment>() as u16;
        main.iobp_offset = size_of::<TaskStateSegment>() as u16;
    }
}

/// The task. The registers of the code that failed are in its task's state; what it did cannot be gone on with.
#[unsafe(no_mangle)]
extern "C" fn double_fault_entry(error: u32) -> ! {
    let cr2: u32;
    // SAFETY: reads CR2; the main task has stopped, so its state does not change.
    let failed = unsafe {
        core::arch::asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack, preserves_flags));
        (&raw const MAIN).read()
    };
    let mut frame = Frame {
        cr2,
        edi: failed.edi,
        esi: failed.esi,
        ebp: failed.ebp,
        esp: failed.esp,
        ebx: failed.ebx,
        edx: failed.edx,
        ecx: failed.ecx,
        eax: failed.eax,
        vector: u32::from(trap::DOUBLE_FAULT),
        error,
        eip: failed.eip,
        cs: u32::from(failed.cs),
        eflags: failed.eflags,
    };
    trap::dispatch(&mut frame);
    interrupts::halt()
}
