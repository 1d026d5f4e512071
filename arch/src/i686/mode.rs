//! What of the lift is particular to 32-bit paging.

use core::arch::global_asm;

use x86::controlregs::Cr4;

global_asm!(include_str!("mode.s"), options(att_syntax));

/// The bit of CR4 that makes pml2 pml3.
pub const XPA: u64 = Cr4::CR4_ENABLE_PAE.bits() as u64;

/// Where in CR3 the root is. In pml3 it could begin at any multiple of 32 bytes; Strata's roots are frames.
pub const ROOT: u64 = 0xFFFF_F000;

/// Runs `f`. No register of this mode holds more than 32 bits.
pub fn with_bases_kept<R>(f: impl FnOnce() -> R) -> R {
    f()
}
