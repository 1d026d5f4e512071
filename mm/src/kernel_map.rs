//! The tree that the kernel itself runs on.
//!
//! A [`PageMap`] may be changed in any way, so whoever changes the live one could pull the ground away under the
//! kernel's feet. This type is the safe face of the live tree: the image and the aperture are laid once, and
//! what it offers afterwards (user pages, devices, a temporary window) cannot touch them.

use crate::{Cache, Frame, FrameRun, Layout, MapError, MapRequest, Mapping, Memory, Mmu, OwnedFrames};
use crate::{
    PAGE_SHIFT, PageFlags, PageMap, PageRange, Paging, PhysAddr, Pte, Report, Rights, Stale, VirtAddr, Window,
};

/// A part of the kernel's image: consecutive pages, frames and one kind of rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// `text`, `rodata` or `data`.
    pub name: &'static str,
    /// Where it was linked.
    pub pages: PageRange,
    /// Where it was loaded.
    pub first: Frame,
    /// What it needs; `None` for a guard page, which is mapped nowhere near.
    pub flags: Option<PageFlags>,
}

/// How many devices and windows the dynamic region can hold.
const AREAS: usize = 32;

/// A mapping in the dynamic region.
#[derive(Clone, Copy)]
struct Area {
    name: &'static str,
    request: MapRequest,
}

/// The kernel's own tree.
pub struct KernelMap {
    map: PageMap,
    layout: Layout,
    sections: &'static [Section],
    areas: [Option<Area>; AREAS],
    /// The first page of the dynamic region that was never given out.
    next: VirtAddr,
    /// Frames beyond the aperture are looked at through this page.
    window: VirtAddr,
    /// The frame after the last that the aperture shows.
    shown: Frame,
    live: bool,
}

impl KernelMap {
    /// Builds a tree for the mode of `paging`: the image, and the RAM in `ram` at its place in the aperture with
    /// the largest pages that fit. RAM beyond the aperture is left out; devices and holes never get in.
    ///
    /// Text and constants are read-only in the aperture too, so that code has no writable alias.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if the window has no frame for a table, or whatever is wrong with a section.
    /// Every table taken has then been given back.
    pub fn build(
        memory: &mut Memory,
        paging: Paging,
        sections: &'static [Section],
        ram: impl Iterator<Item = FrameRun>,
    ) -> Result<Self, MapError> {
        let layout = Layout::of(&paging.routines.info);
        let map = PageMap::new(memory, paging)?;
        let window = layout.dynamic.start;
        let next = window.offset(2 * crate::PAGE_SIZE);
        let mut kernel =
            Self { map, layout, sections, areas: [None; AREAS], next, window, shown: Frame(0), live: false };
        match kernel.lay(memory, ram) {
            Ok(()) => Ok(kernel),
            Err(error) => {
                // SAFETY: the tree was never loaded.
                unsafe { kernel.map.free(memory) };
                Err(error)
            }
        }
    }

    fn lay(&mut self, memory: &mut Memory, ram: impl Iterator<Item = FrameRun>) -> Result<(), MapError> {
        for run in ram {
            self.lay_aperture(memory, run)?;
        }
        for section in self.sections {
            let Some(flags) = section.flags.filter(|_| !self.lies_in_aperture(section)) else { continue };
            self.map.map(memory, &MapRequest { range: section.pages, first: section.first, flags })?;
        }
        // The window's own leaf table is made now, so that looking through it can never run out of memory.
        let range = PageRange::new(self.window, 1);
        self.map.map(memory, &MapRequest { range, first: Frame(0), flags: PageFlags::RODATA })?;
        let stale = self.map.unmap(memory, range, None)?;
        // SAFETY: the tree was never loaded, so no CPU has anything of it in its caches.
        unsafe { stale.forget(memory) };
        Ok(())
    }

    /// Lays one run of RAM, cut where a section of the image begins or ends.
    fn lay_aperture(&mut self, memory: &mut Memory, run: FrameRun) -> Result<(), MapError> {
        let end = run.end().0.min(self.layout.aperture.pages);
        let mut at = run.first.0;
        while at < end {
            let inside = self.sections.iter().find(|section| frames(section).contains(Frame(at)));
            let ahead = self.sections.iter().map(|section| section.first.0).filter(|first| *first > at).min();
            let (next, flags) = match inside {
                Some(section) => (frames(section).end().0, self.aperture_flags(section)),
                None => (ahead.unwrap_or(end), Some(PageFlags::DATA)),
            };
            let next = next.min(end);
            let range = PageRange::new(self.layout.aperture.start.offset(at << PAGE_SHIFT), next - at);
            if let Some(flags) = flags {
                self.map.map(memory, &MapRequest { range, first: Frame(at), flags })?;
            }
            at = next;
        }
        self.shown = self.shown.max(Frame(end));
        Ok(())
    }

