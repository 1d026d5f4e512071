//! What makes a CPU forget: MOV to CR3, INVLPG, INVPCID, and changes of CR4 (SDM vol. 3A, 4.10.4.1).
//!
//! Each may drop more than it must. These never do.

use mm::{Mmu, VirtAddr};

use super::mmu::{Leaf, Mode};
use super::tlb::{Caches, PAGE_SIZES, Pcid, Tlb};

/// The four kinds of INVPCID (SDM vol. 3A, 4.10.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invpcid {
    /// 0: the translation of one address under one PCID, and what leads to it.
    Address(Pcid, u64),
    /// 1: everything of one PCID.
    Single(Pcid),
    /// 2: everything, global translations too.
    All,
    /// 3: everything but global translations.
    AllButGlobal,
}

impl Tlb {
    /// MOV to CR3: the root at frame number `root` under `pcid`. `keep` is bit 63, with which nothing is dropped; it
    /// and a PCID other than 0 are there only where CR4.PCIDE is on.
    pub fn load_cr3(&self, root: u64, pcid: Pcid, keep: bool) {
        self.with(|caches| {
            assert!(caches.pcide || pcid == 0 && !keep, "#GP: bit 63 or a PCID in CR3, and CR4.PCIDE is off");
            assert!(pcid < 0x1000, "a PCID has 12 bits");
            (caches.cr3, caches.pcid) = (root << 12, pcid);
            if !keep {
                self.begin_flush(caches);
                caches.drop_pages(|tag, leaf| tag == pcid && !leaf.global);
                caches.drop_directories(|tag| tag == pcid);
            }
            self.load_pdptes(caches);
        });
    }

    /// MOV to CR4 that changes PCIDE. Turned off, it takes everything with it.
    pub fn set_pcide(&self, on: bool) {
        self.with(|caches| {
            let long = matches!(self.cpu.mode, Mode::Pml4 | Mode::Pml5);
            assert!(!on || long && caches.pcid == 0, "#GP: CR4.PCIDE outside long mode, or with a PCID in CR3");
            if caches.pcide && !on {
                self.begin_flush(caches);
                caches.drop_everything();
            }
            (caches.pcide, caches.pcid) = (on, if on { caches.pcid } else { 0 });
        });
    }

    /// INVPCID. It may drop more than it must; this one does not.
    pub fn invpcid(&self, what: Invpcid) {
        self.with(|caches| {
            self.begin_flush(caches);
            match what {
                Invpcid::Address(pcid, va) => {
                    assert!(self.cpu.mode.is_canonical(va), "#GP: INVPCID of {va:#x}");
                    caches.drop_pages(|tag, leaf| {
                        tag == pcid && !leaf.global && va.wrapping_sub(leaf.start) < leaf.bytes
                    });
                    let mode = self.cpu.mode;
                    caches.directories.iter_mut().for_each(|((level, number), versions)| {
                        versions.retain(|(tag, _)| *tag != pcid || va >> mode.shift(*level) != *number);
                    });
                }
                Invpcid::Single(pcid) => {
                    caches.drop_pages(|tag, leaf| tag == pcid && !leaf.global);
                    caches.drop_directories(|tag| tag == pcid);
                }
                Invpcid::All => caches.drop_everything(),
                Invpcid::AllButGlobal => {
                    caches.drop_pages(|_, leaf| !leaf.global);
                    caches.directories.clear();
                }
            }
        });
    }

    fn begin_flush(&self, caches: &mut Caches) {
        caches.flushes += 1;
        assert_eq!(caches.books, (self.books)(), "a table was given back before the flush");
    }
}

impl Caches {
    fn drop_pages(&mut self, stale: impl Fn(Pcid, &Leaf) -> bool) {
        self.pages.values_mut().for_each(|versions| versions.retain(|(tag, leaf)| !stale(*tag, leaf)));
        self.pages.retain(|_, versions| !versions.is_empty());
    }

    fn drop_directories(&mut self, stale: impl Fn(Pcid) -> bool) {
        self.directories.values_mut().for_each(|versions| versions.retain(|(tag, _)| !stale(*tag)));
        self.directories.retain(|_, versions| !versions.is_empty());
    }

    fn drop_everything(&mut self) {
        self.pages.clear();
        self.directories.clear();
    }
}

impl Mmu for Tlb {
    /// INVLPG: the page under the current PCID, global or not, a global one of any PCID, and all paging-structure caches of
    /// the current PCID.
    fn flush_page(&self, va: VirtAddr) {
        assert!(self.cpu.mode.is_canonical(va.0), "INVLPG of {va}");
        self.with(|caches| {
            self.begin_flush(caches);
            let pcid = caches.pcid;
            for bytes in PAGE_SIZES {
                if let Some(versions) = caches.pages.get_mut(&(bytes, va.0 & !(bytes - 1))) {
                    versions.retain(|(tag, leaf)| *tag != pcid && !leaf.global);
                }
            }
            caches.drop_directories(|tag| tag == pcid);
        });
    }

    /// A load of CR3 with what it holds, bit 63 clear.
    fn flush_local(&self) {
        let (cr3, pcid) = self.with(|caches| (caches.cr3, caches.pcid));
        self.load_cr3(cr3 >> 12, pcid, false);
    }

    /// CR4.PGE off and on: whatever there is, under whatever PCID.
    fn flush_all(&self) {
        self.with(|caches| {
            self.begin_flush(caches);
            caches.drop_everything();
            self.load_pdptes(caches);
        });
    }
}
