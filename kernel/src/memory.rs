//! Physical memory on every CPU.
//!
//! Each CPU has a [`Memory`] of its own, with its own free frames at hand, behind a lock that others seldom want:
//! [`Memories::lock`] takes the one of the CPU that it is called on, and keeps the thread there. What all of them have in common lies behind shorter locks inside
//! (`mm::Pool`). A CPU for which there was no room uses the first one's.
//!
//! Others want it for three reasons:
//!
//! - to count free frames, or look for one, in every cache ([`Peers::each`]);
//! - for what is in its cache, when a request cannot be met otherwise (the same);
//! - to have nobody use memory while the mode changes ([`Memories::alone`]).
//!
//! The first two hold a memory already, so they only *try* to take another one, for a limited time: two CPUs that want each other's
//! do not wait for ever. Whoever asks for frames has given its own back before, and says so, and is not waited for at all. The
//! third shuts a gate through which everybody has to go, and then waits until each of the others has been given back: who holds
//! one waits for nobody else's.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use mm::{Memory, Peers};
use sched::lock::{self, Guard};
use sched::{Class, Lock};
use spin::Once;

use crate::threads::CPUS;

/// How often it is tried to take the memory of another CPU: some milliseconds, in which any change to the tables is over.
const TRIES: u32 = 1 << 18;

/// What a CPU that holds its own memory wants of the others: nothing, to look, or frames, and has none itself.
const NOTHING: u8 = 0;
const LOOKS: u8 = 1;
const DRAINED: u8 = 2;

/// The memory of one CPU.
pub struct CpuMemory {
    memory: Lock<Memory>,
    wants: AtomicU8,
}

impl CpuMemory {
    /// What a CPU uses from now on.
    pub const fn new(memory: Memory) -> Self {
        Self { memory: Lock::new(Class::Memory, memory), wants: AtomicU8::new(NOTHING) }
    }
}

/// The memories of all CPUs.
pub struct Memories {
    cpus: [Once<&'static CpuMemory>; CPUS],
    /// One more than the highest number of a CPU that has one: the audit goes through all of them for every table.
    end: AtomicUsize,
    /// Whether somebody is [alone](Self::alone).
    alone: AtomicBool,
}

impl Default for Memories {
    fn default() -> Self {
        Self::new()
    }
}

impl Memories {
    /// None yet.
    pub const fn new() -> Self {
        Self { cpus: [const { Once::new() }; CPUS], end: AtomicUsize::new(0), alone: AtomicBool::new(false) }
    }

    /// Gives the CPU that booted its memory, by which it reaches those of others from now on.
    pub fn install(&'static self, first: &'static CpuMemory) {
        self.add(0, first);
        if let Some(pool) = self.lock().pool() {
            pool.set_peers(self);
        }
    }

    /// Gives the CPU number `cpu` a memory of its own, from [`Memory::another`]. It keeps the one that it has, if it has.
    pub fn add(&self, cpu: usize, memory: &'static CpuMemory) {
        if let Some(own) = self.cpus.get(cpu) {
            own.call_once(|| memory);
            self.end.fetch_max(cpu + 1, Ordering::Release);
        }
    }

    /// How many CPUs have one of their own.
    pub fn count(&self) -> usize {
        self.all().count()
    }

    /// Takes the memory of the CPU that this runs on, and keeps the thread there.
    ///
    /// # Panics
    /// If the CPU has it already, or there is none yet.
    pub fn lock(&self) -> Guard<'_, Memory> {
        self.lock_unless_held_here().expect("memory that this CPU does not hold yet")
    }

    /// The same, unless this CPU has it already.
    pub fn lock_unless_held_here(&self) -> Option<Guard<'_, Memory>> {
        loop {
            {
                let _stay = lock::stay();
                let memory = self.own().memory.lock_unless_held_here()?;
                // Whoever is alone has held this lock since it shut the gate, so that is seen here.
                if !self.alone.load(Ordering::Acquire) {
                    return Some(memory);
                }
            }
            while self.alone.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        }
    }

    /// Zeroes frames for tables to come, if this is the CPU that runs the prompt, whose thread makes most of them. To be called by a
    /// CPU that has nothing else to do. Only there: whoever counts free frames goes from memory to memory, and what another CPU
    /// moved meanwhile would be counted twice, or not at all.
    pub fn zero_ahead(&self) {
        while lock::cpu() == 0 && self.lock_unless_held_here().is_some_and(|mut memory| memory.zero_ahead()) {}
    }

    /// Takes the memory of this CPU, and has no other CPU use its own until it is given back: the mode may change.
    ///
    /// # Panics
    /// If the CPU has it already.
    pub fn alone(&self) -> Alone<'_> {
        let memory = loop {
            let memory = self.lock();
            if !self.alone.swap(true, Ordering::AcqRel) {
                break memory;
            }
        };
        let alone = Alone { memories: self, memory };
        // Interrupts are on, so what others ask of this CPU before they give theirs back is answered.
        alone.each_other(|_| ());
        alone
    }

    /// The lock of the memory of the CPU that this runs on, for a report of a CPU that does not go on.
    pub fn own_lock(&self) -> &Lock<Memory> {
        &self.own().memory
    }

    /// That of this CPU: the thread must stay here.
    fn own(&self) -> &'static CpuMemory {
        let own = self.cpus.get(lock::cpu()).and_then(Once::get).or_else(|| self.cpus[0].get());
        own.expect("the first CPU has a memory before anybody asks")
    }

    fn all(&self) -> impl Iterator<Item = &'static CpuMemory> {
        self.cpus[..self.end.load(Ordering::Acquire)].iter().filter_map(|cpu| cpu.get().copied())
    }

    /// Those of the other CPUs.
    fn others(&self) -> impl Iterator<Item = &'static CpuMemory> {
        let own = self.own();
        self.all().filter(move |cpu| !core::ptr::eq(*cpu, own))
    }
}

impl Peers for Memories {
    fn each(&self, drained: bool, visit: &mut dyn FnMut(&mut Memory)) {
        // Whoever asks holds the memory of this CPU, so the thread stays here.
        let own = self.own();
        own.wants.store(if drained { DRAINED } else { LOOKS }, Ordering::SeqCst);
        for other in self.others() {
            for _ in 0..TRIES {
                if let Some(mut memory) = other.memory.try_lock() {
                    visit(&mut memory);
                    break;
                }
                match other.wants.load(Ordering::SeqCst) {
                    DRAINED => break,
                    LOOKS if !drained => break,
                    _ => core::hint::spin_loop(),
                }
            }
        }
        own.wants.store(NOTHING, Ordering::SeqCst);
    }
}

/// The memory of this CPU, while no other uses its own.
pub struct Alone<'a> {
    memories: &'a Memories,
    memory: Guard<'a, Memory>,
}

impl Alone<'_> {
    /// Shows `visit` the memory of every other CPU.
    pub fn each_other(&self, mut visit: impl FnMut(&mut Memory)) {
        for other in self.memories.others() {
            // Given back soon, if it is in use at all: nobody who holds one waits for this one's.
            let mut memory = loop {
                match other.memory.try_lock() {
                    Some(memory) => break memory,
                    None => core::hint::spin_loop(),
                }
            };
            visit(&mut memory);
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.memories.alone.store(false, Ordering::Release);
    }
}

impl Deref for Alone<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for Alone<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}
