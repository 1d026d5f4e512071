//! What a CPU may remember, all of it, behind the crate's own [`mm::Mmu`].
//!
//! A real TLB is small and forgets; this one keeps every translation, every directory entry and the PDPTE
//! registers until the flush that drops them (SDM vol. 3A, 4.10), and answers with all of them at once. So a
//! flush that was forgotten is seen the first time, and not once in a month.
//!
//! Where CR4.PCIDE is on, everything but global translations carries the PCID under which it was read, and serves only
//! under that one (4.10.1). Without it there is one PCID, 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mm::{Cache, Memory, Rights};

use super::arena::Arena;
use super::mmu::{Cpu, EVERYTHING, Entry, Leaf, Mode, Passed, Stop, Word};

/// One of the answers that the CPU may give for a 4 KiB page: its frame, rights without GLOBAL, and memory type.
pub type Answer = Option<(u64, Rights, Cache)>;

/// A directory entry as a paging-structure cache keeps it: the table, and what was let through on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Directory {
    table: u64,
    passed: Passed,
}

/// The sizes of pages in all modes.
pub(super) const PAGE_SIZES: [u64; 4] = [0x1000, 0x20_0000, 0x40_0000, 0x4000_0000];

/// A process-context identifier: 12 bits.
pub type Pcid = u16;

/// What is remembered.
pub(super) struct Caches {
    /// The physical address in CR3.
    pub(super) cr3: u64,
    /// CR4.PCIDE.
    pub(super) pcide: bool,
    /// The PCID in CR3.
    pub(super) pcid: Pcid,
    /// By size of the page and its first address: every version that was ever read, and under which PCID.
    pub(super) pages: BTreeMap<(u64, u64), Vec<(Pcid, Leaf)>>,
    /// By level of the entry and the address bits that lead to it.
    pub(super) directories: BTreeMap<(u8, u64), Vec<(Pcid, Directory)>>,
    /// PAE's root entries, read when CR3 is loaded (SDM vol. 3A, 4.4.1).
    pdptes: [u64; 4],
    pub(super) flushes: u64,
    /// What the allocator's books must read at every flush: tables are given back after it, never before.
    pub(super) books: u64,
}

