//! The simulated machine: physical memory, an MMU and its caches, and what the tables should say.
//!
//! ```text
//!   arena    bytes that stand for physical memory
//!   mode     the shapes of the four modes, in literals
//!   mmu      translation as the manuals describe it, independent of the crate
//!   tlb      everything a CPU may remember
//!   flush    what makes it forget, and `mm::Mmu` in front of that
//!   cpus     several CPUs on one tree, and the flush that reaches all of them
//!   watched  the formats with a look after every store
//!   scan     a tree read out of memory word by word
//!   model    what the tables should say
//!   program  the one interpreter: bytes in, operations on all of the above, checks after each
//! ```
//!
//! Tests and fuzz targets include this folder by path; not every one of them uses all of it.
#![allow(dead_code)]

pub mod arena;
pub mod cpus;
pub mod flush;
pub mod mmu;
pub mod mode;
pub mod model;
pub mod program;
pub mod rng;
pub mod scan;
pub mod tlb;
pub mod watched;

use std::sync::Arc;

use mm::frames::Boundary;
use mm::{Features, Frame, FrameRun, Frames, MapError, MapRequest, Memory, PageFlags, PageMap, PageRange};
use mm::{Paging, PagingRoutines, Stale, VirtAddr, Window, amd64, i686};

use arena::Arena;
use mmu::{Access, Cpu, Fault, Leaf, Mode};
use scan::Scan;
use tlb::Tlb;

/// All modes.
pub const MODES: [Mode; 4] = [Mode::Pml2, Mode::Pml3, Mode::Pml4, Mode::Pml5];

/// The routines of a mode.
pub fn routines(mode: Mode) -> &'static PagingRoutines {
    match mode {
        Mode::Pml2 => &i686::PML2,
        Mode::Pml3 => &i686::PML3,
        Mode::Pml4 => &amd64::PML4,
        Mode::Pml5 => &amd64::PML5,
    }
}

/// A CPU that has everything.
pub const FULL: Features = Features {
    pse: true,
    pae: true,
    pge: true,
    pat: true,
    nx: true,
    page_1g: true,
    la57: true,
    pse36: true,
    phys_bits: 52,
};

/// Physical memory with an allocator over all of it.
pub struct Machine {
    /// The bytes.
    pub arena: Arc<Arena>,
    /// The crate's view of them.
    pub memory: Memory,
    total: u64,
    books: *mut [u64],
}

impl Machine {
    /// A machine with `frames` frames. They lie on both sides of 4 GiB if the CPU has more than 32 bits for them: roots
    /// belong below, the upper half of an entry is used above.
    pub fn new(cpu: &Cpu, frames: usize) -> Self {
        let first = if cpu.width() > 32 { 0xF_FFF8 } else { 0xF_F000 };
        let arena = Arc::new(Arena::new(first, frames));
        let all = FrameRun { first: Frame(first), count: frames as u64 };
        let runs: &[FrameRun] = if frames == 0 { &[] } else { &[all] };
        // As in the kernel: whoever can do with high memory gets it.
        let zones = [Boundary { end: Frame(0x10_0000), name: "below 4 GiB" }];
        let books = Box::into_raw(vec![0u64; Frames::metadata_words(runs, &zones)].into_boxed_slice());
        // SAFETY: the box lives until the machine is dropped, and the allocator in it with it.
        let frames = Frames::new(runs, &zones, unsafe { &mut *books }).expect("one run is in order");
        // SAFETY: the arena shows exactly these frames and lives as long as the memory beside it.
        let window = unsafe { Window::new(arena.base(), all) };
        Self { arena, memory: Memory::new(window, frames), total: all.count, books }
    }

    /// How many frames it has.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them are free.
    pub fn free_frames(&self) -> u64 {
        self.memory.free_frames()
    }

    /// Fails unless every frame is home.
    pub fn assert_all_home(&self) {
        assert_eq!(self.free_frames(), self.total, "frames were lost");
    }

    /// A CPU that walks the tree at `root`.
    pub fn tlb(&self, cpu: Cpu, root: Frame) -> Tlb {
        let books = Books(self.books);
        Tlb::new(cpu, self.arena.clone(), root.0, Box::new(move || books.sum()))
    }