    /// What the frames of a section permit through the aperture: what the section says where the image itself
    /// lies there, else the same without execution.
    fn aperture_flags(&self, section: &Section) -> Option<PageFlags> {
        if self.lies_in_aperture(section) {
            return section.flags;
        }
        let mut flags = section.flags.unwrap_or(PageFlags::DATA);
        flags.rights.remove(Rights::EXEC);
        Some(flags)
    }

    fn lies_in_aperture(&self, section: &Section) -> bool {
        self.layout.aperture.contains(section.pages.start)
    }

    /// The same kernel in another mode: image, aperture and everything in the dynamic region, at the addresses
    /// that it has there. User pages are not part of it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn twin(
        &self,
        memory: &mut Memory,
        paging: Paging,
        ram: impl Iterator<Item = FrameRun>,
    ) -> Result<Self, MapError> {
        let mut twin = Self::build(memory, paging, self.sections, ram)?;
        for area in self.areas.iter().flatten() {
            if let Err(error) = twin.map.map(memory, &area.request) {
                // SAFETY: the tree was never loaded.
                unsafe { twin.map.free(memory) };
                return Err(error);
            }
        }
        twin.areas = self.areas;
        twin.next = self.next;
        Ok(twin)
    }

    /// Gives the tree back: the one that was live before another was entered.
    ///
    /// # Panics
    /// If this tree is the live one.
    pub fn free(self, memory: &mut Memory, mmu: &dyn Mmu) {
        assert!(!self.live, "the live page tables given back");
        mmu.flush_all();
        // SAFETY: another tree is live, and nothing of this one is left in the CPU's caches.
        unsafe { self.map.free(memory) };
    }

    /// The tree, to read.
    pub const fn tables(&self) -> &PageMap {
        &self.map
    }

    /// Where things lie.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The parts of the image.
    pub const fn sections(&self) -> &'static [Section] {
        self.sections
    }

    /// The bytes of the sections that nobody can write, if this tree is live: none otherwise.
    pub fn constants(&self) -> impl Iterator<Item = &'static [u8]> {
        let constant = |section: &&Section| section.flags.is_some_and(|flags| !flags.rights.contains(Rights::WRITE));
        self.sections.iter().filter(|_| self.live).filter(constant).map(|section| {
            let bytes = (section.pages.pages << PAGE_SHIFT) as usize;
            // SAFETY: the live tree maps the section where it was linked, its twin would too, and neither permits a
            // write to it by any address.
            unsafe { core::slice::from_raw_parts(section.pages.start.0 as usize as *const u8, bytes) }
        })
    }

    /// Says whether this is the tree that CR3 points to.
    ///
    /// # Safety
    /// It must be true.
    pub const unsafe fn set_live(&mut self, live: bool) {
        self.live = live;
    }

    /// The aperture as a window, holes and all.
    ///
    /// # Safety
    /// This tree is live for as long as the window is used, and only frames of RAM are looked for in it.
    pub unsafe fn aperture(&self) -> Window {
        let base = self.layout.aperture.start.0 as usize as *mut u8;
        // SAFETY: the tree maps every run of RAM below `shown` at its place; the rest by this function's contract.
        unsafe { Window::new(base, FrameRun::between(Frame(0), self.shown)) }
    }

    /// What lies at `va`, in a word: the name of a section, of a device, of a region.
    pub fn name_of(&self, va: VirtAddr) -> &'static str {
        let section = self.sections.iter().find(|section| section.pages.contains(va));
        let area = self.areas.iter().flatten().find(|area| area.request.range.contains(va));
        if let Some(section) = section {
            section.name
        } else if let Some(area) = area {
            area.name
        } else if self.map.paging().routines.info.in_self_map(va) {
            "self-map"
        } else if self.layout.aperture.contains(va) {
            "aperture"
        } else if self.layout.dynamic.contains(va) {
            "window"
        } else if self.layout.user.contains(va) {
            "user"
        } else {
            "unknown"
        }
    }
}

/// User pages: the half that the kernel does not live in.
impl KernelMap {
    /// Maps user pages.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::map`].
    pub fn map_user(&mut self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        self.in_user(request.range)?;
        self.map.map(memory, request)
    }

    /// Unmaps user pages, all of which must be mapped.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::unmap`].
    pub fn unmap_user(&mut self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.unmap(memory, range, report)
    }

    /// Changes what user pages permit.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::protect`].
    pub fn protect_user(&mut self, memory: &mut Memory, range: PageRange, flags: PageFlags) -> Result<Stale, MapError> {
        self.in_user(range)?;
        self.map.protect(memory, range, flags)
    }

