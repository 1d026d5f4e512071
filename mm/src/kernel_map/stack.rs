//! Kernel stacks: at the end of the dynamic region, each in a slot of its own with unmapped pages below it, so that running
//! off a stack is a fault and not somebody else's memory.

use super::KernelMap;
use crate::{
    MOST_CPUS, MapError, MapRequest, Memory, Mmu, OwnedFrames, PAGE_SHIFT, PageFlags, PageMap, PageRange, VirtAddr,
};

/// How many pages there are from the end of one stack to the end of the next.
const SLOT: u64 = 8;

/// How many stacks there can be.
const SLOTS: u64 = Stack::MOST as u64;
const _: () = assert!(SLOTS.is_multiple_of(64));

/// A stack that is mapped. It lies where it is in both modes of an architecture.
#[derive(Debug)]
#[must_use = "a stack that is not given back is lost"]
pub struct Stack {
    pages: PageRange,
    frames: OwnedFrames,
}

impl Stack {
    /// How many there can be at a time: those of as many CPUs as there can be, and others.
    pub const MOST: usize = MOST_CPUS * Self::EACH_CPU + Self::OTHERS;

    /// How many a CPU has, blocks of memory among them that lie where stacks do.
    pub const EACH_CPU: usize = 6;

    /// How many there can be beside those of the CPUs.
    pub const OTHERS: usize = 128;

    /// The largest, log2 of its pages.
    pub const MAX_ORDER: u8 = 2;

    /// How many pages below every stack are mapped to nothing, at least.
    pub const GUARD_PAGES: u64 = SLOT - (1 << Self::MAX_ORDER);

    /// Its pages.
    pub const fn pages(&self) -> PageRange {
        self.pages
    }

    /// The address behind its last byte, where it begins to grow from.
    pub const fn top(&self) -> VirtAddr {
        self.pages.start.offset(self.pages.pages << PAGE_SHIFT)
    }
}

/// Which slots have a stack.
#[derive(Clone, Copy)]
pub(super) struct Slots([u64; (SLOTS / 64) as usize]);

impl Slots {
    pub(super) const NONE: Self = Self([0; (SLOTS / 64) as usize]);

    fn first_free(&self) -> Option<u64> {
        let word = self.0.iter().position(|word| *word != u64::MAX)?;
        Some(word as u64 * 64 + u64::from(self.0[word].trailing_ones()))
    }

    fn has(&self, slot: u64) -> bool {
        self.0[(slot / 64) as usize] >> (slot % 64) & 1 != 0
    }

    fn flip(&mut self, slot: u64) {
        self.0[(slot / 64) as usize] ^= 1 << (slot % 64);
    }
}

impl KernelMap {
    /// Maps a stack of 2^`order` pages, with whatever was in them.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there are no frames for it; [`MapError::NoRoom`] if there are [`Stack::MOST`] stacks;
    /// [`MapError::NotOffered`] beyond [`Stack::MAX_ORDER`]. Nothing has changed then.
    pub fn map_stack(&mut self, memory: &mut Memory, order: u8) -> Result<Stack, MapError> {
        if order > Stack::MAX_ORDER {
            return Err(MapError::NotOffered);
        }
        let slot = self.stacks.first_free().ok_or(MapError::NoRoom)?;
        let frames = memory.take(order, memory.window.frames().end())?;
        let pages = frames.run().count;
        let end = self.stack_region().start.offset(((slot + 1) * SLOT) << PAGE_SHIFT);
        let range = PageRange::new(VirtAddr(end.0 - (pages << PAGE_SHIFT)), pages);
        let request = MapRequest { range, first: frames.run().first, flags: PageFlags::DATA };
        match self.map.map(memory, &request) {
            Ok(()) => {
                self.share_with_spaces(memory);
                self.stacks.flip(slot);
                Ok(Stack { pages: range, frames })
            }
            Err(error) => {
                memory.put(frames);
                Err(error)
            }
        }
    }

    /// Unmaps a stack that nobody runs on any more, and gives its frames back, and the tables that have no other.
    ///
    /// # Panics
    /// If the stack is not one of this tree's.
    pub fn unmap_stack(&mut self, memory: &mut Memory, mmu: &dyn Mmu, stack: Stack) {
        let slot = self.slot_of(stack.pages.start).filter(|slot| self.stacks.has(*slot)).expect("a stack of this tree");
        match self.map.unmap(memory, stack.pages, None) {
            Ok(stale) => {
                self.share_with_spaces(memory);
                stale.flush(memory, mmu);
            }
            Err(error) => panic!("the stack at {:#x} unmapped: {error}", stack.pages.start),
        }
        if let Ok(stale) = self.map.trim(memory, stack.pages) {
            self.share_with_spaces(memory);
            stale.flush(memory, mmu);
        }
        self.stacks.flip(slot);
        memory.put(stack.frames);
    }

    /// Where the stacks lie: at the end of the dynamic region.
    pub const fn stack_region(&self) -> PageRange {
        let dynamic = self.layout.dynamic;
        let pages = SLOT * SLOTS;
        PageRange::new(dynamic.start.offset((dynamic.pages - pages) << PAGE_SHIFT), pages)
    }

    fn slot_of(&self, va: VirtAddr) -> Option<u64> {
        let region = self.stack_region();
        region.contains(va).then(|| (va.0 - region.start.0) / (SLOT << PAGE_SHIFT))
    }

    /// Maps all stacks of this tree in `twin` too.
    pub(super) fn share_stacks(&self, memory: &mut Memory, twin: &mut PageMap) -> Result<(), MapError> {
        let region = self.stack_region();
        for slot in (0..SLOTS).filter(|slot| self.stacks.has(*slot)) {
            for page in 0..SLOT {
                let range = PageRange::new(region.start.offset((slot * SLOT + page) << PAGE_SHIFT), 1);
                if let Some(mapping) = self.map.query(memory, range.start) {
                    twin.map(memory, &MapRequest { range, first: mapping.frame, flags: PageFlags::DATA })?;
                }
            }
        }
        Ok(())
    }
}
