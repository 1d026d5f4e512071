//! `aarch64-paging`: another architecture's entries, the same shape: four levels of 512 entries.

use std::ptr::NonNull;

use ::aarch64_paging::descriptor::{El1Attributes, PhysicalAddress};
use ::aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, RootTable, Translation, VaRange};

use super::PageTables;
use crate::arena;

struct Frames;

impl Translation<El1Attributes> for Frames {
    fn allocate_table(&mut self) -> (NonNull<PageTable<El1Attributes>>, PhysicalAddress) {
        let Some(pa) = arena::alloc() else { panic!("the arena is large enough") };
        // SAFETY: the frame is ours.
        unsafe { arena::at(pa).write_bytes(0, arena::FRAME) };
        (self.physical_to_virtual(PhysicalAddress(pa as usize)), PhysicalAddress(pa as usize))
    }

    unsafe fn deallocate_table(&mut self, table: NonNull<PageTable<El1Attributes>>) {
        let offset = table.as_ptr() as usize - arena::base() as usize;
        arena::free(arena::FIRST + offset as u64);
    }

    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<PageTable<El1Attributes>> {
        let Some(at) = NonNull::new(arena::at(pa.0 as u64).cast()) else { panic!("a mapping at 0") };
        at
    }
}

const READ_ONLY: El1Attributes = WRITABLE.union(El1Attributes::READ_ONLY);
const WRITABLE: El1Attributes = El1Attributes::VALID
    .union(El1Attributes::ATTRIBUTE_INDEX_1)
    .union(El1Attributes::INNER_SHAREABLE)
    .union(El1Attributes::ACCESSED)
    .union(El1Attributes::NON_GLOBAL)
    .union(El1Attributes::USER);

/// The tree.
pub struct Tree(RootTable<El1And0, Frames>);

impl Tree {
    #[inline(always)]
    fn put(&mut self, va: u64, pages: usize, pa: u64, flags: El1Attributes, constraints: Constraints) {
        let region = MemoryRegion::new(va as usize, va as usize + (pages << 12));
        if let Err(error) = self.0.map_range(&region, PhysicalAddress(pa as usize), flags, constraints) {
            panic!("{error}");
        }
    }
}

const PAGES: Constraints = Constraints::NO_BLOCK_MAPPINGS;

impl PageTables for Tree {
    fn new() -> Self {
        Self(RootTable::with_va_range(Frames, 0, El1And0, VaRange::Lower))
    }

    #[inline(never)]
    fn map(&mut self, va: u64, pa: u64) {
        self.put(va, 1, pa, WRITABLE, PAGES);
    }

    #[inline(never)]
    fn map_large(&mut self, va: u64, pa: u64, shift: u32) {
        self.put(va, 1 << (shift - 12), pa, WRITABLE, Constraints::empty());
    }

    #[inline(never)]
    fn translate(&self, va: u64) -> u64 {
        let mut found = 0;
        let region = MemoryRegion::new(va as usize & !0xFFF, (va as usize & !0xFFF) + 4096);
        let result = self.0.walk_range(&region, &mut |_, entry, level| {
            if entry.is_valid() {
                let offset = (1 << (12 + 9 * (3 - level))) - 1;
                found = entry.output_address().0 as u64 & !offset | va & offset;
            }
            Ok(())
        });
        if result.is_ok() { found } else { 0 }
    }

    #[inline(never)]
    fn unmap(&mut self, va: u64) {
        self.put(va, 1, 0, El1Attributes::empty(), PAGES);
    }

    /// There is no call that changes flags of a table that is not `Mapping`'s, so the page is mapped again.
    #[inline(never)]
    fn protect(&mut self, va: u64) {
        self.put(va, 1, super::PHYS + (va - Self::SHAPE.start), READ_ONLY, PAGES);
    }

    #[inline(never)]
    fn map_range(&mut self, va: u64, pa: u64, pages: usize) {
        self.put(va, pages, pa, WRITABLE, PAGES);
    }

    #[inline(never)]
    fn map_list(&mut self, va: u64, frames: &[u64]) -> bool {
        frames.iter().enumerate().for_each(|(n, pa)| self.put(va + ((n as u64) << 12), 1, *pa, WRITABLE, PAGES));
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, va: u64, pages: usize) {
        self.put(va, pages, 0, El1Attributes::empty(), Constraints::empty());
    }

    #[inline(never)]
    fn protect_range(&mut self, va: u64, pages: usize) {
        self.put(va, pages, super::PHYS, READ_ONLY, PAGES);
    }

    #[inline(never)]
    fn destroy(self) {}
}
