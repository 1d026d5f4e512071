//! User pages: the half that the kernel does not live in.

use super::KernelMap;
use crate::{
    Cursor, Frame, ListRequest, MapError, MapRequest, Memory, Mmu, PageFlags, PageMap, PageRange, Report, Rights,
    Stale, VirtAddr,
};

impl KernelMap {
    /// Maps user pages.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::map`](crate::PageMap::map).
    pub fn map_user(&mut self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        self.in_user(request.range)?;
        self.map.map(memory, request)
    }

    /// Maps user pages onto the frames of a list.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::map_list`](crate::PageMap::map_list).
    pub fn map_user_list(&mut self, memory: &mut Memory, request: &ListRequest) -> Result<(), MapError> {
        self.in_user(PageRange::new(request.start, request.frames.len() as u64))?;
        self.map.map_list(memory, request)
    }

    /// Lets `work` go through user pages one by one.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::with_cursor`](crate::PageMap::with_cursor).
    pub fn with_user_cursor<T>(
        &mut self,
        memory: &mut Memory,
        range: PageRange,
        work: impl FnOnce(&mut Cursor) -> T,
    ) -> Result<(T, Stale), MapError> {
        self.in_user(range)?;
        self.map.with_cursor(memory, range, work)
    }

    /// Unmaps user pages, all of which must be mapped.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::unmap`](crate::PageMap::unmap).
    pub fn unmap_user(&mut self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.unmap(memory, range, report)
    }

    /// Unmaps whatever user pages are mapped in a range.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::clear`](crate::PageMap::clear).
    pub fn clear_user(&mut self, memory: &mut Memory, range: PageRange) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.clear(memory, range, None)
    }

    /// Changes what user pages permit.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::protect`](crate::PageMap::protect).
    pub fn protect_user(&mut self, memory: &mut Memory, range: PageRange, flags: PageFlags) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.protect(memory, range, flags)
    }

    /// Joins user pages into the largest that fit.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::merge`](crate::PageMap::merge).
    pub fn merge_user(&mut self, memory: &mut Memory, range: PageRange) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.merge(memory, range)
    }

    /// Takes empty tables out of the user half.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region.
    pub fn trim_user(&mut self, memory: &mut Memory) -> Result<Stale, MapError> {
        self.map.trim(memory, self.layout.user)
    }

    fn in_user(&self, range: PageRange) -> Result<(), MapError> {
        within(&self.map, self.layout.user, range)
    }

    /// Maps one frame at the virtual address that equals its physical one, to execute: the page on which the
    /// mode is switched.
    ///
    /// # Errors
    /// As [`map_user`](Self::map_user).
    pub fn map_identity(&mut self, memory: &mut Memory, frame: Frame) -> Result<(), MapError> {
        let range = PageRange::new(VirtAddr(frame.start().0), 1);
        self.map_user(memory, &MapRequest { range, first: frame, flags: PageFlags::new(Rights::EXEC) })
    }

    /// Removes what [`map_identity`](Self::map_identity) mapped, tables and all.
    ///
    /// # Errors
    /// As [`unmap_user`](Self::unmap_user).
    pub fn unmap_identity(&mut self, memory: &mut Memory, frame: Frame, mmu: &dyn Mmu) -> Result<(), MapError> {
        let range = PageRange::new(VirtAddr(frame.start().0), 1);
        self.unmap_user(memory, range, None)?.flush(memory, mmu);
        self.trim_user(memory)?.flush(memory, mmu);
        Ok(())
    }
}

/// Refuses a range that does not lie within `user`, the user half of `map`.
pub(super) fn within(map: &PageMap, user: PageRange, range: PageRange) -> Result<(), MapError> {
    map.paging().routines.info.check(range)?;
    let inside = user.contains(range.start) && user.contains(range.last_byte());
    if inside { Ok(()) } else { Err(MapError::NotOffered) }
}
