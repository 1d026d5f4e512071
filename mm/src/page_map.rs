//! An address space: a root, and the routines that know how to read it.

use crate::routines::{Report, Step};
use crate::{
    Access, Controls, Frame, Holes, Level, ListRequest, MapError, MapRequest, Mapping, Memory, PageFlags, PageRange,
    Paging, PhysAddr, ProtectRequest, RawEntry, Refusal, Seen, Stale, VirtAddr,
};

/// One tree of page tables. It owns its tables; what its leaves map belongs to whoever mapped it.
///
/// Changing a tree is always safe in itself; using it is not, so loading one into CR3 is `unsafe` and lies with
/// `arch`. What may be changed in the tree that the kernel itself runs on, [`KernelMap`](crate::KernelMap) decides.
pub struct PageMap {
    root: Frame,
    paging: Paging,
    live: bool,
}

impl PageMap {
    /// A tree with nothing in it but the self-map.
    ///
    /// # Errors
    /// [`MapError::NoMemory`].
    pub fn new(memory: &mut Memory, paging: Paging) -> Result<Self, MapError> {
        let root = (paging.routines.new_root)(memory, &paging.limits)?;
        Ok(Self { root, paging, live: false })
    }

    /// Says whether a CPU may have the root loaded from now on: then it sets accessed and dirty marks while entries are changed, and
    /// care is taken that none of those that stay gets lost.
    pub const fn set_live(&mut self, live: bool) {
        self.live = live;
    }

    /// Whether a CPU may have the root loaded.
    pub(crate) const fn is_live(&self) -> bool {
        self.live
    }

    /// The frame that CR3 is to point to.
    pub const fn root(&self) -> Frame {
        self.root
    }

    /// The mode that the tree is for.
    pub const fn paging(&self) -> &Paging {
        &self.paging
    }

    /// Maps a range onto consecutive frames with the largest pages that fit.
    ///
    /// # Errors
    /// Any [`MapError`] but [`NotMapped`](MapError::NotMapped) and [`NotOffered`](MapError::NotOffered).
    pub fn map(&mut self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        memory.catch_up();
        (self.paging.routines.map)(memory, self.root, &self.paging.limits, request)
    }

