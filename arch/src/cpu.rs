//! What this CPU can do, and switching it on.

use mm::Features;
use spin::Once;
use x86::controlregs::{Cr0, Cr4};
use x86::msr::{self, IA32_EFER, IA32_PAT};

use crate::cpus::space;
use crate::{cpuid, interrupts, registers, tlb};

/// IA32_EFER.NXE: bit 63 of an entry means no-execute and is not reserved (SDM vol. 3A, 4.1.4).
const EFER_NXE: u64 = 1 << 11;

/// What CPUID says about the CPU, for people.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// `GenuineIntel`; zeros without CPUID.
    pub vendor: [u8; 12],
    /// The processor's name, padded with zeros; all zeros where CPUID has none.
    pub brand: [u8; 48],
    /// The family, with its extension.
    pub family: u32,
    /// The model, with its extension.
    pub model: u32,
    /// The stepping.
    pub stepping: u32,
    /// Whether there is CPUID at all.
    pub cpuid: bool,
    /// The features that concern paging, by the names the manuals give their bits, and whether the CPU has them.
    pub features: [(&'static str, bool); 18],
}

/// The time-stamp counter; `None` on a CPU without one. It is read while instructions before it may still be under way.
pub fn cycles() -> Option<u64> {
    static HAS_TSC: Once<bool> = Once::new();
    let has = *HAS_TSC.call_once(|| describe().features.contains(&("tsc", true)));
    // SAFETY: CPUID offers the instruction, and CR4.TSD, which would keep it from ring 3, means nothing in ring 0.
    has.then(|| unsafe { x86::time::rdtsc() })
}

/// The features that concern paging. Without CPUID there are none, and physical addresses have 32 bits.
pub fn features() -> Features {
    let Some(cpuid) = cpuid::read() else { return Features { phys_bits: 32, ..Features::default() } };
    let basic = cpuid.get_feature_info();
    let structured = cpuid.get_extended_feature_info();
    let extended = cpuid.get_extended_processor_and_feature_identifiers();
    let basic = basic.as_ref();
    let pae = basic.is_some_and(|f| f.has_pae());
    let pse36 = basic.is_some_and(|f| f.has_pse36());
    // An emulator may have the leaf and leave it empty.
    let reported = cpuid.get_processor_capacity_feature_info().map(|c| u32::from(c.physical_address_bits()));
    let assumed = if pae || pse36 { 36 } else { 32 };
    Features {
        pse: basic.is_some_and(|f| f.has_pse()),
        pae,
        pge: basic.is_some_and(|f| f.has_pge()),
        pat: basic.is_some_and(|f| f.has_pat() && f.has_msr()),
        nx: extended.as_ref().is_some_and(|f| f.has_execute_disable()),
        page_1g: extended.as_ref().is_some_and(|f| f.has_1gib_pages()),
        la57: structured.as_ref().is_some_and(|f| f.has_la57()),
        pse36,
        phys_bits: reported.filter(|bits| (32..=52).contains(bits)).unwrap_or(assumed),
    }
}

/// What CPUID says about the CPU, for people. Asked once: in a virtual machine every CPUID is a trip outside.
pub fn describe() -> &'static Description {
    static DESCRIPTION: Once<Description> = Once::new();
    DESCRIPTION.call_once(look)
}

fn look() -> Description {
    let cpuid = cpuid::read();
    let cpuid = cpuid.as_ref();
    let basic = cpuid.and_then(|c| c.get_feature_info());
    let structured = cpuid.and_then(|c| c.get_extended_feature_info());
    let extended = cpuid.and_then(|c| c.get_extended_processor_and_feature_identifiers());
    let (basic, structured, extended) = (basic.as_ref(), structured.as_ref(), extended.as_ref());
    let mut vendor = [0; 12];
    if let Some(name) = cpuid.and_then(|c| c.get_vendor_info()) {
        copy(&mut vendor, name.as_str());
    }
    let mut brand = [0; 48];
    if let Some(name) = cpuid.and_then(|c| c.get_processor_brand_string()) {
        copy(&mut brand, name.as_str());
    }
    let features = features();
    Description {
        vendor,
        brand,
        family: basic.map_or(4, |f| u32::from(f.family_id())),
        model: basic.map_or(0, |f| u32::from(f.model_id())),
        stepping: basic.map_or(0, |f| u32::from(f.stepping_id())),
        cpuid: cpuid.is_some(),
        features: [
            ("tsc", basic.is_some_and(|f| f.has_tsc())),
            ("msr", basic.is_some_and(|f| f.has_msr())),
            ("mtrr", basic.is_some_and(|f| f.has_mtrr())),
            ("pse", features.pse),
            ("pse36", basic.is_some_and(|f| f.has_pse36())),
            ("pae", features.pae),
            ("pge", features.pge),
            ("pat", features.pat),
            ("nx", features.nx),
            ("lm", extended.is_some_and(|f| f.has_64bit_mode())),
            ("page1gb", features.page_1g),
            ("la57", features.la57),
            ("pcid", basic.is_some_and(|f| f.has_pcid())),
            ("invpcid", structured.is_some_and(|f| f.has_invpcid())),
            ("smep", structured.is_some_and(|f| f.has_smep())),
            ("smap", structured.is_some_and(|f| f.has_smap())),
            ("umip", structured.is_some_and(|f| f.has_umip())),
            ("pku", structured.is_some_and(|f| f.has_pku())),
        ],
    }
}

