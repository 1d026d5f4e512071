//! The part of the CPU that remembers translations.

use mm::{Mmu, VirtAddr};
use x86::controlregs::Cr4;

use crate::{interrupts, registers};

/// This CPU, as [`mm`] knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl Mmu for Cpu {
    fn flush_page(&self, va: VirtAddr) {
        // SAFETY: INVLPG (486 and later) forgets a translation, which the CPU may do at any time.
        unsafe { x86::tlb::flush(va.0 as usize) };
    }

    fn flush_local(&self) {
        // SAFETY: the root stays the same. In pml3 the load also reads the four directory pointers again.
        unsafe { registers::set_cr3(registers::cr3()) };
    }

    fn flush_all(&self) {
        flush_all();
    }
}

/// Drops every translation, global ones too. Where there are no global ones a load of CR3 does it.
pub(crate) fn flush_all() {
    let global = Cr4::CR4_ENABLE_GLOBAL_PAGES.bits() as u64;
    let cr4 = registers::cr4();
    if cr4 & global == 0 {
        Cpu.flush_local();
        return;
    }
    // SAFETY: changing PGE drops all translations and changes nothing else (SDM vol. 3A, 4.10.4.1). An interrupt in
    // between would find the same memory, but its handler could fill the TLB again before the second write: harmless,
    // and shut out all the same, so that what is gone when this returns does not depend on it.
    interrupts::without(|| unsafe {
        registers::set_cr4(cr4 & !global);
        registers::set_cr4(cr4);
    });
}