    /// Maps pages onto the frames of a list.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_list(&mut self, memory: &mut Memory, request: &ListRequest) -> Result<(), MapError> {
        memory.catch_up();
        (self.paging.routines.map_list)(memory, self.root, &self.paging.limits, request)
    }

    /// Unmaps a range, all of which must be mapped.
    ///
    /// # Errors
    /// What is wrong with the range, [`MapError::NotMapped`], or [`MapError::NoMemory`] if a large page has to
    /// be split and there is no frame for the table.
    pub fn unmap(&mut self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Stale, MapError> {
        memory.catch_up();
        (self.paging.routines.unmap)(memory, self.root, range, Holes::Refuse, report)
    }

    /// Unmaps whatever is mapped in a range.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap), but for [`MapError::NotMapped`].
    pub fn clear(&mut self, memory: &mut Memory, range: PageRange, report: Report) -> Result<Stale, MapError> {
        memory.catch_up();
        (self.paging.routines.unmap)(memory, self.root, range, Holes::Skip, report)
    }

    /// Changes what a range, all of which must be mapped, permits.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    pub fn protect(&mut self, memory: &mut Memory, range: PageRange, flags: PageFlags) -> Result<Stale, MapError> {
        memory.catch_up();
        let request = ProtectRequest { range, flags, live: self.live };
        (self.paging.routines.protect)(memory, self.root, &self.paging.limits, &request)
    }

    /// Splits large pages until none crosses an end of the range.
    ///
    /// # Errors
    /// What is wrong with the range, or [`MapError::NoMemory`].
    pub fn split(&mut self, memory: &mut Memory, range: PageRange) -> Result<Stale, MapError> {
        memory.catch_up();
        (self.paging.routines.split)(memory, self.root, range)
    }

    /// Joins the pages of a range into the largest that fit.
    ///
    /// # Errors
    /// What is wrong with the range.
    pub fn merge(&mut self, memory: &mut Memory, range: PageRange) -> Result<Stale, MapError> {
        memory.catch_up();
        (self.paging.routines.merge)(memory, self.root, &self.paging.limits, range)
    }

    /// Takes out the tables of a range that have no entry left.
    ///
    /// # Errors
    /// What is wrong with the range.
    pub fn trim(&mut self, memory: &mut Memory, range: PageRange) -> Result<Stale, MapError> {
        memory.catch_up();
        (self.paging.routines.trim)(memory, self.root, range)
    }

    /// The leaf that maps an address.
    pub fn query(&self, memory: &Memory, va: VirtAddr) -> Option<Mapping> {
        memory.catch_up();
        (self.paging.routines.query)(memory, self.root, va)
    }

    /// Where the byte at an address lies in physical memory, if it is mapped.
    pub fn translate(&self, memory: &Memory, va: VirtAddr) -> Option<PhysAddr> {
        memory.catch_up();
        (self.paging.routines.translate)(memory, self.root, va)
    }

    /// Every entry on the way to an address, from the root down.
    pub fn path(&self, memory: &Memory, va: VirtAddr, each: &mut dyn FnMut(Step)) {
        (self.paging.routines.path)(memory, self.root, va, each);
    }

    /// Every table and leaf, in the order of addresses.
    pub fn visit(&self, memory: &Memory, each: &mut dyn FnMut(Seen)) {
        (self.paging.routines.visit)(memory, self.root, each);
    }

    /// Every present entry word by word, wrong ones included, of the tables of level `lowest` and above. Leaves that
    /// continue one another come as one.
    pub fn entries(&self, memory: &Memory, lowest: Level, each: &mut dyn FnMut(RawEntry)) {
        (self.paging.routines.entries)(memory, self.root, lowest, each);
    }

    /// What the CPU does about an access to `va`: nothing, or the fault that it raises.
    ///
    /// # Errors
    /// The fault, or that the tables lead where nobody can look.
    pub fn verdict(&self, memory: &Memory, va: VirtAddr, access: Access, controls: &Controls) -> Result<(), Refusal> {
        (self.paging.routines.verdict)(memory, self.root, va, access, controls)
    }

    /// Has the kernel half of `other`, which is for the same mode, lead where this one's does, but for the self-map.
    pub(crate) fn share(&self, memory: &mut Memory, other: &Self) {
        self.share_with(memory, other.root);
    }

    /// The same, for the tree with this root.
    pub(crate) fn share_with(&self, memory: &mut Memory, root: Frame) {
        (self.paging.routines.share)(memory, Some(self.root), root);
    }

    /// Has the kernel half lead nowhere, because what it leads to is another tree's.
    pub(crate) fn unshare(&self, memory: &mut Memory) {
        (self.paging.routines.share)(memory, None, self.root);
    }

    /// [`map`](Self::map) by one of several CPUs, which has claimed every page that is covered by an entry which may be written, and
    /// has caught up since.
    pub(crate) fn map_claimed(&self, memory: &mut Memory, request: &MapRequest) -> Result<(), MapError> {
        (self.paging.routines.map)(memory, self.root, &self.paging.limits, request)
    }

    /// [`unmap`](Self::unmap), likewise.
    pub(crate) fn unmap_claimed(
        &self,
        memory: &mut Memory,
        range: PageRange,
        report: Report,
    ) -> Result<Stale, MapError> {
        (self.paging.routines.unmap)(memory, self.root, range, Holes::Refuse, report)
    }

    /// [`protect`](Self::protect), likewise.
    pub(crate) fn protect_claimed(&self, memory: &mut Memory, request: &ProtectRequest) -> Result<Stale, MapError> {
        (self.paging.routines.protect)(memory, self.root, &self.paging.limits, request)
    }

    /// Gives all tables back.
    ///
    /// # Safety
    /// No CPU uses the tree any more, and none has anything of it in its caches: since the root was last in a
    /// CR3, that CPU has loaded another and has flushed the global pages that the trees do not share.
    pub unsafe fn free(self, memory: &mut Memory) {
        (self.paging.routines.free)(memory, self.root);
    }
}
