//! What each part of physical memory is, put in order.
//!
//! A loader hands over whatever the firmware told it: regions in any order, overlapping, not page-aligned, past
//! the CPU's physical width, thousands of them if it likes. They are put in order here, once and one at a time as
//! they arrive, so that whoever reads the map later finds it sorted, disjoint and in whole pages. Where regions
//! disagree about a page, the most restrictive one wins: to lose RAM is a pity, to use what is not RAM is a crash.
//!
//! The map is an array that the caller gives: it is needed before there is a heap. When the array is full, the map gives up
//! what costs the least RAM (see [`room`]), and never something that has to be left alone.

mod region;
mod room;

use crate::{Frame, FrameRun, PAGE_SHIFT, PAGE_SIZE, PhysAddr};

pub use region::{Kind, Region};
use room::WORKING_PLACES;

/// No x86 CPU has more physical address bits (SDM vol. 3A, 4.1.4). What a loader lists beyond them does not exist.
const MAX_PHYS_BITS: u32 = 52;

/// What did not get into a [`MemoryMap`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// How many regions became one with a neighbour because the map's storage was full.
    pub joined: u64,
    /// How many runs of usable RAM were given up for the same reason.
    pub dropped: u64,
    /// Bytes of RAM that this cost.
    pub dropped_bytes: u64,
    /// How many regions reached beyond what any physical address can be, by their size or by wrapping round 2^64,
    /// and were cut off there.
    pub clamped: u64,
}

/// What each page of physical memory is: regions that are sorted, disjoint and made of whole pages; neighbours of
/// the same kind are one region. What lies in no region is not RAM.
pub struct MemoryMap<'a> {
    storage: &'a mut [Region],
    used: usize,
    limit: u64,
    losses: Losses,
    /// How many regions the searches for room have looked at.
    #[cfg(test)]
    visited: usize,
}

impl<'a> MemoryMap<'a> {
    /// The least storage that a map can work with.
    pub const LEAST_STORAGE: usize = 4;

    /// A map of nothing. N regions that overlap in the worst way need 2 N + 3 places in `storage`: two are used while a region
    /// is put in.
    ///
    /// # Panics
    /// If there are fewer than [`LEAST_STORAGE`](Self::LEAST_STORAGE) places.
    pub fn new(storage: &'a mut [Region]) -> Self {
        assert!(storage.len() >= Self::LEAST_STORAGE, "no storage for a memory map");
        Self {
            storage,
            used: 0,
            limit: 1 << MAX_PHYS_BITS,
            losses: Losses::default(),
            #[cfg(test)]
            visited: 0,
        }
    }

    /// Adds what is known about the `bytes` bytes from `start` on. The order of such calls does not matter.
    ///
    /// Usable RAM is rounded inwards to whole pages and everything else outwards. A region without bytes adds
    /// nothing, and what lies beyond the physical width is cut off.
    pub fn insert(&mut self, start: PhysAddr, bytes: u64, kind: Kind) {
        if bytes == 0 {
            return;
        }
        let end = start.0.saturating_add(bytes);
        self.losses.clamped += u64::from(end > 1 << MAX_PHYS_BITS);
        // After the clamping nothing below can overflow: the limit is a multiple of the page size, far below 2^64.
        let (start, end) = (start.0.min(self.limit), end.min(self.limit));
        let (start, end) = match kind {
            Kind::Usable => (start.next_multiple_of(PAGE_SIZE), end & !(PAGE_SIZE - 1)),
            _ => (start & !(PAGE_SIZE - 1), end.next_multiple_of(PAGE_SIZE)),
        };
        self.lay(start, end, kind);
    }

    /// Takes the bytes `start .. end` out of what is usable, rounded outwards to whole pages. What is more
    /// restricted than `kind` there already stays so.
    pub fn reserve(&mut self, start: PhysAddr, end: PhysAddr, kind: Kind) {
        self.insert(start, end.0.saturating_sub(start.0), kind);
    }

    /// Says what the RAM among the `bytes` bytes from `start` on holds, rounded outwards to whole pages. Unlike
    /// [`insert`](Self::insert) it makes no RAM where the map has none. Returns how many bytes of the pages are no RAM.
    pub fn claim(&mut self, start: PhysAddr, bytes: u64, kind: Kind) -> u64 {
        if bytes == 0 {
            // Rounded outwards, nothing would be a page.
            return 0;
        }
        let claimed = start.0.saturating_add(bytes);
        let mut outside = claimed.saturating_sub(start.0.max(self.limit));
        let end = claimed.min(self.limit).next_multiple_of(PAGE_SIZE);
        let mut at = start.0.min(self.limit) & !(PAGE_SIZE - 1);
        while at < end {
            let regions = &self.storage[..self.used];
            let here = regions.get(regions.partition_point(|region| region.end.0 <= at));
            let (next, ram) = match here {
                Some(region) if region.start.0 <= at => (region.end.0.min(end), region.kind.is_ram()),
                Some(region) => (region.start.0.min(end), false),
                None => (end, false),
            };
            if ram {
                self.lay(at, next, kind);
            } else {
                outside += next - at;
            }
            at = next;
        }
        outside
    }

    /// Says what the pages of `start .. end` hold whatever was said of them so far: for memory of which more is
    /// known than a loader can tell, as that the kernel runs in it. Returns how many bytes of them the map took for no RAM.
    pub fn overrule(&mut self, start: PhysAddr, end: PhysAddr, kind: Kind) -> u64 {
        let (start, end) = (start.0 & !(PAGE_SIZE - 1), end.0.min(self.limit).next_multiple_of(PAGE_SIZE));
        let shared = |run: FrameRun| run.end().start().0.min(end).saturating_sub(run.first.start().0.max(start));
        let ram: u64 = self.ram_runs().map(shared).sum();
        self.lay_where(start, end, kind, |old, new| old != new);
        end.saturating_sub(start) - ram
    }

