//! CPUID, for those CPUs that have it.

use x86::cpuid::{CpuId, CpuIdResult};

/// Whether the CPU has CPUID. Only 486s and what imitates them do not.
#[cfg(target_arch = "x86")]
pub fn available() -> bool {
    /// EFLAGS.ID: software can change this bit if and only if the CPU has CPUID (SDM vol. 1, 3.4.3).
    const ID: usize = 1 << 21;
    let changed: usize;
    // SAFETY: flips EFLAGS.ID, which has no effect of its own, looks whether it stayed flipped, and puts it back.
    unsafe {
        core::arch::asm!(
            "pushfd",
            "mov {changed}, [esp]",
            "xor dword ptr [esp], {id}",
            "popfd",
            "pushfd",
            "xor {changed}, [esp]",
            "xor dword ptr [esp], {id}",
            "popfd",
            changed = out(reg) changed,
            id = const ID,
        );
    }
    changed & ID != 0
}

/// Whether the CPU has CPUID: every 64-bit CPU does.
#[cfg(target_arch = "x86_64")]
pub const fn available() -> bool {
    true
}

/// Reads CPUID by name.
pub fn read() -> Option<CpuId> {
    // The library's own way to the instruction does not exist without SSE, and it would not ask first.
    fn leaf(leaf: u32, sub_leaf: u32) -> CpuIdResult {
        #[cfg(target_arch = "x86")]
        use core::arch::x86::__cpuid_count;
        #[cfg(target_arch = "x86_64")]
        use core::arch::x86_64::__cpuid_count;
        let result = __cpuid_count(leaf, sub_leaf);
        CpuIdResult { eax: result.eax, ebx: result.ebx, ecx: result.ecx, edx: result.edx }
    }
    available().then(|| CpuId::with_cpuid_fn(leaf))
}

/// Whether the CPU has IA32_EFER: it came with what is switched on in it, NX and long mode.
pub fn has_efer() -> bool {
    cfg!(target_arch = "x86_64")
        || read()
            .and_then(|cpuid| cpuid.get_extended_processor_and_feature_identifiers())
            .is_some_and(|extended| extended.has_execute_disable() || extended.has_64bit_mode())
}
