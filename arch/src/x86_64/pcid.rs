//! Process-context identifiers (SDM vol. 3A, 4.10.1): the CPU remembers each translation with the number that CR3 had in its low bits,
//! so that those of several address spaces can stay at a time.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use x86::controlregs::Cr4;

use crate::percpu::MAX;
use crate::{cpuid, registers};

/// How many CPUs may have them.
pub const CPUS: usize = MAX;

const PCIDE: u64 = Cr4::CR4_ENABLE_PCID.bits() as u64;

/// CR3 bit 63: what is remembered with the new number stays.
const KEEP: u64 = 1 << 63;

/// The bits of CR3 that are the number.
const NUMBER: u64 = 0xFFF;

/// INVPCID's type for everything, global translations too.
const ALL_CONTEXTS: u64 = 2;

/// Models of Intel's family 6 on which, by some microcode, INVLPG spares global translations while CR4.PCIDE is set.
const INVLPG_FAILS: [u8; 6] = [0x97, 0x9A, 0xB7, 0xBA, 0xBE, 0xBF];

/// Which CPUs have INVPCID, of those with process-context identifiers.
static INVPCID: [AtomicBool; MAX] = [const { AtomicBool::new(false) }; MAX];

/// Switches them on for this CPU, whose number is `cpu`, if it has them and they can be relied on. Tells whether it did.
///
/// # Safety
/// Whoever loads CR3 from here on knows of it. Global pages are switched on if the CPU has them.
pub unsafe fn switch_on(cpu: usize) -> bool {
    let Some(cpuid) = cpuid::read() else { return false };
    let Some(basic) = cpuid.get_feature_info() else { return false };
    let intel = cpuid.get_vendor_info().is_some_and(|vendor| vendor.as_str() == "GenuineIntel");
    let fails = intel && basic.family_id() == 6 && INVLPG_FAILS.contains(&basic.model_id());
    // The bit can be set only while the number is 0 (SDM vol. 3A, 4.10.1).
    if !basic.has_pcid() || !basic.has_pge() || fails || registers::cr3() & NUMBER != 0 {
        return false;
    }
    let has_invpcid = cpuid.get_extended_feature_info().is_some_and(|structured| structured.has_invpcid());
    INVPCID[cpu].store(has_invpcid, Ordering::Relaxed);
    // SAFETY: CPUID offers the bit, long mode is active, and the number in CR3 is 0: the rest is the caller's promise.
    unsafe { registers::set_cr4(registers::cr4() | PCIDE) };
    true
}

/// Whether they are switched on, by the value of CR4.
pub const fn is_on(cr4: u64) -> bool {
    cr4 & PCIDE != 0
}

/// Whether the CPU with this number has switched them on and has INVPCID.
pub fn has_invpcid(cpu: usize) -> bool {
    INVPCID[cpu].load(Ordering::Relaxed)
}

/// What CR3 is loaded with for the root at `root` under the number `number`, where they are on. What is remembered with that number
/// stays if `keep`.
pub const fn cr3(root: u64, number: usize, keep: bool) -> u64 {
    root | number as u64 & NUMBER | if keep { KEEP } else { 0 }
}

/// Drops every translation that this CPU remembers with any number, and global ones, by INVPCID.
///
/// # Safety
/// The CPU has the instruction.
pub unsafe fn forget_all() {
    // The number, and an address; for this type both mean nothing.
    let nothing = [0u64; 2];
    // SAFETY: the caller's promise. A CPU may forget translations at any time.
    unsafe {
        asm!("invpcid {}, [{}]", in(reg) ALL_CONTEXTS, in(reg) nothing.as_ptr(), options(nostack, preserves_flags))
    };
}
