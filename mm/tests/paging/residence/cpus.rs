//! The CPUs, and how one is asked to forget.

use std::cell::RefCell;

use mm::{Change, Flush, Forget, Frame, Mmu, Residence, VirtAddr};

use crate::machine::rng::Rng;
use crate::machine::tlb::{Pcid, Tlb};

/// CPUs, of which the last has no PCIDs; and spaces beside the kernel's own.
pub const CPUS: usize = 3;
const KEEP: usize = 2;
pub const SPACES: usize = 3;

/// Pages that all spaces use, most of them below one table.
pub const PAGES: [u64; 4] = [0x6_0000, 0x6_0001, 0x6_0200, 0xA_0000];

/// What is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    None,
    /// A change does not begin a generation.
    Generation,
    /// Nobody is asked.
    Asking,
    /// A flush of the kernel half leaves alone what is kept of other spaces.
    KernelHalf,
    /// A number is used again as if nothing were kept of it.
    Reuse,
    /// A CPU that learns of a change forgets what that names, though it has missed others.
    Missed,
}

/// The CPUs.
pub struct Cpus {
    pub tlbs: Vec<Tlb>,
    pub residence: Residence<CPUS, KEEP>,
    /// The root of each number, where there is one.
    pub roots: RefCell<[Option<Frame>; SPACES + 1]>,
    pub chance: RefCell<Rng>,
    pub mistake: Mistake,
}

// SAFETY: one thread uses them; `Mmu` asks for it.
unsafe impl Sync for Cpus {}

impl Cpus {
    pub fn below(&self, end: u64) -> usize {
        self.chance.borrow_mut().below(end) as usize
    }

    pub fn enter(&self, cpu: usize, number: usize) {
        let tlb = &self.tlbs[cpu];
        self.residence.enter(cpu, number, |warm| {
            let root = self.roots.borrow()[number].expect("there is such a space");
            tlb.accept_books();
            let pcid = if self.residence.keeps(cpu) { number as Pcid } else { 0 };
            tlb.load_cr3(root.0, pcid, warm);
        });
    }

    /// Some CPUs go to some spaces.
    pub fn move_about(&self) {
        for _ in 0..self.below(3) {
            let (cpu, number) = (self.below(CPUS as u64), self.below(SPACES as u64 + 1));
            if self.roots.borrow()[number].is_some() {
                self.enter(cpu, number);
                // It looks around there at once.
                PAGES.iter().for_each(|page| drop(self.tlbs[cpu].answers(page << 12)));
            }
        }
    }

    fn forget_named(tlb: &Tlb, flush: &Flush) {
        match flush.pages() {
            Some(pages) => pages.iter().for_each(|page| tlb.flush_page(*page)),
            None if flush.has_global() => tlb.flush_all(),
            None => tlb.flush_local(),
        }
    }

    pub fn answer(&self, cpu: usize, change: Change, flush: &Flush) {
        match self.residence.forget(cpu, change) {
            Forget::Nothing => {}
            Forget::Space if self.mistake != Mistake::Missed => self.tlbs[cpu].flush_local(),
            _ => Self::forget_named(&self.tlbs[cpu], flush),
        }
    }

    /// Who is asked about changes of this space.
    pub fn concerned(&self, number: usize) -> Vec<usize> {
        let live = |cpu: &usize| self.residence.is_live(number, *cpu);
        (0..CPUS).filter(live).filter(|_| self.mistake != Mistake::Asking).collect()
    }

    /// Where its caches differ from its tables.
    pub fn check(&self, probes: &[u64]) {
        for (cpu, tlb) in self.tlbs.iter().enumerate() {
            for va in probes {
                let said = tlb.tables_say(*va);
                for answer in tlb.answers(*va) {
                    let space = self.residence.loaded(cpu);
                    assert_eq!(answer, said, "stale: CPU {cpu} in the space {space} at {va:#x}");
                }
            }
        }
    }
}

/// The kernel's tree, on all CPUs.
impl Mmu for Cpus {
    fn flush(&self, flush: &Flush) {
        for (cpu, tlb) in self.tlbs.iter().enumerate() {
            self.move_about();
            tlb.accept_books();
            Self::forget_named(tlb, flush);
            if self.mistake != Mistake::KernelHalf {
                self.residence.keep_loaded_only(cpu);
            }
        }
    }

    fn flush_page(&self, va: VirtAddr) {
        self.flush(&Flush::page(va));
    }

    fn flush_local(&self) {
        self.flush(&Flush::all(false));
    }

    fn flush_all(&self) {
        self.flush(&Flush::all(true));
    }
}

/// One space, where it is live.
pub struct In<'a>(pub &'a Cpus, pub usize);

impl Mmu for In<'_> {
    fn flush(&self, flush: &Flush) {
        let Self(cpus, number) = *self;
        cpus.move_about();
        let change = match cpus.mistake {
            Mistake::Generation => Change { number, generation: usize::MAX },
            _ => cpus.residence.change(number),
        };
        cpus.move_about();
        let concerned = cpus.concerned(number);
        for cpu in concerned {
            cpus.move_about();
            cpus.tlbs[cpu].accept_books();
            cpus.answer(cpu, change, flush);
        }
    }

    fn flush_page(&self, va: VirtAddr) {
        self.flush(&Flush::page(va));
    }

    fn flush_local(&self) {
        self.flush(&Flush::all(false));
    }

    fn flush_all(&self) {
        self.flush(&Flush::all(true));
    }
}
