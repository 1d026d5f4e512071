//! The part of the CPUs that remembers translations.

use mm::{Flush, Mmu, VirtAddr};
use x86::controlregs::Cr4;

use crate::cpus::shootdown::everywhere;
use crate::{KERNEL_HALF, interrupts, registers};

/// All CPUs that run, as [`mm`] knows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpus;

impl Mmu for Cpus {
    fn flush(&self, flush: &Flush) {
        everywhere(flush);
    }

    fn flush_page(&self, va: VirtAddr) {
        let flush = Flush::page(va);
        // Who idles in the kernel touches no page of a program.
        everywhere(&if va.0 < KERNEL_HALF { flush.when_awake() } else { flush });
    }

    fn flush_local(&self) {
        everywhere(&Flush::all(false));
    }

    fn flush_all(&self) {
        everywhere(&Flush::all(true));
    }
}

/// This CPU alone, for what no other can have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl Mmu for Here {
    fn flush_page(&self, va: VirtAddr) {
        flush_page(va);
    }

    fn flush_local(&self) {
        flush_local();
    }

    fn flush_all(&self) {
        flush_all();
    }
}

/// Drops this CPU's translations of a page, global ones too, and its paging-structure caches.
pub(crate) fn flush_page(va: VirtAddr) {
    // SAFETY: INVLPG (486 and later) forgets a translation, which the CPU may do at any time.
    unsafe { x86::tlb::flush(va.0 as usize) };
}

/// Drops this CPU's translations that are not global.
pub(crate) fn flush_local() {
    // SAFETY: the root stays the same. In pml3 the load also reads the four directory pointers again.
    unsafe { registers::set_cr3(registers::cr3()) };
}

/// Drops every translation of this CPU, global ones too. Where there are no global ones a load of CR3 does it.
pub(crate) fn flush_all() {
    let global = Cr4::CR4_ENABLE_GLOBAL_PAGES.bits() as u64;
    let cr4 = registers::cr4();
    if cr4 & global == 0 {
        flush_local();
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
