//! The tree that the kernel itself runs on.
//!
//! A [`PageMap`] may be changed in any way, so whoever changes the live one could pull the ground away under the
//! kernel's feet. This type is the safe face of the live tree: the image and the aperture are laid once, and
//! what it offers afterwards (user pages, devices, a temporary window) cannot touch them.

mod area;
mod look;
mod physical;
mod space;
mod stack;
mod user;

use area::Area;
pub use physical::Width;
use space::Spaces;
pub use space::{AddressSpace, Changed};
use stack::Slots;
pub use stack::Stack;

use crate::{Frame, FrameRun, Layout, MapError, MapRequest, Memory, Mmu};
use crate::{PAGE_SHIFT, PageFlags, PageMap, PageRange, Paging, Rights, VirtAddr, Window};

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

/// The kernel's own tree.
pub struct KernelMap {
    map: PageMap,
    layout: Layout,
    sections: &'static [Section],
    areas: [Option<Area>; area::COUNT],
    stacks: Slots,
    spaces: Spaces,
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
        let mut kernel = Self {
            map,
            layout,
            sections,
            areas: [None; area::COUNT],
            stacks: Slots::NONE,
            spaces: Spaces::NONE,
            next,
            window,
            shown: Frame(0),
            live: false,
        };
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
    /// As [`build`](Self::build); [`MapError::NotOffered`] while there are [address spaces](AddressSpace), which are for this
    /// mode.
    pub fn twin(
        &self,
        memory: &mut Memory,
        paging: Paging,
        ram: impl Iterator<Item = FrameRun>,
    ) -> Result<Self, MapError> {
        if !self.spaces.are_none() {
            return Err(MapError::NotOffered);
        }
        let mut twin = Self::build(memory, paging, self.sections, ram)?;
        for area in self.areas.iter().flatten() {
            if let Err(error) = twin.map.map(memory, &area.request) {
                // SAFETY: the tree was never loaded.
                unsafe { twin.map.free(memory) };
                return Err(error);
            }
        }
        if let Err(error) = self.share_stacks(memory, &mut twin.map) {
            // SAFETY: as above.
            unsafe { twin.map.free(memory) };
            return Err(error);
        }
        twin.stacks = self.stacks;
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

    /// Whether a CPU runs on this tree.
    pub const fn is_live(&self) -> bool {
        self.live
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
        self.map.set_live(live);
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
        } else if self.stack_region().contains(va) {
            "stacks"
        } else if self.layout.dynamic.contains(va) {
            "window"
        } else if self.layout.user.contains(va) {
            "user"
        } else {
            "unknown"
        }
    }
}

fn frames(section: &Section) -> FrameRun {
    FrameRun { first: section.first, count: section.pages.pages }
}
