//! Control registers as firmware might leave them.

use core::arch::asm;
use core::arch::x86::{__cpuid, __cpuid_count};

/// CR4: five levels in long mode (SDM vol. 3A, 2.5). Outside long mode it can be set, and changes nothing.
const LA57: u32 = 1 << 12;

/// CPUID leaf 7, ECX: the CPU has CR4.LA57.
const HAS_LA57: u32 = 1 << 16;

/// Sets CR4.LA57 and returns whether CR4 has it now. A CPU without it is left as it is.
pub fn set_la57() -> bool {
    if __cpuid(0).eax < 7 || __cpuid_count(7, 0).ecx & HAS_LA57 == 0 {
        return false;
    }
    let cr4: u32;
    // SAFETY: the CPU has the bit, and paging is off: no translation depends on it.
    unsafe {
        asm!(
            "mov {0}, cr4", "or {0}, {la57}", "mov cr4, {0}", "mov {0}, cr4",
            out(reg) cr4, la57 = const LA57, options(nomem, nostack),
        );
    }
    cr4 & LA57 != 0
}