    /// Joins user pages into the largest that fit.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::merge`].
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
        self.map.paging().routines.info.check(range)?;
        let user = self.layout.user;
        let inside = user.contains(range.start) && user.contains(range.last_byte());
        if inside { Ok(()) } else { Err(MapError::NotOffered) }
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

/// Devices and frames beyond the aperture.
impl KernelMap {
    /// Maps the device registers or the frame buffer at `address`, `bytes` long, and returns where.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] for write-back (a device is not memory); [`MapError::NoMemory`] if the dynamic
    /// region is used up; else as [`PageMap::map`].
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
    /// [`MapError::NoMemory`] if the dynamic region is used up; else as [`PageMap::map`].
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
        let pages = offset.checked_add(bytes).ok_or(MapError::Wraps)?.div_ceil(crate::PAGE_SIZE);
        let used = (self.next.0 - self.layout.dynamic.start.0) >> PAGE_SHIFT;
        let slot = self.areas.iter_mut().find(|area| area.is_none()).ok_or(MapError::NoMemory)?;
        if pages >= self.layout.dynamic.pages - used {
            return Err(MapError::NoMemory);
        }
        let range = PageRange::new(self.next, pages);
        let request = MapRequest { range, first, flags };
        self.map.map(memory, &request)?;
        *slot = Some(Area { name, request });
        // A page is left out, so that running off one device does not reach the next.
        self.next = self.next.offset((pages + 1) << PAGE_SHIFT);
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
        work: impl FnOnce(&mut [u8; crate::PAGE_SIZE as usize]) -> T,
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

/// Looking at the live tree from inside.
impl KernelMap {
    /// The word of the entry at `level` on the way to `va`, read through the self-map; `None` if the way ends
    /// above, or if this tree is not live.
    pub fn self_map_entry(&self, memory: &Memory, va: VirtAddr, level: crate::Level) -> Option<u64> {
        let info = &self.map.paging().routines.info;
        let mut reached = false;
        self.map.path(memory, va, &mut |step| {
            reached |= step.level == level + 1 && matches!(step.pte, Pte::Table(..));
        });
        if !self.live || !(reached || level == info.levels) {
            return None;
        }
        let at = info.entry_address(va, level).0 as usize;
        // SAFETY: this tree is live and names a table at `level` for `va`, so the self-map shows that table's
        // entry at this address; an aligned word of a page table can be read at any time.
        Some(unsafe {
            match info.entry_bytes {
                4 => u64::from((at as *const u32).read_volatile()),
                _ => (at as *const u64).read_volatile(),
            }
        })
    }

    /// Reads the word at `va` in the user region, in a page that ring 3 may not use.
    ///
    /// # Errors
    /// [`MapError::NotMapped`]; [`MapError::Misaligned`] if `va` is not a multiple of 4;
    /// [`MapError::NotOffered`] outside the user region, in a page for ring 3, or if this tree is not live.
    pub fn peek_user(&self, memory: &Memory, va: VirtAddr) -> Result<u32, MapError> {
        self.user_word(memory, va)?;
        // SAFETY: the live tree maps the page, and no Rust object lives in the user half.
        Ok(unsafe { (va.0 as usize as *const u32).read_volatile() })
    }

    /// Writes the word at `va` in a user page that may be written.
    ///
    /// # Errors
    /// As [`peek_user`](Self::peek_user), and [`MapError::NotOffered`] if the page is read-only or is not made
    /// of `frames`.
    pub fn poke_user(
        &mut self,
        memory: &Memory,
        frames: &mut OwnedFrames,
        va: VirtAddr,
        word: u32,
    ) -> Result<(), MapError> {
        let mapping = self.user_word(memory, va)?;
        let frame = mapping.frame.offset((va.0 - mapping.start.0) >> PAGE_SHIFT);
        if !mapping.flags.rights.contains(Rights::WRITE) || !frames.run().contains(frame) {
            return Err(MapError::NotOffered);
        }
        // SAFETY: the live tree maps the page writable onto a frame that the caller owns and lends mutably.
        unsafe { (va.0 as usize as *mut u32).write_volatile(word) };
        Ok(())
    }

    fn user_word(&self, memory: &Memory, va: VirtAddr) -> Result<Mapping, MapError> {
        if va.0 & 3 != 0 {
            return Err(MapError::Misaligned);
        }
        if !self.live || !self.layout.user.contains(va) {
            return Err(MapError::NotOffered);
        }
        let mapping = self.map.query(memory, va).ok_or(MapError::NotMapped)?;
        // SMAP keeps the kernel out of pages that ring 3 may use.
        if mapping.flags.rights.contains(Rights::USER) { Err(MapError::NotOffered) } else { Ok(mapping) }
    }
}

fn frames(section: &Section) -> FrameRun {
    FrameRun { first: section.first, count: section.pages.pages }
}
