//! Address spaces: a user half of its own, and the kernel half of the kernel's tree.
//!
//! What the kernel half shares are the tables that its topmost entries name; the entries themselves are copied into each space, so
//! they have to follow when one comes or goes in the kernel's tree. There, only stacks and devices make one come and only stacks
//! make one go, all under `&mut KernelMap`: each of these copies what has changed before it returns, and before the flush behind
//! which a table is given back. In pml4 and pml5 the topmost entries are all there from the start and nothing is ever copied again; in
//! pml2 and pml3 they are a few hundred words a space. Tables made in advance would cost up to half a MiB instead.
//!
//! # Several CPUs in one space
//!
//! Each changes it with a [`Memory`] of its own. A change claims pages before it looks, and has them until what it has left behind
//! is flushed. All changes keep one rule: *an entry is written only by who has claimed every page that it covers.* Whoever reads an entry
//! has claimed some page that it covers, so nobody else writes it meanwhile, and the walker is as alone on its way as it is where one
//! CPU has the whole tree.
//!
//! So a claim is made of whole entries of level 2. That is enough if tables lead as far as there, as they mostly do. If an entry above
//! has to be written, because it is absent or maps a large page, the claim is given back for one of all that this entry covers.

use super::KernelMap;
use super::user::within;
use crate::{
    Claim, Claims, Frame, Level, MapError, MapRequest, Memory, Mmu, PageFlags, PageMap, PageRange, PagingInfo,
    PhysAddr, ProtectRequest, Report, Rights, Stale, VirtAddr,
};

/// A user half of its own. What it maps belongs to whoever mapped it.
#[must_use = "a space that is not given back is lost"]
pub struct AddressSpace {
    map: PageMap,
    number: usize,
    user: PageRange,
    /// Where its [`Claims`] are: a frame of the window.
    claims: Frame,
}

/// A change of a space that CPUs may not have heard of. The pages are claimed until it is flushed.
#[must_use = "the CPUs go on using the old translations until they are flushed"]
pub struct Changed<'a> {
    stale: Stale,
    claim: Claim<'a>,
}

impl Changed<'_> {
    /// Flushes what is stale wherever the space is live, gives tables back, and then the claim.
    pub fn flush(self, memory: &mut Memory, mmu: &dyn Mmu) {
        self.stale.flush(memory, mmu);
        drop(self.claim);
    }

    /// Gives tables and claim back without a flush.
    ///
    /// # Safety
    /// As for [`Stale::forget`].
    pub unsafe fn forget(self, memory: &mut Memory) {
        // SAFETY: by this function's contract.
        unsafe { self.stale.forget(memory) };
        drop(self.claim);
    }

    /// How many page tables wait to be given back.
    pub const fn tables_held(&self) -> u64 {
        self.stale.tables_held()
    }
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
    pub fn map(&self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        within(&self.map, self.user, request.range)?;
        if request.flags.rights.contains(Rights::GLOBAL) {
            return Err(MapError::NotOffered);
        }
        let _claim = self.claim(memory, request.range);
        self.map.map_claimed(memory, request)
    }

    /// Unmaps pages of the user half, all of which must be mapped. To be flushed where the space is live.
    ///
    /// # Errors
    /// [`MapError::NotOffered`] outside the user region, else as [`PageMap::unmap`].
    pub fn unmap(&self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Changed<'_>, MapError> {
        within(&self.map, self.user, range)?;
        let claim = self.claim(memory, range);
        let stale = self.map.unmap_claimed(memory, range, report)?;
        Ok(Changed { stale, claim })
    }

    /// Changes what pages of the user half permit, all of which must be mapped. To be flushed where the space is live.
    ///
    /// # Errors
    /// As [`map`](Self::map) for the flags, as [`unmap`](Self::unmap) for the range.
    pub fn protect(&self, memory: &mut Memory, range: PageRange, flags: PageFlags) -> Result<Changed<'_>, MapError> {
        within(&self.map, self.user, range)?;
        if flags.rights.contains(Rights::GLOBAL) {
            return Err(MapError::NotOffered);
        }
        let claim = self.claim(memory, range);
        let stale = self.map.protect_claimed(memory, &ProtectRequest { range, flags, live: self.map.is_live() })?;
        Ok(Changed { stale, claim })
    }

    /// Where the byte at an address lies in physical memory, at some time during the call. It waits for nobody, but in pml3: entries
    /// are stored in halves there, and who reads without a claim might join those of two that came one after the other.
    pub fn translate(&self, memory: &Memory, va: VirtAddr) -> Option<PhysAddr> {
        let routines = self.map.paging().routines;
        let look = || (routines.look)(memory, self.map.root(), va);
        if routines.info.root_is_registers {
            let _claim = self.user.contains(va).then(|| self.claim(memory, PageRange::new(va.page(), 1)));
            return look();
        }
        memory.steady(look)
    }

    /// Claims `range`, and what else is needed to change it in any way.
    fn claim(&self, memory: &Memory, range: PageRange) -> Claim<'_> {
        let routines = self.map.paging().routines;
        let info = &routines.info;
        let claims = memory.window.at(self.claims).cast::<Claims>();
        // SAFETY: the frame is the space's and in the window for as long as there is the space; it was zeroed, which is a value,
        // and is used for nothing else. The window stays where it is while there are spaces.
        let claims: &Claims = unsafe { &*claims };
        let (first, last) = (info.page_number(range.start), info.page_number(range.last_byte()));
        let mut level = level_within(info, first, last);
        loop {
            let (pages, piece) = (info.pages(level), info.pages(2));
            let claim = claims.claim((first & !(pages - 1)) / piece, (last | (pages - 1)) / piece);
            memory.catch_up();
            // What lies above `level` all pages have in common, so it is enough to follow the first.
            let depth = (routines.depth)(memory, self.map.root(), range.start);
            if depth <= level {
                return claim;
            }
            level = depth;
        }
    }
}

/// The highest level, from 2 on, of which pages from number `first` to number `last` may have more than one entry.
fn level_within(info: &PagingInfo, first: u64, last: u64) -> Level {
    let has_several = |level: &Level| first / info.pages(*level) != last / info.pages(*level);
    (3..=info.levels).rev().find(has_several).unwrap_or(2)
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
    /// [`MapError::NoMemory`]; [`MapError::TooMany`] if there are as many as there can be.
    pub fn new_space(&mut self, memory: &mut Memory) -> Result<AddressSpace, MapError> {
        let free = self.spaces.0.iter().position(Option::is_none).ok_or(MapError::TooMany)?;
        let claims = memory.table()?;
        let mut map = PageMap::new(memory, *self.map.paging()).inspect_err(|_| memory.give_back(claims))?;
        map.set_live(true);
        self.map.share(memory, &map);
        self.spaces.0[free] = Some(map.root());
        Ok(AddressSpace { map, number: free + 1, user: self.layout.user, claims })
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
        memory.give_back(space.claims);
    }

    /// Copies what has changed in the topmost entries of the kernel half to all spaces.
    pub(super) fn share_with_spaces(&self, memory: &mut Memory) {
        for root in self.spaces.0.iter().flatten() {
            self.map.share_with(memory, *root);
        }
    }
}
