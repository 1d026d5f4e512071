//! The routine table: all that the kernel knows of page tables.
//!
//! One `static` a mode, bound once at boot. Each routine takes a range and costs one indirect call for all of
//! it, so that picking the mode at run time costs nothing that can be measured.

use crate::{Access, Controls, Family, Features, Format, Frame, FrameRun, Level, Limits, MapError, Memory, PageFlags};
use crate::{PageRange, PagingInfo, PhysAddr, Pte, RawEntry, Refusal, Rights, Stale, VirtAddr, walk};

/// What to map where: the pages of `range`, in order, onto the frames from `first` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapRequest {
    /// The pages.
    pub range: PageRange,
    /// The frame of the first page.
    pub first: Frame,
    /// What the mapping permits.
    pub flags: PageFlags,
}

/// What to map where: pages from `start` on, in order, each onto its frame of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListRequest<'a> {
    /// The first page.
    pub start: VirtAddr,
    /// A frame for each page.
    pub frames: &'a [Frame],
    /// What the mapping permits.
    pub flags: PageFlags,
}

/// What to change where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProtectRequest {
    /// The pages.
    pub range: PageRange,
    /// What their mappings permit from now on.
    pub flags: PageFlags,
    /// Whether a CPU may set marks in the entries meanwhile, because the tree is live: none must get lost.
    pub live: bool,
}

/// A leaf as [`query`](PagingRoutines::query) finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The first address that the leaf maps.
    pub start: VirtAddr,
    /// The first frame.
    pub frame: Frame,
    /// The level of the entry: 1 is a 4 KiB page.
    pub level: Level,
    /// What an access may do, after all levels have had their say.
    pub flags: PageFlags,
}

/// What [`visit`](PagingRoutines::visit) comes across.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// An entry of a table at `level` that names a table of the level below.
    Table {
        /// The first address that the entry covers.
        start: VirtAddr,
        /// The level of the table that holds the entry.
        level: Level,
        /// The frame of the table that it names.
        frame: Frame,
        /// What all levels down to this one let through.
        rights: Rights,
    },
    /// A leaf.
    Leaf(Mapping),
    /// An entry of the self-map, at `level`: it names a table that is met elsewhere in the tree.
    SelfMap {
        /// The first address that the entry covers.
        start: VirtAddr,
        /// The level of the table that holds the entry.
        level: Level,
        /// The frame of the table that it names.
        frame: Frame,
        /// What all levels down to this one let through.
        rights: Rights,
    },
}

/// One entry on the way to an address, as [`path`](PagingRoutines::path) finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The level of the table that holds the entry.
    pub level: Level,
    /// Where the entry lies in physical memory.
    pub at: PhysAddr,
    /// The word.
    pub raw: u64,
    /// What it says.
    pub pte: Pte,
}

/// What a range operation does at a page where nothing is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holes {
    /// Refuse the whole range: [`MapError::NotMapped`].
    Refuse,
    /// Go on behind it.
    Skip,
}

/// Told of the frames that an unmap sets free, in the order of their pages, as long runs as possible.
pub type Report<'a> = Option<&'a mut dyn FnMut(FrameRun)>;

/// How the tables of one mode are read and changed. All of it works on any tree, live or not; a change to a
/// live one is complete only when its [`Stale`] has been flushed.
///
/// On an error nothing has changed.
pub struct PagingRoutines {
    /// The shape of the tables.
    pub info: PagingInfo,

    /// A new tree with nothing in it but the self-map.
    pub new_root: fn(&mut Memory, &Limits) -> Result<Frame, MapError>,

    /// Maps a range with the largest pages that fit. Every page must be free.
    pub map: fn(&mut Memory, Frame, &Limits, &MapRequest) -> Result<(), MapError>,

    /// Maps pages onto the frames of a list, each by an entry of its own. Every page must be free.
    pub map_list: fn(&mut Memory, Frame, &Limits, &ListRequest) -> Result<(), MapError>,

    /// Unmaps a range; a large page that lies partly outside is split. Tables that become empty because the
    /// range covers all of what they map are taken out of the tree.
    pub unmap: fn(&mut Memory, Frame, PageRange, Holes, Report) -> Result<Stale, MapError>,

    /// Changes what a range permits. Every page must be mapped; a large page that lies partly outside is split.
    pub protect: fn(&mut Memory, Frame, &Limits, &ProtectRequest) -> Result<Stale, MapError>,

    /// Splits large pages so that none crosses either end of the range. What is mapped stays as it was.
    pub split: fn(&mut Memory, Frame, PageRange) -> Result<Stale, MapError>,

    /// Joins the pages of the range into the largest that fit; the tables that held them wait in the token.
    pub merge: fn(&mut Memory, Frame, &Limits, PageRange) -> Result<Stale, MapError>,

