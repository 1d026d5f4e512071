//! Paging for x86, with the level picked at run time.
#![cfg_attr(not(test), no_std)]

mod addr;
mod chain;
mod error;
mod entry;
mod flags;
mod format;
mod formats;
pub mod frames;
mod info;
mod kernel_map;
mod layout;
mod limits;
mod memory;
mod owned;
mod page_map;
mod routines;
mod select;
mod stale;
mod walk;
mod window;

pub use addr::{Frame, FrameRun, PAGE_SHIFT, PAGE_SIZE, PageRange, PhysAddr, VirtAddr};
pub use chain::Chain;
pub use error::MapError;
pub use entry::Entry;
pub use flags::{Cache, PAT, PageFlags, Rights};
pub use format::{Format, Pte};
pub use formats::{Pml2, Pml3, Pml4, Pml5};
pub use frames::{FrameError, Frames};
pub use info::{Level, PagingInfo};
pub use kernel_map::{KernelMap, Section};
pub use layout::Layout;
pub use limits::{Features, Limits};
pub use memory::Memory;
pub use owned::OwnedFrames;
pub use page_map::PageMap;
pub use routines::{Holes, MapRequest, Mapping, PagingRoutines, Report, Seen, Step};
#[cfg(any(target_arch = "x86", not(target_os = "none")))]
pub use routines::i686;
#[cfg(any(target_arch = "x86_64", not(target_os = "none")))]
pub use routines::amd64;
#[cfg(target_os = "none")]
pub use routines::FAMILY;
pub use select::{Family, Options, Paging, Reason, Selection, Xpa, select};
pub use stale::{Mmu, Stale};
pub use window::Window;
