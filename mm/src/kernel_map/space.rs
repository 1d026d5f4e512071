//! Address spaces: a user half of its own, and the kernel half of the kernel's tree.
//!
//! What the kernel half shares are the tables that its topmost entries name; the entries themselves are copied into each space, so
//! they have to follow when one comes or goes in the kernel's tree. There, only stacks and devices make one come and only stacks
//! make one go, all under `&mut KernelMap`: each of these copies what has changed before it returns, and before the flush behind
//! which a table is given back. In pml4 and pml5 the topmost entries are all there from the start and nothing is ever copied again; in
//! pml2 and pml3 they are a few hundred words a space. Tables made in advance would cost up to half a MiB instead.

use super::KernelMap;
use super::user::within;
use crate::{Frame, MapError, MapRequest, Memory, PageMap, PageRange, Report, Rights, Stale};

/// A user half of its own. What it maps belongs to whoever mapped it.
#[must_use = "a space that is not given back is lost"]
pub struct AddressSpace {
    map: PageMap,
    number: usize,
    user: PageRange,
}

impl AddressSpace {
    /// How many there can be at a time, the kernel's own included, which has the number 0.
    pub const MOST: usize = 16;

    /// Its number: 1 to [`MOST`](Self::MOST) less 1, another's when it has been given back.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The tree, to read.
    pub const fn tables(&self) -> &PageMap {
        &self.map
    }

    /// Maps pages in the user half.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region and for global pages, which would stay when the space is left; else as
    /// [`PageMap::map`].
    pub fn map(&mut self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        within(&self.map, self.user, request.range)?;
        if request.flags.rights.contains(Rights::GLOBAL) {
            return Err(MapError::NotOffered);
        }
        self.map.map(memory, request)
    }

    /// Unmaps pages of the user half, all of which must be mapped. To be flushed where the space is live.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::unmap`].
    pub fn unmap(&mut self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Stale, MapError> {
        within(&self.map, self.user, range)?;
        self.map.unmap(memory, range, report)
    }
}

/// The roots of the spaces that there are, by their numbers less 1.
#[derive(Clone, Copy)]
pub(super) struct Spaces([Option<Frame>; AddressSpace::MOST - 1]);

impl Spaces {
    pub(super) const NONE: Self = Self([None; AddressSpace::MOST - 1]);

    /// Whether there is none.
    pub(super) fn are_none(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl KernelMap {
    /// An address space with nothing in its user half.
    ///
    /// # Errors
    /// [`MapError::NoMemory`], also if there are as many as there can be.
    pub fn new_space(&mut self, memory: &mut Memory) -> Result<AddressSpace, MapError> {
        let free = self.spaces.0.iter().position(Option::is_none).ok_or(MapError::NoMemory)?;
        let map = PageMap::new(memory, *self.map.paging())?;
        self.map.share(memory, &map);
        self.spaces.0[free] = Some(map.root());
        Ok(AddressSpace { map, number: free + 1, user: self.layout.user })
    }

    /// Gives a space back, with the tables of its user half.
    ///
    /// # Panics
    /// If the space is not one of this tree's.
    ///
    /// # Safety
    /// No CPU has it loaded, nor anything of it in its caches.
    pub unsafe fn free_space(&mut self, memory: &mut Memory, space: AddressSpace) {
        let root = self.spaces.0[space.number - 1].take();
        assert!(root == Some(space.map.root()), "an address space of this tree");
        space.map.unshare(memory);
        // SAFETY: the caller's promise, and the kernel half's tables are not below it any more.
        unsafe { space.map.free(memory) };
    }

    /// Copies what has changed in the topmost entries of the kernel half to all spaces.
    pub(super) fn share_with_spaces(&self, memory: &mut Memory) {
        for root in self.spaces.0.iter().flatten() {
            self.map.share_with(memory, *root);
        }
    }
}