    /// The tree at `root` as it lies in memory.
    pub fn scan(&self, cpu: &Cpu, root: Frame) -> Scan {
        scan::scan(cpu, &self.arena, root.0)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new`; the allocator that borrows it is dropped with the machine and looks at
        // it no more.
        drop(unsafe { Box::from_raw(self.books) });
    }
}

/// The allocator's metadata, seen from outside: it changes when a frame comes or goes.
struct Books(*mut [u64]);

// SAFETY: one test thread at a time uses a machine.
unsafe impl Send for Books {}
// SAFETY: as above.
unsafe impl Sync for Books {}

impl Books {
    fn sum(&self) -> u64 {
        // SAFETY: the metadata outlives the TLB that asks, and volatile reads take it as it is.
        let word = |n| unsafe { self.0.cast::<u64>().add(n).read_volatile() };
        (0..self.0.len()).map(word).fold(0, |sum, word| sum.rotate_left(5) ^ word.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// The CPU that has these features, with everything switched on that it has. What the crate makes of them is not asked.
pub fn cpu(mode: Mode, features: &Features) -> Cpu {
    Cpu {
        mode,
        phys_bits: features.phys_bits,
        pse: features.pse,
        pge: features.pge,
        pat: features.pat,
        nxe: features.nx && mode != Mode::Pml2,
        page_1g: features.page_1g,
        pse36: features.pse36,
        wp: true,
        smep: false,
        smap: false,
        ac: false,
    }
}

/// A tree in a machine, with a CPU that walks it.
pub struct Booted {
    /// The machine.
    pub machine: Machine,
    /// The tree.
    pub map: PageMap,
    /// The CPU.
    pub cpu: Cpu,
    /// What it remembers.
    pub tlb: Arc<Tlb>,
}

impl Booted {
    /// A machine with a CPU that has everything, and enough memory.
    pub fn full(mode: Mode) -> Self {
        Self::new(mode, &FULL, 256).expect("256 frames are enough")
    }

    /// A machine with `frames` frames that runs on an empty tree, if they suffice for one.
    pub fn new(mode: Mode, features: &Features, frames: usize) -> Option<Self> {
        Self::with(routines(mode), mode, features, frames)
    }

    /// The same with these routines for the mode.
    pub fn with(routines: &'static PagingRoutines, mode: Mode, features: &Features, frames: usize) -> Option<Self> {
        let cpu = cpu(mode, features);
        let mut machine = Machine::new(&cpu, frames);
        let Ok(mut map) = PageMap::new(&mut machine.memory, Paging::new(routines, features)) else {
            machine.assert_all_home();
            return None;
        };
        map.set_live(true);
        let tlb = Arc::new(machine.tlb(cpu, map.root()));
        Some(Self { machine, map, cpu, tlb })
    }

    /// Maps pages.
    pub fn map(&mut self, start: u64, pages: u64, frame: u64, flags: PageFlags) -> Result<(), MapError> {
        let range = PageRange::new(VirtAddr(start), pages);
        self.map.map(&mut self.machine.memory, &MapRequest { range, first: Frame(frame), flags })
    }

    /// Flushes what a change left behind.
    pub fn flush(&mut self, stale: Stale) {
        self.tlb.watch_books(&mut self.machine.memory);
        stale.flush(&mut self.machine.memory, &*self.tlb);
    }

    /// The bytes of all tables.
    pub fn bytes_of_tables(&self) -> Vec<(u64, Vec<u64>)> {
        let scan = self.machine.scan(&self.cpu, self.map.root());
        scan.tables.iter().map(|frame| (*frame, self.machine.arena.copy(*frame))).collect()
    }

    /// What the CPU does about an access to `va`.
    pub fn translate(&self, va: u64, access: Access) -> Result<(u64, Leaf), Fault> {
        self.cpu.translate(&self.machine.arena, self.map.root().0 << 12, va, access)
    }

    /// Takes the tree off the CPU and gives it back; every frame must then be home.
    pub fn shut_down(self) {
        let Self { mut machine, map, tlb, .. } = self;
        tlb.accept_books();
        mm::Mmu::flush_all(&*tlb);
        // SAFETY: the CPU is the only one and has forgotten everything.
        unsafe { map.free(&mut machine.memory) };
        machine.assert_all_home();
    }
}
