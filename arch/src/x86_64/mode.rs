//! What of the lift is particular to long mode.

use core::arch::global_asm;

use x86::controlregs::Cr4;
use x86::msr::{IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GSBASE, rdmsr, wrmsr};

global_asm!(include_str!("mode.s"), options(att_syntax));

/// The bit of CR4 that makes pml4 pml5.
pub const XPA: u64 = Cr4::CR4_ENABLE_LA57.bits() as u64;

/// Where in CR3 the root is: bits 12 to 51.
pub const ROOT: u64 = 0x000F_FFFF_FFFF_F000;

/// Registers that hold more than 32 bits and are not on the stack.
const BASES: [u32; 3] = [IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GSBASE];

/// Runs `f`, which leaves long mode in between, and gives the segments' bases their values back.
pub fn with_bases_kept<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: every CPU with long mode has the three, and they get the values that they had.
    unsafe {
        let kept = BASES.map(|base| rdmsr(base));
        let result = f();
        for (base, value) in BASES.into_iter().zip(kept) {
            wrmsr(base, value);
        }
        result
    }
}