/// Copies as much of `name` as there is room for.
fn copy(room: &mut [u8], name: &str) {
    for (byte, letter) in room.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
}

/// Switches on what the tables built for `features` rely on: CR0.WP, 4 MiB pages, NX, the [PAT](mm::PAT), global
/// pages; and machine checks, SMEP, SMAP, UMIP and process-context identifiers where the CPU has them. CR4 is written only on a CPU
/// with CPUID, and gets no bit that CPUID does not offer.
///
/// # Safety
/// `features` must come from [`features`]. The live tables must be fit for it: no bit in them that would change its
/// meaning (PS, G, NX, PAT) is set, and the kernel's pages are not open to ring 3.
pub unsafe fn prepare(features: &Features) {
    let structured = cpuid::read().and_then(|cpuid| cpuid.get_extended_feature_info());
    let mut wanted = Cr4::empty();
    // In pml3 the bit is ignored, and in long mode (SDM vol. 3A, 4.1.4): so it can stay where the mode is switched.
    wanted.set(Cr4::CR4_ENABLE_PSE, features.pse && cfg!(target_arch = "x86"));
    // Without it a machine check is no exception: the CPU shuts down and the machine resets without a word.
    let basic = cpuid::read().and_then(|cpuid| cpuid.get_feature_info());
    wanted.set(Cr4::CR4_ENABLE_MACHINE_CHECK, basic.is_some_and(|basic| basic.has_mce()));
    if let Some(structured) = structured {
        wanted.set(Cr4::CR4_ENABLE_SMEP, structured.has_smep());
        wanted.set(Cr4::CR4_ENABLE_SMAP, structured.has_smap());
        wanted.set(Cr4::CR4_ENABLE_UMIP, structured.has_umip());
    }
    // SAFETY: the registers and bits exist, as CPUID says; that the live tables can bear it is the caller's promise.
    unsafe {
        registers::set_cr0(registers::cr0() | Cr0::CR0_WRITE_PROTECT.bits() as u64);
        if features.nx {
            msr::wrmsr(IA32_EFER, registers::efer() | EFER_NXE);
        }
        if features.pat {
            set_pat();
        }
        if cpuid::available() {
            // What the loader left of PGE is switched off first: that drops its global translations, which a load
            // of CR3 would leave behind.
            let global = Cr4::CR4_ENABLE_GLOBAL_PAGES.bits() as u64;
            let cr4 = registers::cr4() & !global | wanted.bits() as u64;
            registers::set_cr4(cr4);
            if features.pge {
                registers::set_cr4(cr4 | global);
            }
            space::keep_warm();
        }
    }
}

/// Programs the PAT in the order that the manual lays down (SDM vol. 3A, 12.12.4 and 12.11.8): no cache line may be
/// held under one memory type and written back under another.
///
/// # Safety
/// The CPU must have the PAT, and no live entry may select one of the entries that change.
unsafe fn set_pat() {
    /// CR0.CD: no new cache lines.
    const CD: u64 = 1 << 30;
    /// CR0.NW: must be clear while CD is set for WBINVD to write back.
    const NW: u64 = 1 << 29;
    // SAFETY: the caches are written back while nothing new enters them, so memory stays as it is for everyone.
    interrupts::without(|| unsafe {
        if msr::rdmsr(IA32_PAT) == mm::PAT {
            return;
        }
        let cr0 = registers::cr0();
        registers::set_cr0((cr0 | CD) & !NW);
        core::arch::asm!("wbinvd", options(nostack, preserves_flags));
        tlb::flush_all();
        msr::wrmsr(IA32_PAT, mm::PAT);
        core::arch::asm!("wbinvd", options(nostack, preserves_flags));
        tlb::flush_all();
        registers::set_cr0(cr0);
    });
}

/// The frame pointer of the function that this is inlined into.
#[inline(always)]
pub fn frame_pointer() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe {
        #[cfg(target_arch = "x86")]
        core::arch::asm!("mov {}, ebp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}
