//! `page-table-generic`, which brings no format: it is given the bits of four levels of x86.

use ::page_table_generic::{
    FrameAllocator, MapConfig, PageTable, PageTableEntry, PagingResult, PhysAddr, TableMeta, VirtAddr,
};

use super::PageTables;
use crate::arena;

#[derive(Clone, Copy)]
struct Frames;

impl FrameAllocator for Frames {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        arena::alloc().map(|pa| PhysAddr::from_usize(pa as usize))
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        arena::free(frame.as_usize() as u64);
    }

    fn phys_to_virt(&self, pa: PhysAddr) -> *mut u8 {
        arena::at(pa.as_usize() as u64)
    }
}

#[derive(Clone, Copy)]
struct FourLevels;

impl TableMeta for FourLevels {
    type P = Entry;
    const PAGE_SIZE: usize = 4096;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;

    fn flush(_: Option<VirtAddr>) {}
}

const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
const LARGE: u64 = 1 << 7;
const WRITABLE: u64 = 0x8000_0000_0000_0007;
const READ_ONLY: u64 = 0x8000_0000_0000_0005;

#[derive(Clone, Copy, Debug)]
struct Entry(u64);

impl PageTableEntry for Entry {
    type PteConfig = u64;

    fn new_page(pa: PhysAddr, config: u64, is_huge: bool) -> Self {
        Self(pa.as_usize() as u64 & ADDRESS | config | if is_huge { LARGE } else { 0 })
    }

    fn new_table(pa: PhysAddr) -> Self {
        Self(pa.as_usize() as u64 & ADDRESS | 7)
    }

    fn paddr(&self, _: bool) -> PhysAddr {
        PhysAddr::from_usize((self.0 & ADDRESS) as usize)
    }

    fn config(&self, is_dir: bool) -> u64 {
        self.0 & !ADDRESS & if is_dir { !LARGE } else { u64::MAX }
    }

    fn present(&self) -> bool {
        self.0 & 1 != 0
    }

    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.0 & LARGE != 0
    }

    fn unused(&self) -> bool {
        self.0 == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

/// The tree.
pub struct Tree(PageTable<FourLevels, Frames>);

fn va(address: u64) -> VirtAddr {
    VirtAddr::from_usize(address as usize)
}

fn pa(address: u64) -> PhysAddr {
    PhysAddr::from_usize(address as usize)
}

fn done<T>(result: PagingResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

impl PageTables for Tree {
    fn new() -> Self {
        Self(done(PageTable::new(Frames)))
    }

    #[inline(never)]
    fn map(&mut self, at: u64, to: u64) {
        done(self.0.map_page(va(at), pa(to), 4096, WRITABLE));
    }

    #[inline(never)]
    fn map_large(&mut self, at: u64, to: u64, shift: u32) {
        done(self.0.map_page(va(at), pa(to), 1 << shift, WRITABLE));
    }

    #[inline(never)]
    fn translate(&self, at: u64) -> u64 {
        self.0.translate_phys(va(at)).map_or(0, |pa| pa.as_usize() as u64)
    }

    #[inline(never)]
    fn unmap(&mut self, at: u64) {
        done(self.0.unmap_page(va(at)));
    }

    #[inline(never)]
    fn protect(&mut self, at: u64) {
        done(self.0.protect_page(va(at), READ_ONLY));
    }

    #[inline(never)]
    fn map_range(&mut self, at: u64, to: u64, pages: usize) {
        let (vaddr, paddr, size) = (va(at), pa(to), pages << 12);
        done(self.0.map(&MapConfig { vaddr, paddr, size, pte: WRITABLE, allow_huge: false, flush: true }));
    }

    #[inline(never)]
    fn map_list(&mut self, at: u64, frames: &[u64]) -> bool {
        let frame = |address: VirtAddr| pa(frames[(address.as_usize() - at as usize) >> 12]);
        done(self.0.map_region(va(at), frame, frames.len() << 12, WRITABLE));
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, at: u64, pages: usize) {
        done(self.0.unmap(va(at), pages << 12));
    }

    #[inline(never)]
    fn protect_range(&mut self, at: u64, pages: usize) {
        done(self.0.protect_region(va(at), pages << 12, READ_ONLY));
    }

    #[inline(never)]
    fn destroy(self) {}
}
