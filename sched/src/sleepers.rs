//! The threads that fell asleep on a CPU, the one to be woken first at the front.

use crate::has_come;
use crate::sync::{Ordering, const_unless_loom};
use crate::thread::{NONE, Slot};

/// A list of slots by way of their `later`, which its lock guards.
pub struct Sleepers {
    first: u16,
}

impl Sleepers {
    const_unless_loom! {
        pub fn new() -> Self {
            Self { first: NONE }
        }
    }

    /// Puts a slot in, to be woken at the tick `deadline`, behind those that are to be woken then or before.
    pub fn add(&mut self, slots: &[Slot], index: u16, deadline: u32) {
        let slot = &slots[usize::from(index)];
        slot.deadline.store(deadline, Ordering::Relaxed);
        slot.alarmed.store(true, Ordering::Relaxed);
        let (mut before, mut at) = (NONE, self.first);
        while at != NONE && has_come(slots[usize::from(at)].deadline.load(Ordering::Relaxed), deadline) {
            (before, at) = (at, slots[usize::from(at)].later.load(Ordering::Relaxed));
        }
        slot.later.store(at, Ordering::Relaxed);
        self.link(slots, before, index);
    }

    /// Takes the first slot whose tick has come.
    pub fn due(&mut self, slots: &[Slot], now: u32) -> Option<u16> {
        let index = Some(self.first).filter(|first| *first != NONE)?;
        if !has_come(slots[usize::from(index)].deadline.load(Ordering::Relaxed), now) {
            return None;
        }
        self.remove(slots, index);
        Some(index)
    }

    /// Takes a slot out; nothing happens if it is not in.
    pub fn remove(&mut self, slots: &[Slot], index: u16) {
        let (mut before, mut at) = (NONE, self.first);
        while at != NONE && at != index {
            (before, at) = (at, slots[usize::from(at)].later.load(Ordering::Relaxed));
        }
        if at == index {
            let slot = &slots[usize::from(index)];
            slot.alarmed.store(false, Ordering::Relaxed);
            self.link(slots, before, slot.later.load(Ordering::Relaxed));
        }
    }

    fn link(&mut self, slots: &[Slot], before: u16, index: u16) {
        match before {
            NONE => self.first = index,
            before => slots[usize::from(before)].later.store(index, Ordering::Relaxed),
        }
    }
}
