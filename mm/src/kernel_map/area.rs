//! The dynamic region: devices, constants that outlive a change of the mode, and the window through which frames beyond
//! the aperture are looked at.

use super::KernelMap;
use crate::{
    Cache, MapError, MapRequest, Memory, Mmu, OwnedFrames, PAGE_SHIFT, PAGE_SIZE, PageFlags, PageRange, PhysAddr,
    VirtAddr,
};

/// How many devices and windows the dynamic region can hold.
pub(super) const COUNT: usize = 32;

/// A mapping in the dynamic region.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) name: &'static str,
    pub(super) request: MapRequest,
}

impl KernelMap {
    /// Maps the device registers or the frame buffer at `address`, `bytes` long, and returns where.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] for write-back (a device is not memory); [`MapError::NoRoom`] if the dynamic
    /// region is used up, [`MapError::TooMany`] if all its places are; else as [`PageMap::map`](crate::PageMap::map).
    pub fn map_device(
        &mut self,
        memory: &mut Memory,
        name: &'static str,
        address: PhysAddr,
        bytes: u64,
        cache: Cache,
    ) -> Result<VirtAddr, MapError> {
        if cache == Cache::WriteBack {
            return Err(MapError::NotOffered);
        }
        self.map_area(memory, name, address, bytes, PageFlags::MMIO.cached(cache))
    }

    /// Maps RAM that nobody writes any more, and returns where: unlike its place in the aperture, this stays where
    /// it is when the mode changes.
    ///
    /// # Errors
    /// As [`map_device`](Self::map_device), or as [`PageMap::map`](crate::PageMap::map).
    pub fn map_constant(
        &mut self,
        memory: &mut Memory,
        name: &'static str,
        address: PhysAddr,
        bytes: u64,
    ) -> Result<VirtAddr, MapError> {
        self.map_area(memory, name, address, bytes, PageFlags::RODATA)
    }

    fn map_area(
        &mut self,
        memory: &mut Memory,
        name: &'static str,
        address: PhysAddr,
        bytes: u64,
        flags: PageFlags,
    ) -> Result<VirtAddr, MapError> {
        let first = address.frame();
        let offset = address.0 - first.start().0;
        let pages = offset.checked_add(bytes).ok_or(MapError::Wraps)?.div_ceil(PAGE_SIZE);
        // Behind the areas come the stacks.
        let room = (self.stack_region().start.0 - self.next.0) >> PAGE_SHIFT;
        let slot = self.areas.iter().position(Option::is_none).ok_or(MapError::TooMany)?;
        // Where pages of the largest size that it can fill have the same place in the mapping as in memory, they are used.
        let paging = self.map.paging();
        let sizes = (1..=paging.limits.top_leaf).rev().map(|level| paging.routines.info.pages(level));
        let largest = sizes.into_iter().find(|size| pages >= *size).unwrap_or(1);
        let skipped = first.0.wrapping_sub(self.next.0 >> PAGE_SHIFT) & (largest - 1);
        if pages.checked_add(skipped).is_none_or(|pages| pages >= room) {
            return Err(MapError::NoRoom);
        }
        let range = PageRange::new(self.next.offset(skipped << PAGE_SHIFT), pages);
        let request = MapRequest { range, first, flags };
        self.map.map(memory, &request)?;
        self.share_with_spaces(memory);
        self.areas[slot] = Some(Area { name, request });
        // A page is left out, so that running off one device does not reach the next.
        self.next = range.start.offset((pages + 1) << PAGE_SHIFT);
        Ok(range.start.offset(offset))
    }

    /// Shows `work` the frame number `index` of `frames`: in the aperture if it lies there, else through the
    /// temporary window.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] if this tree is not live or `frames` has no such frame.
    pub fn with_frame<T>(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        frames: &mut OwnedFrames,
        index: u64,
        work: impl FnOnce(&mut [u8; PAGE_SIZE as usize]) -> T,
    ) -> Result<T, MapError> {
        if !self.live || index >= frames.run().count {
            return Err(MapError::NotOffered);
        }
        let frame = frames.run().first.offset(index);
        if memory.window.frames().contains(frame) {
            // SAFETY: the window shows the frame, and `frames` owns it and is borrowed mutably, as is `self`.
            return Ok(work(unsafe { &mut *memory.window.at(frame).cast() }));
        }
        let range = PageRange::new(self.window, 1);
        self.map.map(memory, &MapRequest { range, first: frame, flags: PageFlags::DATA })?;
        // SAFETY: the live tree has just mapped the page, nothing else uses the window (`self` is borrowed
        // mutably), and `frames` owns the frame.
        let result = work(unsafe { &mut *(self.window.0 as usize as *mut _) });
        self.map.unmap(memory, range, None)?.flush(memory, mmu);
        Ok(result)
    }
}