/// The memory of one CPU.
pub struct Tlb {
    pub(super) cpu: Cpu,
    memory: Arc<Arena>,
    caches: Mutex<Caches>,
    pub(super) books: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Tlb {
    /// Loads CR3 with the root at frame number `root`. `books` is a sum over the allocator's metadata.
    pub fn new(cpu: Cpu, memory: Arc<Arena>, root: u64, books: Box<dyn Fn() -> u64 + Send + Sync>) -> Self {
        let caches = Caches {
            cr3: root << 12,
            pcide: false,
            pcid: 0,
            pages: BTreeMap::new(),
            directories: BTreeMap::new(),
            pdptes: [0; 4],
            flushes: 0,
            books: books(),
        };
        let tlb = Self { cpu, memory, caches: Mutex::new(caches), books };
        tlb.with(|caches| tlb.load_pdptes(caches));
        tlb
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Caches) -> T) -> T {
        work(&mut self.caches.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    pub(super) fn load_pdptes(&self, caches: &mut Caches) {
        if self.cpu.mode != Mode::Pml3 {
            return;
        }
        assert!(caches.cr3 <= 0xFFFF_FFE0, "CR3 cannot hold a root at {:#x}", caches.cr3);
        for n in 0..4 {
            let raw = self.memory.read(caches.cr3 + n * 8, 8);
            assert_ne!(self.cpu.read_word(raw, 3), Word::Reserved, "#GP: PDPTE {n} is {raw:#x}");
            caches.pdptes[n as usize] = raw;
        }
    }

    /// PAE's root entries in memory must be what the registers hold, or somebody changed them without a load of CR3.
    pub fn check_registers(&self) {
        if self.cpu.mode == Mode::Pml3 {
            self.with(|caches| {
                let memory = [0, 8, 16, 24].map(|offset| self.memory.read(caches.cr3 + offset, 8));
                assert_eq!(caches.pdptes, memory, "the PDPTE registers are stale");
            });
        }
    }

    /// The tables' own answer, without any cache but the PDPTE registers.
    pub fn tables_say(&self, va: u64) -> Answer {
        self.with(|caches| self.answer(self.walk_from_cr3(caches, va, &mut |_| {}), va))
    }

    /// Every answer that the CPU may give for the page at `va`; what it looked at on the way it remembers.
    pub fn answers(&self, va: u64) -> Vec<Answer> {
        self.with(|caches| {
            let mut seen = Vec::new();
            let mut found = vec![self.walk_from_cr3(caches, va, &mut |entry| seen.push(*entry))];
            for level in 2..=self.cpu.mode.levels() {
                let key = (level, va >> self.cpu.mode.shift(level));
                for (pcid, directory) in caches.directories.get(&key).into_iter().flatten() {
                    if *pcid != caches.pcid {
                        continue;
                    }
                    let from = (directory.table, level - 1);
                    let each = &mut |entry: &Entry| seen.push(*entry);
                    found.push(self.cpu.walk(&self.memory, from, va, directory.passed, each));
                }
            }
            for entry in seen {
                self.remember(caches, &entry, va);
            }
            let mut answers: Vec<Answer> = found.into_iter().map(|found| self.answer(found, va)).collect();
            for bytes in PAGE_SIZES {
                for (pcid, leaf) in caches.pages.get(&(bytes, va & !(bytes - 1))).into_iter().flatten() {
                    if *pcid == caches.pcid || leaf.global {
                        answers.push(self.answer(Ok(*leaf), va));
                    }
                }
            }
            answers.dedup();
            answers
        })
    }

    /// A walk from CR3, by way of the PDPTE registers where there are any.
    fn walk_from_cr3(&self, caches: &Caches, va: u64, each: &mut dyn FnMut(&Entry)) -> Result<Leaf, Stop> {
        if self.cpu.mode != Mode::Pml3 {
            return self.cpu.walk(&self.memory, (caches.cr3, self.cpu.mode.levels()), va, EVERYTHING, each);
        }
        match self.cpu.read_word(caches.pdptes[(va >> 30 & 3) as usize], 3) {
            Word::Table(directory) => self.cpu.walk(&self.memory, (directory, 2), va, EVERYTHING, each),
            _ => Err(Stop::Absent),
        }
    }

    /// Keeps what an entry says, and marks it as used, which the CPU does before it caches anything.
    fn remember(&self, caches: &mut Caches, entry: &Entry, va: u64) {
        match entry.word {
            Word::Table(table) => {
                self.memory.set_bits(entry.at, 0x20);
                let known =
                    caches.directories.entry((entry.level, va >> self.cpu.mode.shift(entry.level))).or_default();
                let directory = (caches.pcid, Directory { table, passed: entry.passed });
                if !known.contains(&directory) {
                    known.push(directory);
                }
            }
            Word::Page(..) => {
                self.memory.set_bits(entry.at, 0x20);
                let leaf = self.cpu.leaf(entry, va);
                let known = caches.pages.entry((leaf.bytes, leaf.start)).or_default();
                if !known.contains(&(caches.pcid, leaf)) {
                    known.push((caches.pcid, leaf));
                }
            }
            _ => {}
        }
    }

    /// Writes to `va` if the tables permit it: the CPU then sets D. Whether it did.
    pub fn write(&self, va: u64) -> bool {
        self.with(|caches| {
            let mut last = None;
            let found = self.walk_from_cr3(caches, va, &mut |entry| last = Some(*entry));
            let (Ok(leaf), Some(entry)) = (found, last) else { return false };
            if leaf.passed.write {
                self.memory.set_bits(entry.at, 0x60);
            }
            leaf.passed.write
        })
    }

    /// Whether D is set in the leaf that maps `va`.
    pub fn is_dirty(&self, va: u64) -> bool {
        self.with(|caches| {
            let mut raw = 0;
            let found = self.walk_from_cr3(caches, va, &mut |entry| raw = entry.raw);
            found.is_ok() && raw & 0x40 != 0
        })
    }

    /// Whether a translation of `va` is kept that serves under the current PCID.
    pub fn remembers(&self, va: u64) -> bool {
        self.with(|caches| {
            let serves = |(pcid, leaf): &(Pcid, Leaf)| *pcid == caches.pcid || leaf.global;
            let kept = |bytes: u64| caches.pages.get(&(bytes, va & !(bytes - 1)));
            PAGE_SIZES.into_iter().filter_map(kept).flatten().any(serves)
        })
    }

    /// The frames of all tables that a walk could still enter, under whatever PCID.
    pub fn tables_in_use(&self) -> BTreeSet<u64> {
        self.with(|caches| {
            let registers =
                caches.pdptes.iter().filter(|raw| *raw & 1 != 0).map(|raw| (raw & 0x000F_FFFF_FFFF_F000) >> 12);
            let directories = caches.directories.values().flatten().map(|(_, directory)| directory.table >> 12);
            registers.chain(directories).collect()
        })
    }

    /// How often something was flushed.
    pub fn flushes(&self) -> u64 {
        self.with(|caches| caches.flushes)
    }

    /// From here on, flushes must find the allocator's books as they are now.
    ///
    /// A frame that comes back to a cache of `memory` can leave no trace in the books, so the caches are emptied first: then the first
    /// frame that comes back is written down at once.
    pub fn watch_books(&self, memory: &mut Memory) {
        memory.drain();
        self.accept_books();
    }

    /// Takes the books as they are now, for a flush that gives no table back or that is watched in another way.
    pub fn accept_books(&self) {
        self.with(|caches| caches.books = (self.books)());
    }

    /// What a walk's end comes to. A reserved bit is an error of whoever wrote the entry; only in the self-map, where
    /// a large page's PS bit stands where a CPU without PAT reserves it, is it like an absent page.
    fn answer(&self, found: Result<Leaf, Stop>, va: u64) -> Answer {
        let (first, last) = self.cpu.mode.self_map();
        match found {
            Ok(leaf) => Some((leaf.frame(va), leaf.rights().difference(Rights::GLOBAL), leaf.cache)),
            Err(Stop::Reserved) if !(first..=last).contains(&va) => panic!("a reserved bit on the way to {va:#x}"),
            Err(_) => None,
        }
    }
}
