//! The live mode, and the lift out of it.
//!
//! ```text
//!           base                       XPA
//!   i686    pml2   <-- CR4.PAE  -->    pml3
//!   x86_64  pml4   <-- CR4.LA57 -->    pml5
//! ```
//!
//! The CPU lets neither bit change under running page tables, so the lift turns paging off for a moment. That moment
//! is spent on one page of the kernel's image, [`trampoline`], which both trees map at its physical address; no other
//! memory is used, least of all below 1 MiB. `i686/mode.s` and `x86_64/mode.s` tell the rest.

use core::arch::asm;

use mm::{Frame, PhysAddr};
use x86::controlregs::Cr4;

use crate::machine::mode::{ROOT, XPA, with_bases_kept};
use crate::{KERNEL_OFFSET, descriptors, interrupts, nmi, percpu, registers, tlb, trap};

/// CR4 bits that are off while paging is: PCIDE must be, and with PGE off no global translation survives.
const OFF_MEANWHILE: u64 = (Cr4::CR4_ENABLE_PCID.bits() | Cr4::CR4_ENABLE_GLOBAL_PAGES.bits()) as u64;

/// The root goes through a 32-bit register.
const ROOT_END: u64 = 1 << 32;

/// The bit of `mode_missed` for a machine check; the other is for an NMI.
const MISSED_MACHINE_CHECK: u8 = 1 << 1;

// The stacks' numbers in `x86_64/mode.s`, which count from 1.
const _: () = assert!(trap::OWN_STACK[0] == 2 && trap::OWN_STACK[2] == 18);

unsafe extern "C" {
    /// The page on which paging is off.
    static mode_page: u8;
    /// What came on that page and was only noted.
    static mut mode_missed: u8;
    fn mode_switch(root: u32, cr4: u32) -> u32;
    fn mode_switch_checked(root: u32, cr4: u32) -> u32;
}

/// How memory is translated at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Live {
    /// The root of the live tree.
    pub root: Frame,
    /// Whether the mode is the extended one.
    pub xpa: bool,
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4; 0 where there is none.
    pub cr4: u64,
    /// IA32_EFER; 0 where there is none.
    pub efer: u64,
}

/// Looks how memory is translated.
pub fn current() -> Live {
    let (cr3, cr4) = (registers::cr3(), registers::cr4());
    Live {
        root: PhysAddr(cr3 & ROOT).frame(),
        xpa: cr4 & XPA != 0,
        cr0: registers::cr0(),
        cr3,
        cr4,
        efer: registers::efer(),
    }
}

/// The page that both trees must map at its physical address, to execute and not to write, where the mode changes.
/// It lies in the kernel's image and holds nothing else.
pub fn trampoline() -> Frame {
    PhysAddr((&raw const mode_page as u64).wrapping_sub(KERNEL_OFFSET)).frame()
}

/// Runs on the tables below `root` from here on, in the extended mode if `xpa`, else in the base mode. Where that
/// mode is live already it is a load of CR3 and a flush of everything.
///
/// Interrupts are off meanwhile, and the chipset holds NMIs back. An NMI from elsewhere (another CPU, a counter in this one) or a
/// machine check on the page where paging is off is noted there, and raised by [`raise_missed`].
///
/// # Panics
/// Where the mode changes, if `root` is not below 4 GiB: the CPU would run on half of the address.
///
/// # Safety
/// - [`descriptors::load`] and [`cpu::prepare`](crate::cpu::prepare) have run, and the CPU offers the mode.
/// - The tables are ones of that mode, and map all that is in use from here on (the image, the stack) where the old
///   ones do. The stack lies where both do, and is not reached through the aperture, which moves.
/// - Where the mode changes, both trees map [`trampoline`] at its physical address, and no stale translation of that
///   address is left in the TLB.
/// - No other CPU is doing the same at this moment.
pub unsafe fn enter(root: Frame, xpa: bool) {
    // SAFETY: the caller's promise.
    unsafe { change(root, xpa, mode_switch) };
}

/// [`enter`], with a pattern in every register that a function has to preserve, all bits of it. Tells whether each
/// came through. (Where no mode changes nothing is tried, and all have.)
///
/// # Panics
/// As [`enter`].
///
/// # Safety
/// As [`enter`].
pub unsafe fn enter_checked(root: Frame, xpa: bool) -> bool {
    // SAFETY: the caller's promise.
    unsafe { change(root, xpa, mode_switch_checked) == 0 }
}

/// Raises the NMI or the machine check that came while the mode changed. Call it after [`enter`], once what the report of it
/// reads is where the new mode has it.
pub fn raise_missed() {
    // SAFETY: the two handlers are all that write it, and the mode does not change on this CPU now.
    match unsafe { (&raw const mode_missed).read_volatile() } {
        0 => {}
        // SAFETY: what the CPU would have done by itself. Neither handler returns.
        missed if missed & MISSED_MACHINE_CHECK != 0 => unsafe { asm!("int 18") },
        // SAFETY: likewise.
        _ => unsafe { asm!("int 2") },
    }
}

/// Returns how many registers were lost.
///
/// # Safety
/// As [`enter`].
unsafe fn change(root: Frame, xpa: bool, switch: unsafe extern "C" fn(u32, u32) -> u32) -> u32 {
    let address = root.start().0;
    let cpu = percpu::index();
    if (registers::cr4() & XPA != 0) == xpa {
        // SAFETY: the tables are fit for the live mode: the caller's promise.
        unsafe { registers::set_cr3(address) };
        descriptors::follow(root);
        tlb::flush_all();
        return 0;
    }
    assert!(address < ROOT_END, "a root at {address:#x}, which the mode switch cannot reach");
    interrupts::without(|| {
        nmi::without(|| {
            // SAFETY: `switch` needs what the caller promises. CR4 differs by the bit that the mode is named for, and
            // for a moment by the two that are put back. Nothing interrupts before the IDT is back with the rest.
            with_bases_kept(|| unsafe {
                let cr4 = registers::cr4() & !XPA | if xpa { XPA } else { 0 };
                registers::set_cr4(registers::cr4() & !OFF_MEANWHILE);
                let lost = switch(address as u32, (cr4 & !OFF_MEANWHILE) as u32);
                descriptors::follow(root);
                descriptors::reload(cpu);
                registers::set_cr4(cr4);
                lost
            })
        })
    })
}
