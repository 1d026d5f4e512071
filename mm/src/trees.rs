//! A list of page tables that have been taken out of a tree, kept in the tables themselves.

use crate::chain::Link as Absent;
use crate::{Frame, Level, Memory};

/// Tables, each with all below it, that a CPU which has not flushed may still walk.
///
/// Whoever gives them back reads their entries to find the tables below, and a CPU may find the pages there. So the links
/// stand where no entry has anything: in bits 9 to 11, which no CPU looks at, of every eighth byte's word. Only of a
/// table of level 1 whose pages are mapped no more nobody needs an entry: there one word suffices, and it reads as an
/// absent entry.
pub(crate) struct Trees {
    first: Link,
    tables: u64,
}

impl Trees {
    /// No table.
    #[inline]
    pub const fn new() -> Self {
        Self { first: Link::END, tables: 0 }
    }

    /// How many tables there are, those below others counted too.
    #[inline]
    pub const fn tables(&self) -> u64 {
        self.tables
    }

    /// Adds the table of `level` in `frame`, which is one of `tables` tables with those below it. `leave` says that a CPU
    /// is to find all its entries as they were.
    #[inline]
    pub fn push(&mut self, memory: &Memory, frame: Frame, level: Level, tables: u64, leave: bool) {
        memory.forget_hints();
        let link = Link::to(frame, level, leave || level > 1);
        let at = memory.window.at(frame);
        // SAFETY: the table has just been unlinked from a tree that the caller changes exclusively, and the frame is live.
        unsafe {
            if link.is_spread() { self.first.spread(at.cast()) } else { Absent::to(self.first.0).store(at.cast()) }
        };
        self.first = link;
        self.tables += tables;
    }

    /// Takes a table out: its frame and its level.
    pub fn pop(&mut self, memory: &Memory) -> Option<(Frame, Level)> {
        let (frame, level) = self.first.target()?;
        let at = memory.window.at(frame);
        // SAFETY: the table is in the list, so `push` wrote its link in this way.
        self.first = unsafe {
            if self.first.is_spread() { Link::gather(at.cast()) } else { Link(Absent::load(at.cast()).value()) }
        };
        Some((frame, level))
    }
}

/// Where the next table is and how its own link is written: the frame's number above three bits of level, and a bit
/// that says "spread". Levels count from 1, so 0 is the end.
#[derive(Clone, Copy)]
struct Link(u64);

const LEVEL_BITS: u32 = 3;
const SPREAD: u64 = 1 << LEVEL_BITS;
const FRAME_SHIFT: u32 = LEVEL_BITS + 1;

/// The software bits of an entry.
const SHIFT: u32 = 9;
const WIDTH: u32 = 3;
const MASK: u32 = ((1 << WIDTH) - 1) << SHIFT;
/// Every second word is the low half of an 8-byte entry, and an entry of pml2.
const STRIDE: usize = 2;
const WORDS: usize = 15;

const _: () =
    assert!(WORDS as u32 * WIDTH >= 52 - crate::PAGE_SHIFT + FRAME_SHIFT, "the words hold any frame number and level");

impl Link {
    const END: Self = Self(0);

    #[inline]
    const fn to(frame: Frame, level: Level, spread: bool) -> Self {
        Self(frame.0 << FRAME_SHIFT | if spread { SPREAD } else { 0 } | level as u64)
    }

    #[inline]
    fn target(self) -> Option<(Frame, Level)> {
        let level = self.0 & ((1 << LEVEL_BITS) - 1);
        (level != 0).then_some((Frame(self.0 >> FRAME_SHIFT), level as Level))
    }

    #[inline]
    const fn is_spread(self) -> bool {
        self.0 & SPREAD != 0
    }

    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that holds a spread link.
    unsafe fn gather(at: *const u32) -> Self {
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
    unsafe fn spread(self, at: *mut u32) {
        for n in 0..WORDS {
            let bits = ((self.0 >> (n as u32 * WIDTH)) as u32) << SHIFT & MASK;
            // SAFETY: the words lie in the frame.
            let slot = unsafe { at.add(n * STRIDE) };
            // SAFETY: by this function's contract.
            unsafe { slot.write_volatile(slot.read_volatile() & !MASK | bits) };
        }
    }
}
