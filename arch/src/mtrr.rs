//! Memory type ranges (SDM vol. 3A, 12.11): what the firmware has laid down for physical memory, which must be the same on every
//! CPU.

use core::arch::asm;

use spin::Once;
use x86::msr::{
    IA32_MTRR_DEF_TYPE, IA32_MTRR_FIX4K_C0000, IA32_MTRR_FIX16K_80000, IA32_MTRR_FIX64K_00000, IA32_MTRR_PHYSBASE0,
    IA32_MTRRCAP, rdmsr, wrmsr,
};

use crate::{cpuid, interrupts, registers, tlb};

/// Variable ranges that there is room for; CPUs have 8 to 10.
const MOST: usize = 32;

/// In IA32_MTRRCAP: how many variable ranges there are; there are fixed ones.
const COUNT: u64 = 0xFF;
const FIXED: u64 = 1 << 8;

/// In IA32_MTRR_DEF_TYPE: ranges are in use.
const ENABLED: u64 = 1 << 11;

/// CR0.CD and NW.
const CD: u64 = 1 << 30;
const NW: u64 = 1 << 29;

/// All ranges of a CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ranges {
    default: u64,
    fixed: [u64; 11],
    variable: [(u64, u64); MOST],
}

/// The numbers of the registers for the fixed ranges.
fn fixed() -> impl Iterator<Item = u32> {
    let sixteens = IA32_MTRR_FIX16K_80000..IA32_MTRR_FIX16K_80000 + 2;
    [IA32_MTRR_FIX64K_00000].into_iter().chain(sixteens).chain(IA32_MTRR_FIX4K_C0000..IA32_MTRR_FIX4K_C0000 + 8)
}

/// How many variable ranges this CPU has, and whether it has fixed ones; nothing without MTRRs.
fn capabilities() -> Option<(u32, bool)> {
    let basic = cpuid::read()?.get_feature_info()?;
    if !basic.has_mtrr() || !basic.has_msr() {
        return None;
    }
    // SAFETY: CPUID offers MTRRs.
    let said = unsafe { rdmsr(IA32_MTRRCAP) };
    Some(((said & COUNT).min(MOST as u64) as u32, said & FIXED != 0))
}

fn read() -> Option<Ranges> {
    let (count, has_fixed) = capabilities()?;
    let mut ranges = Ranges { default: 0, fixed: [0; 11], variable: [(0, 0); MOST] };
    // SAFETY: the registers exist, says the CPU.
    unsafe {
        ranges.default = rdmsr(IA32_MTRR_DEF_TYPE);
        if has_fixed {
            ranges.fixed.iter_mut().zip(fixed()).for_each(|(value, number)| *value = rdmsr(number));
        }
        for (value, number) in ranges.variable.iter_mut().zip(0..count) {
            *value = (rdmsr(IA32_MTRR_PHYSBASE0 + 2 * number), rdmsr(IA32_MTRR_PHYSBASE0 + 2 * number + 1));
        }
    }
    Some(ranges)
}

static FIRST: Once<Option<Ranges>> = Once::new();

/// Keeps this CPU's ranges as what every CPU should have.
pub(crate) fn keep() {
    FIRST.call_once(read);
}

/// Gives this CPU the ranges that were kept, if it has others.
pub(crate) fn adopt() {
    let Some(wanted) = FIRST.get().copied().flatten() else { return };
    let Some((count, has_fixed)) = capabilities() else { return };
    if read() == Some(wanted) {
        return;
    }
    // In the order of SDM vol. 3A, 12.11.8: nothing is cached while the types change.
    // SAFETY: the registers exist; the values are those that the first CPU works with, so memory stays as it is.
    interrupts::without(|| unsafe {
        let cr0 = registers::cr0();
        registers::set_cr0((cr0 | CD) & !NW);
        asm!("wbinvd", options(nostack, preserves_flags));
        tlb::flush_all();
        wrmsr(IA32_MTRR_DEF_TYPE, wanted.default & !ENABLED);
        if has_fixed {
            wanted.fixed.iter().zip(fixed()).for_each(|(value, number)| wrmsr(number, *value));
        }
        for ((base, mask), number) in wanted.variable.iter().zip(0..count) {
            wrmsr(IA32_MTRR_PHYSBASE0 + 2 * number, *base);
            wrmsr(IA32_MTRR_PHYSBASE0 + 2 * number + 1, *mask);
        }
        wrmsr(IA32_MTRR_DEF_TYPE, wanted.default);
        asm!("wbinvd", options(nostack, preserves_flags));
        tlb::flush_all();
        registers::set_cr0(cr0);
    });
}
