//! The part of the CPUs that remembers translations.

use mm::{Flush, Mmu, VirtAddr};
use x86::controlregs::Cr4;

use crate::cpus::shootdown::{everywhere, here};
use crate::cpus::space;
use crate::machine::pcid;
use crate::{KERNEL_HALF, interrupts, percpu, registers};

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
    fn flush(&self, flush: &Flush) {
        here(flush);
    }

    fn flush_page(&self, va: VirtAddr) {
        here(&Flush::page(va));
    }

    fn flush_local(&self) {
        here(&Flush::all(false));
    }

    fn flush_all(&self) {
        here(&Flush::all(true));
    }
}

/// Drops this CPU's translations of a page, global ones too, and its paging-structure caches. Those that it keeps of other address
/// spaces than it has loaded stay, but for global ones.
pub(crate) fn flush_page(va: VirtAddr) {
    // SAFETY: INVLPG (486 and later) forgets a translation, which the CPU may do at any time.
    unsafe { x86::tlb::flush(va.0 as usize) };
}

/// Drops this CPU's translations that are not global, but for those that it keeps of other address spaces than it has loaded.
pub(crate) fn flush_local() {
    // SAFETY: the root stays the same, and so does the process-context identifier where there is one; bit 63 is read as 0. In pml3
    // the load also reads the four directory pointers again.
    unsafe { registers::set_cr3(registers::cr3()) };
}

/// Drops every translation of this CPU, global ones and those of all address spaces too. Where there are neither a load of CR3 does it.
pub(crate) fn flush_all() {
    let global = Cr4::CR4_ENABLE_GLOBAL_PAGES.bits() as u64;
    let cr4 = registers::cr4();
    if cr4 & global == 0 {
        flush_local();
        return;
    }
    // An interrupt in between would find the same memory, but its handler could fill the TLB again before the second write, or go to
    // another space: harmless, and shut out all the same, so that what is gone when this returns does not depend on it.
    interrupts::without(|| {
        if pcid::is_on(cr4) {
            space::keep_loaded_only();
        }
        if pcid::is_on(cr4) && pcid::has_invpcid(percpu::index()) {
            // SAFETY: it has the instruction.
            unsafe { pcid::forget_all() };
            return;
        }
        // SAFETY: changing PGE drops all translations, under whatever process-context identifier, and changes nothing else (SDM
        // vol. 3A, 4.10.4.1).
        unsafe {
            registers::set_cr4(cr4 & !global);
            registers::set_cr4(cr4);
        }
    });
}