    /// Takes tables without entries out of the tree, for the part of it that the range covers.
    pub trim: fn(&mut Memory, Frame, PageRange) -> Result<Stale, MapError>,

    /// The leaf that maps an address.
    pub query: fn(&Memory, Frame, VirtAddr) -> Option<Mapping>,

    /// Where the byte at an address lies in physical memory: less than [`query`](Self::query) tells, and sooner.
    pub translate: fn(&Memory, Frame, VirtAddr) -> Option<PhysAddr>,

    /// The same, among tables that others change meanwhile: whatever it comes to, it goes by no hint, and ends.
    pub look: fn(&Memory, Frame, VirtAddr) -> Option<PhysAddr>,

    /// The level of the first entry on the way to an address in the user half that names no table, or 2 if it is below that.
    pub depth: fn(&Memory, Frame, VirtAddr) -> Level,

    /// Every entry on the way to an address, from the root down to the first that is not a table.
    pub path: fn(&Memory, Frame, VirtAddr, &mut dyn FnMut(Step)),

    /// Every table and leaf in the order of addresses, each table before what it maps.
    pub visit: fn(&Memory, Frame, &mut dyn FnMut(Seen)),

    /// Every present entry word by word, wrong ones included, each before what it leads to; of the tables of this level and
    /// above. Leaves that continue one another come as one.
    pub entries: fn(&Memory, Frame, Level, &mut dyn FnMut(RawEntry)),

    /// What the CPU does about an access: `Ok`, or the fault that it raises.
    pub verdict: fn(&Memory, Frame, VirtAddr, Access, &Controls) -> Result<(), Refusal>,

    /// What a [`Cursor`](crate::Cursor) does.
    pub steps: walk::Steps,

    /// Has the kernel half of the second tree lead where that of the first does, but for the self-map; nowhere without a first.
    pub share: fn(&mut Memory, Option<Frame>, Frame),

    /// Gives every table of the tree back, the root included. What the leaves map is not touched.
    ///
    /// Safe to call, but the caller sees to it that no CPU uses the tree: see [`PageMap::free`](crate::PageMap::free).
    pub free: fn(&mut Memory, Frame),
}

impl PagingRoutines {
    /// The routines for the format `F`.
    pub const fn of<F: Format>() -> Self {
        Self {
            info: F::INFO,
            new_root: walk::new_root::<F>,
            map: walk::map::<F>,
            map_list: walk::map_list::<F>,
            unmap: walk::unmap::<F>,
            protect: walk::protect::<F>,
            split: walk::split::<F>,
            merge: walk::merge::<F>,
            trim: walk::trim::<F>,
            query: walk::query::<F>,
            translate: walk::translate::<F>,
            look: walk::look::<F>,
            depth: walk::depth::<F>,
            path: walk::path::<F>,
            visit: walk::visit::<F>,
            entries: walk::entries::<F>,
            verdict: walk::verdict::<F>,
            steps: walk::Steps::of::<F>(),
            share: walk::share::<F>,
            free: walk::free::<F>,
        }
    }
}

/// The modes of i686.
#[cfg(any(target_arch = "x86", not(target_os = "none")))]
pub mod i686 {
    use super::{Family, Features, PagingRoutines};
    use crate::{Pml2, Pml3};

    /// Two levels.
    pub static PML2: PagingRoutines = PagingRoutines::of::<Pml2>();
    /// Three levels: PAE.
    pub static PML3: PagingRoutines = PagingRoutines::of::<Pml3>();
    /// Which of them PAE decides.
    pub static FAMILY: Family = Family { base: &PML2, xpa: &PML3, xpa_name: "PAE", has_xpa: |cpu: &Features| cpu.pae };
}

/// The modes of amd64.
#[cfg(any(target_arch = "x86_64", not(target_os = "none")))]
pub mod amd64 {
    use super::{Family, Features, PagingRoutines};
    use crate::{Pml4, Pml5};

    /// Four levels.
    pub static PML4: PagingRoutines = PagingRoutines::of::<Pml4>();
    /// Five levels: LA57.
    pub static PML5: PagingRoutines = PagingRoutines::of::<Pml5>();
    /// Which of them LA57 decides.
    pub static FAMILY: Family =
        Family { base: &PML4, xpa: &PML5, xpa_name: "LA57", has_xpa: |cpu: &Features| cpu.la57 };
}

/// The modes of the architecture that this is built for.
#[cfg(all(target_arch = "x86", target_os = "none"))]
pub use i686::FAMILY;

/// The modes of the architecture that this is built for.
#[cfg(all(target_arch = "x86_64", target_os = "none"))]
pub use amd64::FAMILY;
