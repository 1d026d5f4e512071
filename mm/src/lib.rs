//! Paging for x86 whose number of levels is picked when the machine boots, and the physical frames under it.
//!
//! # What lives here
//!
//! Arithmetic and tables. A [`Format`] says how one mode writes an entry (a codec) and what shape its tables have
//! ([`PagingInfo`]: three numbers, from which everything else follows). One walker (`walk`), generic in the format
//! and in nothing else, reads and changes trees. [`PagingRoutines::of`] makes a table of its functions for a format,
//! and [`select()`] picks one of two such tables from what CPUID and the command line say. From there on nobody
//! needs to know which it was.
//!
//! ```text
//!   Features, Options ── select ──> Paging = routine table + Limits
//!                                     │
//!   MemoryMap ──> Frames ──> Memory   │        PageMap: a root and its Paging
//!                  Window ─────┴──────┴──────> KernelMap: the tree the kernel runs on, behind a safe face
//! ```
//!
//! # How a change goes
//!
//! Every routine takes a *range*: one indirect call for all of it, and the loop over entries is inside. A change
//! looks first (every reason to refuse, every table that will be missing), then takes the tables, then changes the
//! tree, and only the middle step can fail after the first: on an error nothing has changed. What the CPU may still
//! remember comes back as a [`Stale`] token that must be flushed; tables that were taken out of the tree are in
//! it, and are free only after the flush.
//!
//! # What must never come in
//!
//! No `asm!`, no control register, no `cfg` on the architecture inside logic: the host builds and tests all four
//! formats in one binary, against physical memory that is a `Vec`. The only two `cfg`s that matter pick which
//! routine tables exist. What the CPU has to do (a flush, a load of CR3) is asked of an [`Mmu`] or left to whoever
//! may do it. Physical addresses are `u64` everywhere: PAE exists.
//!
//! Unsafe code stands only where memory is touched or where a frame's last owner has to be trusted. The comment at each block
//! says why it is sound.
#![cfg_attr(not(test), no_std)]

mod access;
mod addr;
mod blanks;
mod chain;
mod claims;
mod cursor;
mod entry;
mod epoch;
mod error;
mod flags;
mod flush;
mod format;
mod formats;
pub mod frames;
mod info;
#[cfg(feature = "inject")]
mod inject;
mod kernel_map;
mod layout;
mod limits;
mod memory;
mod memory_map;
mod owned;
mod page_map;
mod plant;
mod pool;
pub mod reserved;
mod residence;
mod routines;
mod select;
mod shares;
mod stale;
mod sync;
mod trees;
mod trial;
mod walk;
mod window;
mod words;

/// The most CPUs that a machine can have: all that has a place for each CPU follows from this.
pub const MOST_CPUS: usize = 512;

pub use access::{Access, AccessKind, Controls, FaultCode, Refusal};
pub use addr::{Frame, FrameRun, PAGE_SHIFT, PAGE_SIZE, PageRange, PhysAddr, VirtAddr};
pub use claims::{Claim, Claims};
pub use cursor::Cursor;
pub use entry::{Entry, Half, Halves};
pub use epoch::Epoch;
pub use error::MapError;
pub use flags::{Cache, PAT, PageFlags, Rights};
pub use flush::Flush;
pub use format::{Format, Pte};
pub use formats::{Pml2, Pml3, Pml4, Pml5};
pub use frames::{FrameError, Frames};
pub use info::{Level, PagingInfo};
pub use kernel_map::{AddressSpace, Changed, KernelMap, Section, Stack, Width};
pub use layout::Layout;
pub use limits::{Features, Limits};
pub use memory::Memory;
pub use memory_map::{Kind, Losses, MemoryMap, Region};
pub use owned::OwnedFrames;
pub use page_map::PageMap;
pub use pool::{Peers, Pool};
pub use residence::{Change, Forget, Residence};
#[cfg(target_os = "none")]
pub use routines::FAMILY;
#[cfg(any(target_arch = "x86_64", not(target_os = "none")))]
pub use routines::amd64;
#[cfg(any(target_arch = "x86", not(target_os = "none")))]
pub use routines::i686;
pub use routines::{Holes, ListRequest, MapRequest, Mapping, PagingRoutines, ProtectRequest, Report, Seen, Step};
pub use select::{Family, Options, Paging, Reason, Selection, Xpa, select};
pub use shares::ShareError;
pub use stale::{Mmu, Stale};
pub use trial::Trial;
pub use walk::RawEntry;
pub use window::Window;
