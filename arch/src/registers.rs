//! The control registers as plain numbers: crates that name their bits drop those that they do not know, and a bit
//! dropped on the way through CR4 is a feature switched off.

use core::arch::asm;

use x86::msr::{self, IA32_EFER};

use crate::cpuid;

/// CR0.
pub fn cr0() -> u64 {
    let value: usize;
    // SAFETY: reading a control register in ring 0 has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nostack, preserves_flags)) };
    value as u64
}

/// CR3: the physical address of the root, and in its low bits how the root itself is cached.
pub fn cr3() -> u64 {
    let value: usize;
    // SAFETY: as above.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nostack, preserves_flags)) };
    value as u64
}

/// CR4, or 0 on a CPU so old that it has none. Those have no CPUID either: the two came together with the
/// Pentium and the last 486.
pub fn cr4() -> u64 {
    if !cpuid::available() {
        return 0;
    }
    let value: usize;
    // SAFETY: as above, and a CPU with CPUID has the register.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nostack, preserves_flags)) };
    value as u64
}

/// IA32_EFER, or 0 on a CPU that has none.
pub fn efer() -> u64 {
    if !cpuid::has_efer() {
        return 0;
    }
    // SAFETY: CPUID offers a feature that is switched on in this register, so it exists.
    unsafe { msr::rdmsr(IA32_EFER) }
}

/// Writes CR0.
///
/// # Safety
/// Memory that is in use must be reachable as before, and the value one that the CPU takes.
pub unsafe fn set_cr0(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr0, {}", in(reg) value as usize, options(nostack, preserves_flags)) };
}

/// Writes CR3, which drops all translations that are not global.
///
/// # Safety
/// The tables below the new root must map what is in use as the old ones do.
pub unsafe fn set_cr3(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) value as usize, options(nostack, preserves_flags)) };
}

/// Writes CR4.
///
/// # Safety
/// The CPU must have the register and every feature whose bit is set, and what is in use must be reachable as before.
pub unsafe fn set_cr4(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr4, {}", in(reg) value as usize, options(nostack, preserves_flags)) };
}
