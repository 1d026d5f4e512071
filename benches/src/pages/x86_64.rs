//! The `x86_64` crate: `MappedPageTable` over a function from frames to pointers, and `OffsetPageTable`.
//!
//! It has no ranges: those are loops of its calls inside one of ours. Tables go back by `clean_up_addr_range`.

use std::hint::black_box;

use x86_64::structures::paging::mapper::{CleanUp, PageTableFrameMapping, Translate};
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, MappedPageTable, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags,
    PhysFrame, Size1GiB, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::{AMD64, PageTables, Shape};
use crate::arena;

const WRITABLE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::USER_ACCESSIBLE)
    .union(PageTableFlags::NO_EXECUTE);
const READ_ONLY: PageTableFlags = WRITABLE.difference(PageTableFlags::WRITABLE);

struct Stack;

// SAFETY: the arena gives each frame to one owner.
unsafe impl FrameAllocator<Size4KiB> for Stack {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        arena::alloc().map(|pa| PhysFrame::containing_address(PhysAddr::new(pa)))
    }
}

impl FrameDeallocator<Size4KiB> for Stack {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        arena::free(frame.start_address().as_u64());
    }
}

/// From a frame to where it lies.
pub struct Pointer;

// SAFETY: the arena holds all tables.
unsafe impl PageTableFrameMapping for Pointer {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        arena::at(frame.start_address().as_u64()).cast()
    }
}

fn new_root() -> &'static mut PageTable {
    let Some(pa) = arena::alloc() else { panic!("the arena is empty yet") };
    let root = arena::at(pa).cast::<PageTable>();
    // SAFETY: the frame is ours, aligned to a page, and lives as long as the arena.
    unsafe {
        root.write(PageTable::new());
        &mut *root
    }
}

/// With a function from frames to pointers.
pub type Mapped = Tree<MappedPageTable<'static, Pointer>>;
/// With all physical memory at one offset.
pub type Offset = Tree<OffsetPageTable<'static>>;

/// A tree of one of the two kinds.
pub struct Tree<M>(M);

/// What both kinds are made by.
pub trait Kind: Mapper<Size4KiB> + Mapper<Size2MiB> + Mapper<Size1GiB> + Translate + CleanUp {
    /// An empty tree.
    fn of(root: &'static mut PageTable) -> Self;
}

impl Kind for MappedPageTable<'static, Pointer> {
    fn of(root: &'static mut PageTable) -> Self {
        // SAFETY: the arena holds all tables.
        unsafe { Self::new(root, Pointer) }
    }
}

impl Kind for OffsetPageTable<'static> {
    fn of(root: &'static mut PageTable) -> Self {
        let offset = black_box(arena::base() as u64 - arena::FIRST);
        // SAFETY: the arena holds all tables, at this offset.
        unsafe { Self::new(root, VirtAddr::new(offset)) }
    }
}

fn page(va: u64) -> Page<Size4KiB> {
    Page::containing_address(VirtAddr::new(va))
}

impl<M: Kind> Tree<M> {
    #[inline(always)]
    fn put(&mut self, va: u64, pa: u64) {
        let frame = PhysFrame::containing_address(PhysAddr::new(pa));
        // SAFETY: nothing runs on this tree.
        let result = unsafe { self.0.map_to(page(va), frame, WRITABLE, &mut Stack) };
        match result {
            Ok(flush) => flush.ignore(),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[inline(always)]
    fn take(&mut self, va: u64) -> u64 {
        match self.0.unmap(page(va)) {
            Ok((frame, flush)) => {
                flush.ignore();
                frame.start_address().as_u64() >> 12
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    #[inline(always)]
    fn change(&mut self, va: u64) {
        // SAFETY: nothing runs on this tree.
        match unsafe { self.0.update_flags(page(va), READ_ONLY) } {
            Ok(flush) => flush.ignore(),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn clean_up(&mut self, va: u64, pages: usize) {
        let last = va + ((pages as u64 - 1) << 12);
        // SAFETY: nothing runs on this tree.
        unsafe { self.0.clean_up_addr_range(Page::range_inclusive(page(va), page(last)), &mut Stack) };
    }
}

impl<M: Kind> PageTables for Tree<M> {
    const SHAPE: Shape = Shape { destroy: false, ..AMD64 };

    fn new() -> Self {
        Self(M::of(new_root()))
    }

    #[inline(never)]
    fn map(&mut self, va: u64, pa: u64) {
        self.put(va, pa);
    }

    #[inline(never)]
    fn map_large(&mut self, va: u64, pa: u64, shift: u32) {
        // SAFETY: nothing runs on this tree.
        unsafe {
            if shift == 21 {
                let page = Page::<Size2MiB>::containing_address(VirtAddr::new(va));
                let frame = PhysFrame::containing_address(PhysAddr::new(pa));
                match self.0.map_to(page, frame, WRITABLE, &mut Stack) {
                    Ok(flush) => flush.ignore(),
                    Err(error) => panic!("{error:?}"),
                }
            } else {
                let page = Page::<Size1GiB>::containing_address(VirtAddr::new(va));
                let frame = PhysFrame::containing_address(PhysAddr::new(pa));
                match self.0.map_to(page, frame, WRITABLE, &mut Stack) {
                    Ok(flush) => flush.ignore(),
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    }

    #[inline(never)]
    fn translate(&self, va: u64) -> u64 {
        self.0.translate_addr(VirtAddr::new(va)).map_or(0, PhysAddr::as_u64)
    }

    #[inline(never)]
    fn unmap(&mut self, va: u64) {
        self.take(va);
    }

    #[inline(never)]
    fn protect(&mut self, va: u64) {
        self.change(va);
    }

    #[inline(never)]
    fn map_range(&mut self, va: u64, pa: u64, pages: usize) {
        (0..pages as u64).for_each(|n| self.put(va + (n << 12), pa + (n << 12)));
    }

    #[inline(never)]
    fn map_list(&mut self, va: u64, frames: &[u64]) -> bool {
        frames.iter().enumerate().for_each(|(n, pa)| self.put(va + ((n as u64) << 12), *pa));
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, va: u64, pages: usize) {
        for n in 0..pages as u64 {
            self.take(va + (n << 12));
        }
        self.clean_up(va, pages);
    }

    #[inline(never)]
    fn unmap_range_frames(&mut self, va: u64, pages: usize) -> Option<u64> {
        let sum = (0..pages as u64).fold(0, |sum: u64, n| sum.wrapping_add(self.take(va + (n << 12))));
        self.clean_up(va, pages);
        Some(sum)
    }

    #[inline(never)]
    fn protect_range(&mut self, va: u64, pages: usize) {
        (0..pages as u64).for_each(|n| self.change(va + (n << 12)));
    }

    fn destroy(self) {}
}
