//! Cross-calls: one CPU has work for others, and all of them do it or none does.
//!
//! The initiator [wants](CrossCall::want) each target. A target [takes](CrossCall::take) the call and waits for the decision. When
//! all have taken it, the initiator [goes](CrossCall::go): every target runs the work and [finishes](CrossCall::finish). If one does
//! not come in time, the initiator [cancels](CrossCall::cancel): who has taken the call leaves without running it, and the others
//! never take it. Either way the initiator returns only when the call [is over](CrossCall::is_over), so the work may lie on its
//! stack.
//!
//! Nothing here waits or interrupts a CPU. How long to wait, and what to do meanwhile, the caller decides.

use crate::sync::{AtomicU8, AtomicU32, AtomicUsize, Ordering, const_unless_loom, each};

/// What a target has to do with the call.
mod target {
    /// Nothing.
    pub const NONE: u8 = 0;
    /// It is wanted and has not come yet.
    pub const WANTED: u8 = 1;
    /// It has come, and waits for the decision or runs the work.
    pub const TAKEN: u8 = 2;
}

/// The decision.
mod stage {
    pub const OPEN: u8 = 0;
    pub const GO: u8 = 1;
    pub const CANCELLED: u8 = 2;
}

/// What the initiator has decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The target runs the work.
    Go,
    /// The target leaves.
    Cancelled,
}

/// One call at a time, among `CPUS` CPUs.
pub struct CrossCall<const CPUS: usize> {
    /// The initiator's number and one; 0 if there is no call.
    initiator: AtomicUsize,
    targets: [AtomicU8; CPUS],
    stage: AtomicU8,
    /// How many targets have not come yet, and how many have not finished.
    missing: AtomicU32,
    left: AtomicU32,
}

impl<const CPUS: usize> Default for CrossCall<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CPUS: usize> CrossCall<CPUS> {
    const_unless_loom! {
        /// No call is under way.
        pub fn new() -> Self {
            Self {
                initiator: AtomicUsize::new(0),
                targets: each!(AtomicU8::new(target::NONE)),
                stage: AtomicU8::new(stage::OPEN),
                missing: AtomicU32::new(0),
                left: AtomicU32::new(0),
            }
        }
    }

    /// Begins a call by `cpu`, without targets yet.
    ///
    /// # Errors
    /// The number of the CPU whose call is under way.
    pub fn begin(&self, cpu: usize) -> Result<(), usize> {
        let begun = self.initiator.compare_exchange(0, cpu + 1, Ordering::AcqRel, Ordering::Acquire);
        begun.map_err(|other| other - 1)?;
        self.stage.store(stage::OPEN, Ordering::Relaxed);
        Ok(())
    }

    /// Adds the target `cpu`. What the initiator has written before, the target sees when it takes the call.
    pub fn want(&self, cpu: usize) {
        self.missing.fetch_add(1, Ordering::Relaxed);
        self.left.fetch_add(1, Ordering::Relaxed);
        self.targets[cpu].store(target::WANTED, Ordering::Release);
    }

    /// Whether `cpu` is wanted and has not come yet.
    pub fn is_wanted(&self, cpu: usize) -> bool {
        self.targets[cpu].load(Ordering::Acquire) == target::WANTED
    }

    /// Whether `cpu` has come and not finished yet.
    pub fn is_taken(&self, cpu: usize) -> bool {
        self.targets[cpu].load(Ordering::Acquire) == target::TAKEN
    }

    /// Takes the call on the target `cpu`. Returns `false` if that is not wanted: there is nothing to finish then.
    pub fn take(&self, cpu: usize) -> bool {
        let target = &self.targets[cpu];
        let taken = target.compare_exchange(target::WANTED, target::TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if taken {
            self.missing.fetch_sub(1, Ordering::Release);
        }
        taken
    }

    /// Whether every target has come.
    pub fn all_came(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 0
    }

    /// Has the targets run the work. All have come.
    pub fn go(&self) {
        self.stage.store(stage::GO, Ordering::Release);
    }

    /// Has no target run the work. Those that have come leave, those that have not are not wanted any more.
    pub fn cancel(&self) {
        for target in &self.targets {
            let withdrawn = target.compare_exchange(target::WANTED, target::NONE, Ordering::AcqRel, Ordering::Relaxed);
            if withdrawn.is_ok() {
                self.missing.fetch_sub(1, Ordering::Relaxed);
                self.left.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.stage.store(stage::CANCELLED, Ordering::Release);
    }

    /// What was decided, for a target that has come; `None` until it is.
    pub fn decision(&self) -> Option<Decision> {
        match self.stage.load(Ordering::Acquire) {
            stage::GO => Some(Decision::Go),
            stage::CANCELLED => Some(Decision::Cancelled),
            _ => None,
        }
    }

    /// Says that the target `cpu`, which has come, is done with the work or leaves.
    pub fn finish(&self, cpu: usize) {
        self.targets[cpu].store(target::NONE, Ordering::Relaxed);
        self.left.fetch_sub(1, Ordering::Release);
    }

    /// Whether every target has finished. What they have written, the initiator sees then.
    pub fn is_over(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Ends the call, which is over, so that another can begin.
    pub fn end(&self) {
        self.initiator.store(0, Ordering::Release);
    }
}
