//! Several CPUs on one tree: each with caches and registers of its own, and one flush that has to reach all.

use std::sync::{Arc, Mutex};

use mm::{Memory, Mmu, VirtAddr};

use super::rng::Rng;
use super::tlb::{Answer, Tlb};

/// The CPUs that share a tree. As an [`Mmu`] they stand for a shootdown: the flush reaches one after the other, and whoever
/// has flushed already goes on working before the next one does.
pub struct Cpus {
    all: Vec<Arc<Tlb>>,
    /// A CPU that the flush does not reach: the mistake that the tests of the harness make.
    deaf: Option<usize>,
    chance: Mutex<Rng>,
    /// Where a CPU may look at any moment.
    probes: Mutex<Vec<u64>>,
    /// What was seen between the stores of a change.
    seen: Mutex<Vec<(usize, u64, Answer)>>,
}

impl Cpus {
    /// These CPUs. Where they look, and when, follows from `seed`.
    pub fn new(all: Vec<Arc<Tlb>>, deaf: Option<usize>, seed: u64) -> Self {
        let chance = Mutex::new(Rng::new(seed));
        Self { all, deaf, chance, probes: Mutex::default(), seen: Mutex::default() }
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = &Tlb> {
        self.all.iter().map(|cpu| &**cpu)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// After this call, flushes must find the allocator's books as they are now; see [`Tlb::watch_books`].
    pub fn watch_books(&self, memory: &mut Memory) {
        self.each().for_each(|cpu| cpu.watch_books(memory));
    }

    /// Addresses that are looked at between the stores of a change and between the flushes of a shootdown.
    pub fn look_at(&self, probes: &[u64]) {
        lock(&self.probes).clear();
        lock(&self.probes).extend_from_slice(probes);
    }

    /// The first CPU looks at `va`, and of the others whichever happen to: each remembers what it finds.
    pub fn look(&self, va: u64) {
        for (n, cpu) in self.each().enumerate() {
            if n == 0 || self.below(2) == 0 {
                cpu.answers(va);
            }
        }
    }

    /// One CPU looks at one address, now and then. What it found is kept for [`take_seen`](Self::take_seen).
    pub fn glance(&self) {
        if self.below(4) != 0 {
            return;
        }
        let probes = lock(&self.probes);
        if !probes.is_empty() {
            let va = probes[self.below(probes.len() as u64) as usize];
            let n = self.below(self.all.len() as u64) as usize;
            let answers = self.all[n].answers(va);
            lock(&self.seen).extend(answers.into_iter().map(|answer| (n, va, answer)));
        }
    }

    /// Which CPU saw what at which address since the last call.
    pub fn take_seen(&self) -> Vec<(usize, u64, Answer)> {
        std::mem::take(&mut lock(&self.seen))
    }

    fn below(&self, end: u64) -> u64 {
        lock(&self.chance).below(end)
    }

    fn shoot_down(&self, flush: impl Fn(&Tlb)) {
        for (n, cpu) in self.each().enumerate() {
            if self.deaf != Some(n) {
                flush(cpu);
            }
            if self.all.len() > 1 {
                self.glance();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Mmu for Cpus {
    fn flush_page(&self, va: VirtAddr) {
        self.shoot_down(|cpu| cpu.flush_page(va));
    }

    fn flush_local(&self) {
        self.shoot_down(Mmu::flush_local);
    }

    fn flush_all(&self) {
        self.shoot_down(Mmu::flush_all);
    }
}
