//! Which address space each CPU has loaded, and which it keeps warm.
//!
//! A space is *live* where it is loaded: what becomes stale in its user half is forgotten there before anybody goes on. Where it was
//! loaded, and translations are remembered under process-context identifiers (PCID; SDM vol. 3A, 4.10.1), it is *warm*: the CPU still
//! has translations of it, which it cannot use before it loads the space again. So nobody is asked there. Each space has a generation,
//! which a change advances, and each CPU knows up to which one it has forgotten what was stale: if that is the present one when the CPU
//! comes back, all that it has is good, and it loads the root without a flush.
//!
//! A CPU notes that a space is live on it, then reads the generation, and then loads the root. Who has changed a table advances the
//! generation, and then looks where the space is live. All four are sequentially consistent, so a CPU that comes at that very moment
//! either is found, and asked when it has come, or finds the new generation, and drops what it had.
//!
//! The kernel half is the same in all spaces, but it is remembered once for each: INVLPG drops global translations whatever their PCID,
//! of all others, and of the tables on the way to them, only those of the current one (SDM vol. 3A, 4.10.4.1). A CPU that forgets
//! something of the kernel half therefore [keeps no space](Residence::keep_loaded_only) but the one that it has loaded.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::AddressSpace;

/// The number of the kernel's own space, which every CPU has loaded at first.
const KERNEL: usize = 0;

/// No generation: the CPU keeps nothing that is good.
const NEVER: usize = 0;

/// Of `CPUS` CPUs; those numbered below `KEEP` may keep spaces.
pub struct Residence<const CPUS: usize, const KEEP: usize> {
    generations: [AtomicUsize; AddressSpace::MOST],
    live: [[AtomicBool; CPUS]; AddressSpace::MOST],
    /// Written by the CPU alone.
    loaded: [AtomicUsize; CPUS],
    kept: [Kept; KEEP],
}

/// What a CPU keeps. Written by it alone.
#[repr(align(64))]
struct Kept {
    on: AtomicBool,
    /// Up to which generation it has forgotten what was stale.
    forgotten: [AtomicUsize; AddressSpace::MOST],
}

/// Something in the user half of a space that has become stale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The space's number.
    pub number: usize,
    /// The generation that it began.
    pub generation: usize,
}

/// What a CPU has to forget of a change that it is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forget {
    /// Nothing: it has the space not loaded, or has forgotten that already.
    Nothing,
    /// What is stale.
    Named,
    /// All of the space that it has loaded: other changes came first, of which it does not know yet.
    Space,
}

impl<const CPUS: usize, const KEEP: usize> Residence<CPUS, KEEP> {
    /// Every CPU has the kernel's own space loaded, and none keeps any.
    pub const fn new() -> Self {
        const { assert!(KEEP <= CPUS) };
        Self {
            generations: [const { AtomicUsize::new(NEVER + 1) }; AddressSpace::MOST],
            live: [const { [const { AtomicBool::new(false) }; CPUS] }; AddressSpace::MOST],
            loaded: [const { AtomicUsize::new(KERNEL) }; CPUS],
            kept: [const {
                Kept { on: AtomicBool::new(false), forgotten: [const { AtomicUsize::new(NEVER) }; AddressSpace::MOST] }
            }; KEEP],
        }
    }

    /// Has `cpu` keep spaces from here on. Called by it. `false` if it is none that may.
    pub fn keep(&self, cpu: usize) -> bool {
        self.kept.get(cpu).map(|kept| kept.on.store(true, Ordering::SeqCst)).is_some()
    }

    /// Whether `cpu` keeps spaces.
    pub fn keeps(&self, cpu: usize) -> bool {
        self.kept(cpu).is_some()
    }

    fn kept(&self, cpu: usize) -> Option<&Kept> {
        self.kept.get(cpu).filter(|kept| kept.on.load(Ordering::Relaxed))
    }

    /// The number of the space that `cpu` has loaded.
    pub fn loaded(&self, cpu: usize) -> usize {
        self.loaded[cpu].load(Ordering::Relaxed)
    }

    /// Whether the space is live on `cpu`.
    pub fn is_live(&self, number: usize, cpu: usize) -> bool {
        self.live[number][cpu].load(Ordering::SeqCst)
    }

    /// Has `cpu` go to another space than it has loaded: `load` loads it, and is told whether it is warm. If it is not, nothing of it
    /// that the CPU remembers may be left behind `load`. Called by the CPU, with interrupts off. Tells what `load` was told; `None`
    /// if the space was loaded already.
    pub fn enter(&self, cpu: usize, number: usize, load: impl FnOnce(bool)) -> Option<bool> {
        let old = self.loaded(cpu);
        if old == number {
            return None;
        }
        // In this order: see above.
        self.live[number][cpu].store(true, Ordering::SeqCst);
        let warm = self.kept(cpu).is_some_and(|kept| {
            let generation = self.generations[number].load(Ordering::SeqCst);
            kept.forgotten[number].swap(generation, Ordering::Relaxed) == generation
        });
        load(warm);
        self.loaded[cpu].store(number, Ordering::Relaxed);
        self.live[old][cpu].store(false, Ordering::SeqCst);
        Some(warm)
    }

    /// Something in the space's user half has become stale: its tables are changed. Those CPUs on which it is live *after* this have
    /// to be [asked](Self::forget), the caller's own too.
    pub fn change(&self, number: usize) -> Change {
        Change { number, generation: self.generations[number].fetch_add(1, Ordering::SeqCst) + 1 }
    }

    /// What `cpu` has to forget of `change`. Called by it, with interrupts off until it has.
    pub fn forget(&self, cpu: usize, change: Change) -> Forget {
        if self.loaded(cpu) != change.number {
            return Forget::Nothing;
        }
        let Some(kept) = self.kept(cpu) else { return Forget::Named };
        let forgotten = &kept.forgotten[change.number];
        let before = forgotten.load(Ordering::Relaxed);
        if before >= change.generation {
            Forget::Nothing
        } else if before + 1 == change.generation {
            forgotten.store(change.generation, Ordering::Relaxed);
            Forget::Named
        } else {
            // Whatever has begun a generation up to this one is in the tables.
            forgotten.store(self.generations[change.number].load(Ordering::SeqCst), Ordering::Relaxed);
            Forget::Space
        }
    }

    /// Has `cpu` keep nothing but the space that it has loaded. Called by it, with interrupts off since before it forgot what it
    /// forgets of the kernel half.
    pub fn keep_loaded_only(&self, cpu: usize) {
        let Some(kept) = self.kept(cpu) else { return };
        let loaded = self.loaded(cpu);
        for (_, forgotten) in kept.forgotten.iter().enumerate().filter(|(number, _)| *number != loaded) {
            forgotten.store(NEVER, Ordering::Relaxed);
        }
    }
}

impl<const CPUS: usize, const KEEP: usize> Default for Residence<CPUS, KEEP> {
    fn default() -> Self {
        Self::new()
    }
}
