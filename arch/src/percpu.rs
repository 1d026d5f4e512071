//! Which CPU this is.
//!
//! A CPU is known by the task that it has loaded: the register is the CPU's own, nothing that runs in ring 3 can change
//! it, and it stays through interrupts, exceptions on stacks of their own and a change of the mode. FS and GS, where
//! kernels commonly keep a pointer for it, are programs' to load, so that each way into the kernel would have to set them.

use core::arch::asm;

use crate::descriptors;

/// The most CPUs that there can be.
pub const MAX: usize = mm::MOST_CPUS;

/// The number of the CPU that this runs on, less than [`MAX`]; 0 is the one that booted. Where the code can be moved to
/// another CPU, it may be another when this returns.
#[inline]
pub fn index() -> usize {
    let task: u16;
    // SAFETY: copies the selector in the task register, which has no effect.
    unsafe { asm!("str {0:x}", out(reg) task, options(nomem, nostack, preserves_flags)) };
    descriptors::cpu_of(task)
}
