//! `page_table_multiarch` with its x86_64 format.

use memory_addr::{MemoryAddr, PhysAddr, VirtAddr};
use page_table_multiarch::x86_64::X64PageTable;
use page_table_multiarch::{MappingFlags, PageSize, PagingHandler, PagingResult};

use super::PageTables;
use crate::arena;

struct Handler;

impl PagingHandler for Handler {
    fn alloc_frames(_: usize, _: usize) -> Option<PhysAddr> {
        arena::alloc().map(|pa| PhysAddr::from_usize(pa as usize))
    }

    fn dealloc_frames(pa: PhysAddr, _: usize) {
        arena::free(pa.as_usize() as u64);
    }

    fn phys_to_virt(pa: PhysAddr) -> VirtAddr {
        VirtAddr::from_usize(arena::at(pa.as_usize() as u64) as usize)
    }
}

/// The tree.
pub struct Tree(X64PageTable<Handler>);

const WRITABLE: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE).union(MappingFlags::USER);
const READ_ONLY: MappingFlags = MappingFlags::READ.union(MappingFlags::USER);

fn va(address: u64) -> VirtAddr {
    VirtAddr::from_usize(address as usize)
}

fn pa(address: u64) -> PhysAddr {
    PhysAddr::from_usize(address as usize)
}

fn done<T>(result: PagingResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

impl PageTables for Tree {
    fn new() -> Self {
        Self(done(X64PageTable::try_new()))
    }

    #[inline(never)]
    fn map(&mut self, at: u64, to: u64) {
        done(self.0.cursor().map(va(at), pa(to), PageSize::Size4K, WRITABLE));
    }

    #[inline(never)]
    fn map_large(&mut self, at: u64, to: u64, shift: u32) {
        let size = if shift == 21 { PageSize::Size2M } else { PageSize::Size1G };
        done(self.0.cursor().map(va(at), pa(to), size, WRITABLE));
    }

    #[inline(never)]
    fn translate(&self, at: u64) -> u64 {
        self.0.query(va(at)).map_or(0, |(pa, _, _)| pa.as_usize() as u64)
    }

    #[inline(never)]
    fn unmap(&mut self, at: u64) {
        done(self.0.cursor().unmap(va(at)));
    }

    #[inline(never)]
    fn protect(&mut self, at: u64) {
        done(self.0.cursor().protect(va(at), READ_ONLY));
    }

    #[inline(never)]
    fn map_range(&mut self, at: u64, to: u64, pages: usize) {
        let frame = |address: VirtAddr| pa(to + (address.as_usize() as u64 - at));
        done(self.0.cursor().map_region(va(at), frame, pages << 12, WRITABLE, false));
    }

    #[inline(never)]
    fn map_list(&mut self, at: u64, frames: &[u64]) -> bool {
        let frame = |address: VirtAddr| pa(frames[address.sub_addr(va(at)) >> 12]);
        done(self.0.cursor().map_region(va(at), frame, frames.len() << 12, WRITABLE, false));
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, at: u64, pages: usize) {
        done(self.0.cursor().unmap_region(va(at), pages << 12));
    }

    #[inline(never)]
    fn unmap_range_frames(&mut self, at: u64, pages: usize) -> Option<u64> {
        let mut cursor = self.0.cursor();
        let frame = |n: u64| done(cursor.unmap(va(at + (n << 12)))).0.as_usize() as u64 >> 12;
        Some((0..pages as u64).map(frame).fold(0, u64::wrapping_add))
    }

    #[inline(never)]
    fn protect_range(&mut self, at: u64, pages: usize) {
        done(self.0.cursor().protect_region(va(at), pages << 12, READ_ONLY));
    }

    #[inline(never)]
    fn destroy(self) {}
}
