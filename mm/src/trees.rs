//! A list of page-table subtrees that is kept in their topmost tables.

use crate::{Frame, Level, Memory};

/// Subtrees that have been taken out of a tree as they were, linked through the topmost table of each.
///
/// A CPU that has not flushed may still walk them, and whoever gives them back reads the entries to find the tables
/// below. So the links stand where no entry has anything: in bits 9 to 11, which no CPU looks at, of every eighth byte's
/// word.
pub(crate) struct Trees {
    first: Link,
    tables: u64,
}

impl Trees {
    /// No subtree.
    pub const fn new() -> Self {
        Self { first: Link::END, tables: 0 }
    }

    /// How many tables are in all subtrees together.
    pub const fn tables(&self) -> u64 {
        self.tables
    }

    /// Adds the subtree of `tables` tables whose topmost is the table of `level` in `frame`.
    pub fn push(&mut self, memory: &Memory, frame: Frame, level: Level, tables: u64) {
        // SAFETY: the subtree has just been unlinked from a tree that the caller changes exclusively.
        unsafe { self.first.store(memory.window.at(frame).cast()) };
        self.first = Link::to(frame, level);
        self.tables += tables;
    }

    /// Takes a subtree out: the frame and the level of its topmost table.
    pub fn pop(&mut self, memory: &Memory) -> Option<(Frame, Level)> {
        let (frame, level) = self.first.target()?;
        // SAFETY: the subtree is in the list, so `push` wrote its link.
        self.first = unsafe { Link::load(memory.window.at(frame).cast()) };
        Some((frame, level))
    }
}

/// Where the next subtree is: the frame's number above three bits of level. Levels count from 1, so 0 is the end.
#[derive(Clone, Copy)]
struct Link(u64);

const LEVEL_BITS: u32 = 3;

/// The software bits of an entry.
const SHIFT: u32 = 9;
const WIDTH: u32 = 3;
const MASK: u32 = ((1 << WIDTH) - 1) << SHIFT;
/// Every second word is the low half of an 8-byte entry, and an entry of pml2.
const STRIDE: usize = 2;
const WORDS: usize = 15;

const _: () =
    assert!(WORDS as u32 * WIDTH >= 52 - crate::PAGE_SHIFT + LEVEL_BITS, "the words hold any frame number and level");

impl Link {
    const END: Self = Self(0);

    const fn to(frame: Frame, level: Level) -> Self {
        Self(frame.0 << LEVEL_BITS | level as u64)
    }

    fn target(self) -> Option<(Frame, Level)> {
        let level = self.0 & ((1 << LEVEL_BITS) - 1);
        (level != 0).then_some((Frame(self.0 >> LEVEL_BITS), level as Level))
    }

    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that holds a link.
    unsafe fn load(at: *const u32) -> Self {
        let mut number = 0;
        for n in 0..WORDS {
            // SAFETY: the words lie in the frame.
            let word = unsafe { at.add(n * STRIDE).read_volatile() };
            number |= u64::from((word & MASK) >> SHIFT) << (n as u32 * WIDTH);
        }
        Self(number)
    }

    /// A CPU may set accessed and dirty bits meanwhile. If one is lost, nothing is: whatever counts is elsewhere by
    /// now.
    ///
    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that is the caller's to write.
    unsafe fn store(self, at: *mut u32) {
        for n in 0..WORDS {
            let bits = ((self.0 >> (n as u32 * WIDTH)) as u32) << SHIFT & MASK;
            // SAFETY: the words lie in the frame.
            let slot = unsafe { at.add(n * STRIDE) };
            // SAFETY: by this function's contract.
            unsafe { slot.write_volatile(slot.read_volatile() & !MASK | bits) };
        }
    }
}
