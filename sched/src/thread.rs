//! What is kept of a thread.

use crate::sync::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Class, Mutex, Ordering};
use crate::sync::{const_unless_loom, each};

/// How many bits of a [`ThreadId`] are its slot's number.
pub const INDEX_BITS: u32 = 11;

/// No slot, no CPU.
pub const NONE: u16 = u16::MAX;

/// How important a thread is. A thread runs only when none that is more important wants to, or when it has waited for too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Priority {
    /// Work for when there is no other.
    Low,
    /// What has no reason to be anything else.
    Normal,
    /// What somebody waits for.
    High,
}

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// All of them, the least important first.
    pub const ALL: [Self; Self::COUNT] = [Self::Low, Self::Normal, Self::High];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    pub(crate) const fn level(self) -> usize {
        self as usize
    }

    pub(crate) fn of_level(level: u8) -> Self {
        Self::ALL[usize::from(level).min(Self::COUNT - 1)]
    }
}

/// A thread, never to be mistaken for another: a slot's number, and how often the slot was given out (modulo 2^21).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadId(u32);

impl ThreadId {
    pub(crate) const fn new(index: u16, generation: u32) -> Self {
        Self(generation << INDEX_BITS | index as u32)
    }

    /// The number of the thread's slot, which is what people call it by. Another thread has it when this one is gone.
    pub const fn index(self) -> usize {
        (self.0 & ((1 << INDEX_BITS) - 1)) as usize
    }

    pub(crate) const fn generation(self) -> u32 {
        self.0 >> INDEX_BITS
    }
}

/// The life of a thread, as a number in its word.
pub mod life {
    /// No thread has the slot.
    pub const FREE: u32 = 0;
    /// It is being made, and has never run.
    pub const NEW: u32 = 1;
    /// It is in a queue.
    pub const READY: u32 = 2;
    /// A CPU runs it, or has not left its stack yet.
    pub const RUNNING: u32 = 3;
    /// It waits to be woken, and no CPU is on its stack.
    pub const BLOCKED: u32 = 4;
    /// It has ended, and no CPU is on its stack.
    pub const ENDED: u32 = 5;
}

/// A thread's word: its life, whether a wake is kept for it, and its generation, which all change in one step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    const LIFE: u32 = 7;
    const WAKE: u32 = 1 << 3;
    const GENERATION: u32 = 4;

    pub const fn life(self) -> u32 {
        self.0 & Self::LIFE
    }

    pub const fn has_wake(self) -> bool {
        self.0 & Self::WAKE != 0
    }

    pub const fn generation(self) -> u32 {
        self.0 >> Self::GENERATION
    }

    pub const fn with_life(self, life: u32) -> Self {
        Self(self.0 & !Self::LIFE | life)
    }

    pub const fn with_wake(self, wake: bool) -> Self {
        Self(if wake { self.0 | Self::WAKE } else { self.0 & !Self::WAKE })
    }

    /// A new thread's, in the slot whose word this was.
    pub const fn next_generation(self) -> Self {
        // Never 0, so that no thread's number is 0: that is nobody.
        let next = (self.generation() + 1) & ((1 << (32 - INDEX_BITS)) - 1);
        Self((if next == 0 { 1 } else { next }) << Self::GENERATION).with_life(life::NEW)
    }
}

/// A place for a thread.
///
/// Who may write what: `word` everybody, by compare and exchange; `next`, whoever holds the lock of the list that the thread is
/// in; `later` and `deadline`, whoever holds the lock of the sleepers among whom it is; everything else its CPU, or whoever makes
/// it.
pub struct Slot {
    pub word: Word32,
    /// The next in the queue, or the next free slot.
    pub next: AtomicU16,
    /// The next of the sleepers, and when it is to be woken.
    pub later: AtomicU16,
    pub deadline: AtomicU32,
    /// Whether it is among the sleepers.
    pub alarmed: AtomicBool,
    /// The tick at which it became ready.
    pub since: AtomicU32,
    pub priority: AtomicU8,
    /// The CPU that it must not leave, if any, and the one on which it ran last or is to run.
    pub pinned: AtomicU16,
    pub home: AtomicU16,
    /// The ticks that found it running.
    pub used: AtomicU32,
    /// Who waits for its end: 0 for nobody, [`Slot::OVER`] if it is too late for that.
    pub joiner: AtomicU32,
    /// What it goes on with, which is the CPU's business, and where its stack lies: its start and its end.
    pub context: AtomicUsize,
    pub stack: [AtomicUsize; 2],
    pub name: Mutex<&'static str>,
}

impl Slot {
    /// The mark that a thread leaves that has ended. No thread's number: the generation would be 0.
    pub const OVER: u32 = 1;

    const_unless_loom! {
        pub fn new() -> Self {
            Self {
                word: Word32::new(),
                next: AtomicU16::new(NONE),
                later: AtomicU16::new(NONE),
                deadline: AtomicU32::new(0),
                alarmed: AtomicBool::new(false),
                since: AtomicU32::new(0),
                priority: AtomicU8::new(0),
                pinned: AtomicU16::new(NONE),
                home: AtomicU16::new(NONE),
                used: AtomicU32::new(0),
                joiner: AtomicU32::new(0),
                context: AtomicUsize::new(0),
                stack: each!(AtomicUsize::new(0)),
                name: Mutex::new(Class::Name, ""),
            }
        }
    }

    /// The thread that has the slot.
    pub fn id(&self, index: u16) -> ThreadId {
        ThreadId::new(index, self.word.get().generation())
    }

    pub fn priority(&self) -> Priority {
        Priority::of_level(self.priority.load(Ordering::Relaxed))
    }

    /// The one CPU that it may run on, if it may not run on all.
    pub fn pinned(&self) -> Option<usize> {
        Some(self.pinned.load(Ordering::Relaxed)).filter(|cpu| *cpu != NONE).map(usize::from)
    }

    /// Has the end of the thread `whom` wake it.
    pub fn join(&self, whom: ThreadId) -> Result<(), u32> {
        self.joiner.compare_exchange(0, whom.0, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }

    /// Whoever waited for the end, which has come.
    pub fn end_join(&self) -> Option<ThreadId> {
        Some(self.joiner.swap(Self::OVER, Ordering::AcqRel)).filter(|joiner| *joiner > Self::OVER).map(ThreadId)
    }
}

/// Where a [`Word`] is kept.
pub struct Word32(AtomicU32);

impl Word32 {
    const_unless_loom! {
        pub fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    pub fn get(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    /// Makes of the word what `change` says, unless it says nothing; returns what was there before. What was written before this
    /// is seen by whoever sees the new word.
    pub fn change(&self, mut change: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let Some(new) = change(Word(word)) else { return Err(Word(word)) };
            match self.0.compare_exchange(word, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(old) => return Ok(Word(old)),
                Err(seen) => word = seen,
            }
        }
    }
}
