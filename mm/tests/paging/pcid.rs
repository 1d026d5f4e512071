//! Several address spaces on one CPU with PCIDs: what a switch without a flush keeps, and who has to drop it.
//!
//! A token is flushed under the PCID of the CPU. For the tree of another PCID there are two ways: INVPCID, or to hold the
//! token until the tree is loaded again without bit 63. Both are tried here; what happens without either is found.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mm::{Frame, MapRequest, Mmu, PageFlags, PageMap, PageRange, Paging, Rights, Stale, VirtAddr};

use crate::machine::flush::Invpcid;
use crate::machine::mmu::Mode;
use crate::machine::model::{Model, Run};
use crate::machine::rng::Rng;
use crate::machine::tlb::{Pcid, Tlb};
use crate::machine::{Booted, FULL, routines};

const LONG_MODES: [Mode; 2] = [Mode::Pml4, Mode::Pml5];

/// A user page that asks to be global, which it must never become: the next address space has another there.
const USER: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER).union(Rights::GLOBAL));

/// How a token of a tree whose PCID is not current is flushed.
struct OtherPcid<'a>(&'a Tlb, Pcid);

impl Mmu for OtherPcid<'_> {
    /// INVPCID of one address drops only what leads to that address, so all of the PCID goes; and it spares global
    /// translations, which INVLPG drops whatever their PCID.
    fn flush_page(&self, va: VirtAddr) {
        self.0.invpcid(Invpcid::Single(self.1));
        self.0.flush_page(va);
    }

    fn flush_local(&self) {
        self.0.invpcid(Invpcid::Single(self.1));
    }

    fn flush_all(&self) {
        self.0.invpcid(Invpcid::All);
    }
}

struct Space {
    map: PageMap,
    pcid: Pcid,
    model: Model,
    /// Tokens that wait until the space is loaded with a flush.
    held: Vec<Stale>,
}

struct Spaces {
    booted: Booted,
    all: Vec<Space>,
    current: usize,
}

/// Pages that all spaces use, most of them below one table.
const PAGES: [u64; 6] = [1, 2, 0x1FF, 0x200, 0x4_0000, 0x4_0001];

impl Spaces {
    fn new(mode: Mode) -> Self {
        let mut booted = Booted::full(mode);
        let mut space = |pcid| {
            let map = PageMap::new(&mut booted.machine.memory, Paging::new(routines(mode), &FULL));
            Space { map: map.expect("256 frames are enough"), pcid, model: Model::default(), held: Vec::new() }
        };
        let all = vec![space(1), space(2), space(3)];
        booted.tlb.accept_books();
        booted.tlb.set_pcide(true);
        let spaces = Self { booted, all, current: 0 };
        spaces.load(false);
        spaces
    }

    fn load(&self, keep: bool) {
        let space = &self.all[self.current];
        self.booted.tlb.load_cr3(space.map.root().0, space.pcid, keep);
    }

    /// Switches to space number `n`. What waits for it is flushed by the load, and only then given back.
    fn switch(&mut self, n: usize, keep: bool) {
        self.current = n;
        self.load(keep && self.all[n].held.is_empty());
        for stale in std::mem::take(&mut self.all[n].held) {
            // SAFETY: the load of CR3 without bit 63 has dropped all of this PCID, and nothing in the user half is global.
            unsafe { stale.forget(&mut self.booted.machine.memory) };
        }
        self.booted.tlb.accept_books();
    }

    fn map(&mut self, n: usize, page: u64, pages: u64, frame: u64) {
        if !self.all[n].model.within(page, pages).is_empty() {
            return;
        }
        let range = PageRange::new(VirtAddr(page << 12), pages);
        let request = MapRequest { range, first: Frame(frame), flags: USER };
        let space = &mut self.all[n];
        if space.map.map(&mut self.booted.machine.memory, &request).is_ok() {
            let flags = PageFlags::new(Rights::WRITE | Rights::USER);
            space.model.insert(page, Run { pages, frame, flags });
        }
        self.booted.tlb.accept_books();
    }

    /// Unmaps whatever is there, and flushes as `how` says.
    fn clear(&mut self, n: usize, page: u64, pages: u64, how: How) {
        let range = PageRange::new(VirtAddr(page << 12), pages);
        let space = &mut self.all[n];
        let memory = &mut self.booted.machine.memory;
        let Ok(stale) = space.map.clear(memory, range, None) else { return };
        space.model.remove(page, pages);
        self.booted.tlb.watch_books(memory);
        match how {
            _ if n == self.current => stale.flush(memory, &*self.booted.tlb),
            How::Invpcid => stale.flush(memory, &OtherPcid(&self.booted.tlb, space.pcid)),
            How::Hold => space.held.push(stale),
            How::UnderTheWrongPcid => stale.flush(memory, &*self.booted.tlb),
        }
        self.booted.tlb.accept_books();
    }

    fn check(&self) {
        let space = &self.all[self.current];
        for page in PAGES {
            let now = space.model.at(page).map(|(frame, _)| frame);
            for answer in self.booted.tlb.answers(page << 12) {
                let answer = answer.map(|(frame, ..)| frame);
                assert_eq!(answer, now, "PCID {} at page {page:#x}", space.pcid);
            }
        }
        let mut tables = BTreeSet::new();
        for space in &self.all {
            tables.extend(self.booted.machine.scan(&self.booted.cpu, space.map.root()).tables);
        }
        let held: u64 = self.all.iter().flat_map(|space| &space.held).map(Stale::tables_held).sum();
        let free: Vec<u64> = self.booted.tlb.tables_in_use().difference(&tables).copied().collect();
        assert!(free.len() as u64 <= held, "the CPU still walks {free:x?}, and {held} tables are held");
    }