    /// Cuts off everything that a CPU with `phys_bits` physical address bits cannot reach, now and for all that is
    /// inserted later. Returns how many bytes of usable RAM that costs.
    pub fn cut_at(&mut self, phys_bits: u32) -> u64 {
        let limit = 1u64 << phys_bits.clamp(PAGE_SHIFT, MAX_PHYS_BITS);
        self.limit = self.limit.min(limit);
        let mut cut = 0;
        while let Some(last) = self.storage[..self.used].last_mut() {
            if last.end.0 <= limit {
                break;
            }
            let start = last.start.0.max(limit);
            cut += if last.kind == Kind::Usable { last.end.0 - start } else { 0 };
            last.end.0 = start.min(limit);
            if last.start < last.end {
                break;
            }
            self.used -= 1;
        }
        cut
    }

    /// The regions, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Region> + Clone {
        self.storage[..self.used].iter()
    }

    /// What `frame` is; `None` if no region holds it.
    pub fn kind_of(&self, frame: Frame) -> Option<Kind> {
        let regions = &self.storage[..self.used];
        let at = regions.partition_point(|region| region.frames().end() <= frame);
        regions.get(at).filter(|region| region.frames().contains(frame)).map(|region| region.kind)
    }

    /// The frames that nobody has claimed, as runs as long as can be, in ascending order.
    pub fn usable_runs(&self) -> impl Iterator<Item = FrameRun> + Clone {
        self.iter().filter(|region| region.kind == Kind::Usable).map(Region::frames)
    }

    /// The frames that are RAM, whoever has claimed them, as runs as long as can be, in ascending order: what may
    /// be mapped write-back ([`Kind::is_ram`]).
    pub fn ram_runs(&self) -> impl Iterator<Item = FrameRun> + Clone {
        let mut regions = self.iter().filter(|region| region.kind.is_ram()).map(Region::frames).peekable();
        core::iter::from_fn(move || {
            let mut run = regions.next()?;
            while let Some(next) = regions.next_if(|next| next.first == run.end()) {
                run.count += next.count;
            }
            Some(run)
        })
    }

    /// How much RAM there is, whoever has claimed it, in KiB.
    pub fn total_ram_kib(&self) -> u64 {
        self.ram_runs().map(|run| run.count * (PAGE_SIZE / 1024)).sum()
    }

    /// What did not get in.
    pub const fn losses(&self) -> Losses {
        self.losses
    }

    /// Makes `start .. end` (whole pages) `kind` wherever it is less restricted or nothing so far.
    fn lay(&mut self, start: u64, end: u64, kind: Kind) {
        self.lay_where(start, end, kind, |old, new| old < new);
    }

    /// Makes `start .. end` (whole pages) `kind` wherever it is nothing so far, or of a kind that `yields` to it.
    ///
    /// It goes from one stretch where `kind` wins to the next. In such a stretch every region gives way; what
    /// sticks out of the stretch at either end remains. Each step looks for its place anew, because the one before it
    /// may have made room anywhere in the array.
    fn lay_where(&mut self, start: u64, end: u64, kind: Kind, yields: fn(Kind, Kind) -> bool) {
        let mut at = start;
        while at < end {
            let regions = &self.storage[..self.used];
            let mut first = regions.partition_point(|region| region.end.0 <= at);
            if let Some(region) = regions.get(first)
                && region.start.0 <= at
                && !yields(region.kind, kind)
            {
                at = region.end.0;
                continue;
            }
            // The regions first .. last give way.
            let here = regions[first..].iter().take_while(|region| region.start.0 < end);
            let mut last = first + here.take_while(|region| yields(region.kind, kind)).count();
            let stretch = regions.get(last).map_or(end, |region| region.start.0.min(end));

            let mut middle = Region { start: PhysAddr(at), end: PhysAddr(stretch), kind };
            let mut pieces = Pieces::default();
            if let Some(left) = regions[first..last].first().filter(|region| region.start.0 < at) {
                pieces.push(Region { end: PhysAddr(at), ..*left });
            } else if let Some(left) = first.checked_sub(1).map(|left| regions[left])
                && left.end.0 == at
                && left.kind == kind
            {
                first -= 1;
                middle.start = left.start;
            }
            let right = regions[first..last].last().filter(|region| region.end.0 > stretch).copied();
            if right.is_none()
                && let Some(next) = regions.get(last)
                && next.start.0 == stretch
                && next.kind == kind
            {
                last += 1;
                middle.end = next.end;
            }
            pieces.push(middle);
            if let Some(right) = right {
                pieces.push(Region { start: PhysAddr(stretch), ..right });
            }

            self.splice(first, last, pieces.as_slice());
            let full = self.storage.len() - WORKING_PLACES;
            if self.used > full {
                self.make_room(self.used - full);
            }
            at = stretch;
        }
    }

    /// Puts `pieces` in the place of the regions `first .. last`. They are at most two more, for which there is always room.
    fn splice(&mut self, first: usize, last: usize, pieces: &[Region]) {
        let behind = first + pieces.len();
        self.storage.copy_within(last..self.used, behind);
        self.storage[first..behind].copy_from_slice(pieces);
        self.used = self.used + pieces.len() - (last - first);
    }
}

/// Up to three regions that take the place of others.
#[derive(Default)]
struct Pieces {
    regions: [Region; 3],
    len: usize,
}

impl Pieces {
    fn push(&mut self, region: Region) {
        self.regions[self.len] = region;
        self.len += 1;
    }

    fn as_slice(&self) -> &[Region] {
        &self.regions[..self.len]
    }
}
