//! The threads of a CPU that are ready.

use crate::sync::{Ordering, const_unless_loom};
use crate::thread::{NONE, Priority, Slot};
use crate::{PACE, PATIENCE, has_come};

/// A list of slots by way of their `next`.
#[derive(Clone, Copy)]
struct List {
    first: u16,
    last: u16,
}

/// A CPU's queue. Its lock guards the `next` of all slots in it.
pub struct Queue {
    lists: [List; Priority::COUNT],
    /// How many are in it, and how many of them may leave this CPU.
    pub length: u32,
    pub movable: u32,
    /// The tick from which on somebody may go before others again who are more important.
    lenient: u32,
}

/// What was taken from a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    pub index: u16,
    /// Whether it goes before others that are more important, because it has waited for too long.
    pub overdue: bool,
}

impl Queue {
    const_unless_loom! {
        pub fn new() -> Self {
            Self { lists: [List { first: NONE, last: NONE }; Priority::COUNT], length: 0, movable: 0, lenient: 0 }
        }
    }

    /// Puts a slot at the end of its priority's list, at the tick `now`.
    pub fn push(&mut self, slots: &[Slot], index: u16, now: u32) {
        let slot = &slots[usize::from(index)];
        slot.since.store(now, Ordering::Relaxed);
        slot.next.store(NONE, Ordering::Relaxed);
        let list = &mut self.lists[slot.priority().level()];
        if list.first == NONE {
            list.first = index;
        } else {
            slots[usize::from(list.last)].next.store(index, Ordering::Relaxed);
        }
        list.last = index;
        self.length += 1;
        self.movable += u32::from(slot.pinned().is_none());
    }

    /// Takes the slot that is next at the tick `now`: whoever has waited for too long, if it is time for that, and then the first
    /// of the highest level, if that is at least `floor`.
    pub fn pop(&mut self, slots: &[Slot], floor: usize, now: u32) -> Option<Taken> {
        let highest = (0..Priority::COUNT).rev().find(|level| self.lists[*level].first != NONE)?;
        // The first of each list has waited longest of it.
        let waited = |level: &usize| {
            let first = slots.get(usize::from(self.lists[*level].first))?;
            let since = first.since.load(Ordering::Relaxed);
            has_come(since.wrapping_add(PATIENCE), now).then(|| now.wrapping_sub(since))
        };
        // Of those that have waited equally long, the more important one.
        let overdue = (0..Priority::COUNT).filter(|level| waited(level).is_some()).max_by_key(waited);
        let overdue = overdue.filter(|_| has_come(self.lenient, now));
        let level = overdue.or(Some(highest).filter(|highest| *highest >= floor))?;
        let index = self.lists[level].first;
        self.take(slots, level, NONE, index);
        let overdue = level < highest.max(floor);
        if overdue {
            self.lenient = now.wrapping_add(PACE);
        }
        Some(Taken { index, overdue })
    }

    /// Takes the first slot that may leave this CPU, the most important list first.
    pub fn steal(&mut self, slots: &[Slot]) -> Option<u16> {
        for level in (0..Priority::COUNT).rev() {
            let (mut before, mut index) = (NONE, self.lists[level].first);
            while index != NONE {
                let slot = &slots[usize::from(index)];
                if slot.pinned().is_none() {
                    self.take(slots, level, before, index);
                    return Some(index);
                }
                (before, index) = (index, slot.next.load(Ordering::Relaxed));
            }
        }
        None
    }

    /// Takes `index` out of the list of `level`, where it stands behind `before`.
    fn take(&mut self, slots: &[Slot], level: usize, before: u16, index: u16) {
        let slot = &slots[usize::from(index)];
        let next = slot.next.load(Ordering::Relaxed);
        let list = &mut self.lists[level];
        match before {
            NONE => list.first = next,
            before => slots[usize::from(before)].next.store(next, Ordering::Relaxed),
        }
        if list.last == index {
            list.last = before;
        }
        self.length -= 1;
        self.movable -= u32::from(slot.pinned().is_none());
    }
}