    fn end(mut self) {
        for n in 0..self.all.len() {
            self.switch(n, false);
        }
        self.booted.tlb.load_cr3(self.booted.map.root().0, 0, false);
        self.booted.tlb.set_pcide(false);
        for space in self.all {
            // SAFETY: another root is in CR3, and turning PCIDE off has dropped everything of this one.
            unsafe { space.map.free(&mut self.booted.machine.memory) };
        }
        self.booted.shut_down();
    }
}

#[derive(Clone, Copy)]
enum How {
    Invpcid,
    Hold,
    UnderTheWrongPcid,
}

fn run(mode: Mode, seed: u64, ways: [How; 2]) {
    let mut spaces = Spaces::new(mode);
    let mut rng = Rng::new(seed);
    for step in 0..400 {
        let (n, page) = (rng.below(3) as usize, PAGES[rng.below(6) as usize]);
        let pages = [1, 1, 2, 34, 512, 0x400][rng.below(6) as usize];
        match rng.below(4) {
            0 => spaces.switch(n, rng.below(4) != 0),
            1 => spaces.clear(n, page, pages, ways[rng.below(2) as usize]),
            _ => spaces.map(n, page, pages, 0x1000 * (n as u64 + 1) + step),
        }
        spaces.check();
    }
    spaces.end();
}

#[test]
fn spaces_with_pcids_never_see_each_other() {
    for mode in LONG_MODES {
        for seed in 1..20 {
            println!("{mode:?}, seed {seed}");
            run(mode, seed, [How::Invpcid, How::Hold]);
        }
    }
}

/// The harness itself: INVLPG and CR3 reach the current PCID only, so a token that is flushed under another is found.
#[test]
fn a_flush_under_the_wrong_pcid_is_found() {
    for mode in LONG_MODES {
        for seed in 1..6 {
            let careless = || run(mode, seed, [How::UnderTheWrongPcid; 2]);
            let panic = catch_unwind(AssertUnwindSafe(careless)).expect_err("a PCID was left out, and nobody noticed");
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(words.contains("PCID") || words.contains("still walks"), "{mode:?}, seed {seed}: {words}");
        }
    }
}

#[test]
fn each_flush_drops_what_the_manual_says() {
    let (user, kernel) = (0x1000, 0xFFFF_FF00_0000_0000);
    type Flush = fn(&Tlb);
    // Under PCID 2: the flush, and whether the user page of PCID 2, that of PCID 1 and the global page are kept.
    let flushes: [(&str, Flush, [bool; 3]); 9] = [
        ("INVLPG of the user page", |tlb| tlb.flush_page(VirtAddr(0x1000)), [false, true, true]),
        ("INVLPG of the global page", |tlb| tlb.flush_page(VirtAddr(0xFFFF_FF00_0000_0000)), [true, true, false]),
        ("CR3", |tlb| tlb.flush_local(), [false, true, true]),
        ("CR4.PGE", |tlb| tlb.flush_all(), [false, false, false]),
        ("INVPCID 0", |tlb| tlb.invpcid(Invpcid::Address(1, 0x1000)), [true, false, true]),
        ("INVPCID 0 of the global page", |tlb| tlb.invpcid(Invpcid::Address(2, 0xFFFF_FF00_0000_0000)), [true; 3]),
        ("INVPCID 1", |tlb| tlb.invpcid(Invpcid::Single(1)), [true, false, true]),
        ("INVPCID 2", |tlb| tlb.invpcid(Invpcid::All), [false, false, false]),
        ("INVPCID 3", |tlb| tlb.invpcid(Invpcid::AllButGlobal), [false, false, true]),
    ];
    for mode in LONG_MODES {
        for (name, flush, kept) in flushes {
            let mut booted = Booted::full(mode);
            booted.map(user, 1, 9, USER).expect("there is room");
            booted.map(kernel, 1, 10, PageFlags::DATA).expect("there is room");
            let (tlb, root) = (booted.tlb.clone(), booted.map.root().0);
            tlb.accept_books();
            tlb.set_pcide(true);
            for pcid in [1, 2] {
                tlb.load_cr3(root, pcid, true);
                tlb.answers(user);
            }
            tlb.answers(kernel);
            flush(&tlb);
            let second = [tlb.remembers(user), tlb.remembers(kernel)];
            tlb.load_cr3(root, 1, true);
            let found = [second[0], tlb.remembers(user), second[1]];
            assert_eq!(found, kept, "{mode:?}, {name}");
            tlb.load_cr3(root, 0, false);
            tlb.set_pcide(false);
            assert!(!tlb.remembers(user) && !tlb.remembers(kernel), "{mode:?}: PCIDE off drops everything");
            booted.shut_down();
        }
    }
}

#[test]
fn what_pcide_forbids_is_a_protection_fault() {
    let refused = |work: fn(&Tlb), mode| {
        let booted = Booted::full(mode);
        let panic = catch_unwind(AssertUnwindSafe(|| work(&booted.tlb))).expect_err("no #GP");
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| String::from(*words)));
        assert!(words.is_some_and(|words| words.starts_with("#GP")), "{mode:?}");
    };
    refused(|tlb| tlb.set_pcide(true), Mode::Pml2);
    refused(|tlb| tlb.set_pcide(true), Mode::Pml3);
    refused(|tlb| tlb.load_cr3(0xF_FFF8, 1, false), Mode::Pml4);
    refused(|tlb| tlb.load_cr3(0xF_FFF8, 0, true), Mode::Pml5);
}
