//! The one interpreter: a program of bytes runs on a tree, and after each step everything is compared.
//!
//! `cargo test` feeds it seeded bytes, a fuzzer feeds it what it likes. Six bytes make a step, whatever they are;
//! the first byte of the program says how much memory the machine has. Places, lengths and frames come from
//! short lists in which edges meet, so that steps hit what other steps did.

use std::collections::BTreeSet;

use mm::{Cache, Frame, FrameRun, Limits, MapError, MapRequest, PageFlags, PageRange, PagingRoutines};
use mm::{Rights, Seen, Stale, Step, VirtAddr};

use super::Booted;
use super::mmu::{EVERYTHING, Mode, Stop};
use super::model::{Model, Run, effective, wrong_with};
use super::tlb::Answer;

/// Runs the program `bytes` in `mode` on a CPU with these limits.
///
/// # Panics
/// If anything is not as the model, the manuals or the documentation say.
pub fn run(mode: Mode, routines: &'static PagingRoutines, limits: Limits, bytes: &[u8]) -> Tally {
    let Some((frames, steps)) = bytes.split_first() else { return Tally::default() };
    let frames = if *frames < 0x40 { usize::from(*frames) } else { usize::from(*frames) * 2 };
    let Some(booted) = Booted::new(mode, routines, limits, frames) else { return Tally::default() };
    let mut program = Program::new(booted, limits);
    for step in steps.chunks_exact(6) {
        program.step(step.try_into().expect("chunks of six"));
    }
    program.end()
}

/// What a program came to: a test that never gets anywhere would pass as well.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// Changes that succeeded.
    pub done: u64,
    /// Changes that were refused, as they should be.
    pub refused: u64,
    /// Of those, for lack of frames.
    pub no_memory: u64,
    /// Page tables that merges, trims and unmaps took out of trees.
    pub tables_held: u64,
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.no_memory += other.no_memory;
        self.tables_held += other.tables_held;
    }
}

/// A token that was not flushed yet, and what it excuses.
struct Held {
    stale: Stale,
    /// Pages by number: first and count.
    pages: (u64, u64),
    /// What the range was mapped to before the change.
    before: Model,
    /// What the watched addresses of the self-map showed before the change.
    before_self: Vec<Answer>,
    /// The tables that it keeps back.
    tables: BTreeSet<u64>,
}

struct Program {
    booted: Booted,
    mode: Mode,
    limits: Limits,
    model: Model,
    held: Vec<Held>,
    /// Pages whose translations are watched, by address.
    probes: Vec<u64>,
    /// The same in the self-map.
    self_probes: Vec<u64>,
    /// Pages that were written to since they were mapped.
    dirty: BTreeSet<u64>,
    tally: Tally,
}

/// How many addresses are watched at once.
const PROBES: usize = 64;

/// How many tokens are held at once.
const TOKENS: usize = 4;

impl Program {
    fn new(booted: Booted, limits: Limits) -> Self {
        let mode = booted.cpu.mode;
        let mut self_probes: Vec<u64> = Vec::new();
        for base in places(mode).iter().filter(|base| mode.is_canonical(**base)) {
            for level in 1..=mode.levels() {
                let at = mode.entry_address(*base, level) & !0xFFF;
                if !self_probes.contains(&at) {
                    self_probes.push(at);
                }
            }
        }
        Self {
            booted,
            mode,
            limits,
            model: Model::default(),
            held: Vec::new(),
            probes: Vec::new(),
            self_probes,
            dirty: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self, bytes: [u8; 6]) {
        let [op, place, delta, count, frame, flags] = bytes;
        let (start, pages) = self.range(place, delta, count);
        self.watch(start, pages);
        match op % 16 {
            0..=4 => self.map(start, pages, frame, flags_of(flags)),
            5..=7 => self.change(Change::Unmap, start, pages, flags),
            8 => self.change(Change::Clear, start, pages, flags),
            9 | 10 => self.change(Change::Protect(flags_of(flags)), start, pages, frame),
            11 => self.change(Change::Split, start, pages, flags),
            12 => self.change(Change::Merge, start, pages, flags),
            13 => self.change(Change::Trim, start, pages, flags),
            14 => self.touch(start),
            _ => self.flush_one(usize::from(frame)),
        }
        self.check();
    }

    /// The range that three bytes name. With the top bit of `place` it lies in what is mapped, so that not every
    /// unmap meets a hole.
    fn range(&self, place: u8, delta: u8, count: u8) -> (u64, u64) {
        let delta_pages = DELTAS[usize::from(delta) % DELTAS.len()];
        let pages = COUNTS[usize::from(count) % COUNTS.len()];
        if place & 0x80 != 0
            && let Some((first, run)) = self.model.nth(usize::from(place & 0x7F) % self.model.len().max(1))
        {
            let skip = delta_pages.rem_euclid(1 << 20) as u64 % run.pages;
            let skip = if count & 0x80 != 0 { 0 } else { skip };
            let left = run.pages - skip;
            return ((first + skip) << 12, if count >= 0xC0 { left } else { pages.clamp(1, left) });
        }
        let places = places(self.mode);
        let base = places[usize::from(place) % places.len()];
        let odd = if delta >= 0xFC { 0x800 } else { 0 };
        let start = base.wrapping_add((delta_pages as u64) << 12).wrapping_add(odd);
        (start, pages)
    }

    fn frame(&self, choice: u8, start: u64, pages: u64) -> u64 {
        let end = 1u64 << (self.limits.phys_bits - 12);
        let congruent = start >> 12 & 0x3_FFFF;
        match choice % 12 {
            0..=3 => congruent,
            4 | 5 => 0x4_0000 + congruent,
            6 => 0x200,
            7 => 0x8_0000 + (start >> 12 & 0x1FF),
            8 => end.wrapping_sub(pages),
            9 => end.wrapping_sub(pages).wrapping_add(1),
            10 => (end - 0x4_0000) + congruent,
            _ => 0x1_0001 + u64::from(choice),
        }
    }

    fn watch(&mut self, start: u64, pages: u64) {
        if wrong_with(self.mode, start, pages).is_some() {
            return;
        }
        let last = start + ((pages - 1) << 12);
        let middle = start + (pages / 2 << 12);
        let around = [start, last, middle, start.wrapping_sub(0x1000), last.wrapping_add(0x1000), start & !0x1F_FFFF];
        for va in around {
            if wrong_with(self.mode, va, 1).is_none() && !self.probes.contains(&va) {
                self.probes.push(va);
            }
        }
        if self.probes.len() > PROBES {
            self.probes.drain(..self.probes.len() - PROBES);
        }
        // The CPU may look at any of it before the change.
        for va in self.probes.iter().chain(&self.self_probes) {
            self.booted.tlb.answers(*va);
        }
    }

    fn map(&mut self, start: u64, pages: u64, frame: u8, flags: PageFlags) {
        let frame = self.frame(frame, start, pages);
        let beyond = frame.checked_add(pages).is_none_or(|end| end > 1 << (self.limits.phys_bits - 12));
        let expected = match wrong_with(self.mode, start, pages) {
            Some(error) => Err(error),
            None if beyond => Err(MapError::BeyondPhys),
            None if !self.model.within(start >> 12, pages).is_empty() => Err(MapError::Occupied),
            None => Ok(()),
        };
        let before = self.bytes_of_tables();
        let request = MapRequest { range: PageRange::new(VirtAddr(start), pages), first: Frame(frame), flags };
        let result = self.booted.map.map(&mut self.booted.machine.memory, &request);
        self.booted.tlb.watch_books();
        if self.compare(expected, result, (start, pages), &before, &request) {
            let flags = effective(&self.booted.cpu, start, flags);
            self.model.insert(start >> 12, Run { pages, frame, flags });
        }
    }

    /// Unmap, clear, protect, split, merge and trim: everything that leaves a token behind.
    fn change(&mut self, change: Change, start: u64, pages: u64, choice: u8) {
        let whole = matches!(change, Change::Unmap | Change::Protect(_));
        let expected = match wrong_with(self.mode, start, pages) {
            Some(error) => Err(error),
            None if whole && !self.model.all_mapped(start >> 12, pages) => Err(MapError::NotMapped),
            None => Ok(()),
        };
        let before = self.bytes_of_tables();
        let before_self = self.self_probes.iter().map(|va| self.booted.tlb.tables_say(*va)).collect();
        let range = PageRange::new(VirtAddr(start), pages);
        let memory = &mut self.booted.machine.memory;
        let map = &mut self.booted.map;
        let mut reported = Vec::new();
        let mut report = |run: FrameRun| reported.push((run.first.0, run.count));
        let result = match change {
            Change::Unmap => map.unmap(memory, range, Some(&mut report)),
            Change::Clear => map.clear(memory, range, Some(&mut report)),
            Change::Protect(flags) => map.protect(memory, range, flags),
            Change::Split => map.split(memory, range),
            Change::Merge => map.merge(memory, range),
            Change::Trim => map.trim(memory, range),
        };
        self.booted.tlb.watch_books();
        let (result, stale) = match result {
            Ok(stale) => (Ok(()), Some(stale)),
            Err(error) => (Err(error), None),
        };
        let done = self.compare(expected, result, (start, pages), &before, &change);
        let Some(stale) = stale.filter(|_| done) else {
            assert!(reported.is_empty(), "frames reported by a change that was refused");
            return;
        };
        let first = start >> 12;
        let before_model = self.model.clone();
        match change {
            Change::Unmap | Change::Clear => {
                let cut = self.model.remove(first, pages);
                self.dirty.retain(|va| (va >> 12).wrapping_sub(first) >= pages);
                assert_eq!(reported, joined_frames(&cut), "the frames that {change:?} reported");
            }
            Change::Protect(flags) => self.model.protect(first, pages, effective(&self.booted.cpu, start, flags)),
            Change::Split | Change::Merge | Change::Trim => {}
        }
        let now = self.tables();
        let tables: BTreeSet<u64> =
            before.iter().map(|(frame, _)| *frame).filter(|frame| !now.contains(frame)).collect();
        assert_eq!(tables.len() as u64, stale.tables_held(), "tables taken out of the tree and held");
        self.tally.tables_held += stale.tables_held();
        self.held.push(Held { stale, pages: (first, pages), before: before_model, before_self, tables });
        if self.held.len() > TOKENS || choice & 0x80 == 0 {
            self.check();
            self.flush_one(usize::from(choice));
        }
    }

    /// Whether the change was made. If not, nothing may have changed; and no other error than the expected one is
    /// right, except a lack of frames where there can have been one.
    fn compare(
        &mut self,
        expected: Result<(), MapError>,
        result: Result<(), MapError>,
        (start, pages): (u64, u64),
        before: &[(u64, Vec<u64>)],
        what: &dyn std::fmt::Debug,
    ) -> bool {
        if result == Ok(()) && expected == Ok(()) {
            self.tally.done += 1;
            return true;
        }
        self.tally.refused += 1;
        if result == Err(MapError::NoMemory) && expected == Ok(()) {
            let (free, bound) = (self.booted.machine.free_frames(), self.tables_for(start, pages));
            assert!(free < bound, "{what:?}: out of memory with {free} frames free and no more than {bound} needed");
            self.tally.no_memory += 1;
        } else {
            assert_eq!(result, expected, "{what:?} at {start:#x}, {pages:#x} pages");
        }
        let now = self.bytes_of_tables();
        assert!(*before == *now, "{what:?} failed with {result:?} and changed the tables");
        false
    }

    /// No range touches more tables than this below the root.
    fn tables_for(&self, start: u64, pages: u64) -> u64 {
        let last = start + ((pages - 1) << 12);
        (2..=self.mode.levels())
            .map(|level| (last >> self.mode.shift(level)) - (start >> self.mode.shift(level)) + 1)
            .sum()
    }

    fn touch(&mut self, va: u64) {
        if wrong_with(self.mode, va, 1).is_none() && self.booted.tlb.write(va) {
            self.dirty.insert(va);
        }
    }

    fn flush_one(&mut self, choice: usize) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.swap_remove(choice % self.held.len());
        held.stale.flush(&mut self.booted.machine.memory, &self.booted.tlb);
        self.booted.tlb.watch_books();
        for frame in held.tables {
            self.booted.machine.arena.poison(frame);
        }
    }

    /// The frames of all tables, as the crate's own visit finds them.
    fn tables(&self) -> BTreeSet<u64> {
        let mut tables = BTreeSet::from([self.booted.map.root().0]);
        self.booted.map.visit(&self.booted.machine.memory, &mut |seen| {
            if let Seen::Table { frame, .. } = seen {
                assert!(tables.insert(frame.0), "visit meets the table {frame} twice");
            }
        });
        tables
    }

    fn bytes_of_tables(&self) -> Vec<(u64, Vec<u64>)> {
        let scan = self.booted.machine.scan(&self.booted.cpu, self.booted.map.root());
        scan.tables.iter().map(|frame| (*frame, self.booted.machine.arena.copy(*frame))).collect()
    }

    /// Everything that must hold after each step.
    fn check(&self) {
        self.check_tree();
        self.booted.tlb.check_registers();
        for va in &self.probes {
            self.check_query(*va);
            self.check_answers(*va);
        }
        for (n, va) in self.self_probes.iter().enumerate() {
            self.check_query(*va);
            self.check_self_map(n, *va);
        }
        for va in &self.dirty {
            assert!(self.booted.tlb.is_dirty(*va), "the page at {va:#x} was written to, and its D bit is lost");
        }
        let mut known = self.tables();
        known.extend(self.held.iter().flat_map(|held| &held.tables));
        for frame in self.booted.tlb.tables_in_use() {
            assert!(known.contains(&frame), "the CPU still walks the frame {frame:#x}, which is no table any more");
        }
    }

    /// Tables and leaves, as the manual reads them and as visit tells of them, against the model.
    fn check_tree(&self) {
        let scan = self.booted.machine.scan(&self.booted.cpu, self.booted.map.root());
        let mut model = Model::default();
        for (level, leaf) in &scan.leaves {
            assert!(*level <= self.limits.top_leaf, "a leaf at level {level}, which the CPU has not");
            let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
            model.push(leaf.start >> 12, Run { pages: leaf.bytes >> 12, frame: leaf.phys >> 12, flags });
        }
        assert_eq!(model, self.model.joined(), "the leaves");
        let mut leaves = Vec::new();
        let mut directories = Vec::new();
        let mut self_map = Vec::new();
        self.booted.map.visit(&self.booted.machine.memory, &mut |seen| match seen {
            Seen::Leaf(leaf) => leaves.push((leaf.level, leaf.start.0, leaf.frame.0, leaf.flags)),
            Seen::Table { start, level, frame, .. } => directories.push((level, start.0, frame.0)),
            Seen::SelfMap { start, level, frame, .. } => self_map.push((level, start.0, frame.0)),
        });
        let expected = scan.leaves.iter().map(|(level, leaf)| {
            (*level, leaf.start, leaf.phys >> 12, PageFlags { rights: leaf.rights(), cache: leaf.cache })
        });
        assert_eq!(leaves, expected.collect::<Vec<_>>(), "the leaves that visit tells of");
        assert_eq!(directories, scan.directories, "the tables that visit tells of");
        assert_eq!(self_map, scan.self_map, "the self-map that visit tells of");
        let held: u64 = self.held.iter().map(|held| held.stale.tables_held()).sum();
        let counted = self.booted.machine.free_frames() + scan.tables.len() as u64 + held;
        assert_eq!(counted, self.booted.machine.total(), "frames free, in the tree and held");
    }

    /// Query and path against the independent walk of the same address.
    fn check_query(&self, va: u64) {
        let (cpu, arena) = (&self.booted.cpu, &self.booted.machine.arena);
        let mut walked = Vec::new();
        let root = (self.booted.map.root().0 << 12, self.mode.levels());
        let found = cpu.walk(arena, root, va, EVERYTHING, &mut |entry| walked.push((entry.level, entry.at, entry.raw)));
        let mut path = Vec::new();
        let memory = &self.booted.machine.memory;
        self.booted.map.path(memory, VirtAddr(va), &mut |Step { level, at, raw, .. }| path.push((level, at.0, raw)));
        assert_eq!(path, walked, "the path to {va:#x}");
        let asked = self
            .booted
            .map
            .query(memory, VirtAddr(va + 0xABC))
            .map(|leaf| (leaf.start.0, leaf.frame.0, 1u64 << self.mode.shift(leaf.level), leaf.flags));
        let expected = match found {
            Ok(leaf) => {
                Some((leaf.start, leaf.phys >> 12, leaf.bytes, PageFlags { rights: leaf.rights(), cache: leaf.cache }))
            }
            Err(Stop::Absent) => None,
            // Seen through the self-map, a large page's PS bit stands where a CPU without PAT reserves it.
            Err(Stop::Reserved) if self.self_probes.contains(&va) => return,
            Err(Stop::Reserved) => panic!("a reserved bit on the way to {va:#x}"),
        };
        assert_eq!(asked, expected, "query of {va:#x}");
    }

    /// Whatever the CPU may answer is what is mapped, or what was mapped before a change whose token is held.
    fn check_answers(&self, va: u64) {
        let page = va >> 12;
        let now = said(&self.model, page);
        for answer in self.booted.tlb.answers(va) {
            let excused =
                |held: &Held| page.wrapping_sub(held.pages.0) < held.pages.1 && said(&held.before, page) == answer;
            assert!(
                answer == now || self.held.iter().any(excused),
                "the CPU may answer {answer:x?} for {va:#x}, where {now:x?} is mapped"
            );
        }
    }

    /// The same for the self-map: it shows the tables that are there, once every token is flushed.
    fn check_self_map(&self, n: usize, va: u64) {
        let now = self.booted.tlb.tables_say(va);
        for answer in self.booted.tlb.answers(va) {
            let excused = self.held.iter().any(|held| held.before_self[n] == answer);
            assert!(answer == now || excused, "the self-map at {va:#x} may show {answer:x?} instead of {now:x?}");
        }
    }

    fn end(mut self) -> Tally {
        while !self.held.is_empty() {
            self.flush_one(0);
            self.check();
        }
        self.booted.shut_down();
        self.tally
    }
}

/// The changes that leave a token behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Unmap,
    Clear,
    Protect(PageFlags),
    Split,
    Merge,
    Trim,
}

/// What the model says of a page, as the CPU would say it.
fn said(model: &Model, page: u64) -> Answer {
    model.at(page).map(|(frame, flags)| (frame, flags.rights - Rights::GLOBAL, flags.cache))
}

fn flags_of(byte: u8) -> PageFlags {
    let cache = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached];
    PageFlags { rights: Rights::from_bits_truncate(byte & 0xF), cache: cache[usize::from(byte >> 4 & 3)] }
}

/// Frames as an unmap reports them: in the order of pages, joined where they go on.
fn joined_frames(cut: &[(u64, Run)]) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (_, run) in cut {
        match joined.last_mut() {
            Some((first, count)) if *first + *count == run.frame => *count += run.pages,
            _ => joined.push((run.frame, run.pages)),
        }
    }
    joined
}

/// Pages to go on from a place.
const DELTAS: [i64; 16] = [0, 0, 0, 0, 1, 2, 7, 511, 512, 513, 1024, -1, -512, -1024, 0x4_0000, -0x4_0000];

/// Lengths in pages: single pages, both sides of the limit beyond which flushes are full, both sides of 2 MiB, 4 MiB,
/// 1 GiB and 512 GiB, and nonsense.
const COUNTS: [u64; 32] = [
    1,
    1,
    1,
    2,
    3,
    8,
    32,
    33,
    34,
    511,
    512,
    512,
    512,
    513,
    1024,
    1024,
    1025,
    1536,
    2048,
    0x4000,
    0x3_FFFF,
    0x4_0000,
    0x4_0000,
    0x4_0001,
    0x8_0200,
    0xC_0000,
    0x10_0000,
    0x800_0000,
    0x800_0001,
    0,
    1 << 52,
    u64::MAX,
];

/// Where things happen: few addresses, most of them on an edge.
fn places(mode: Mode) -> &'static [u64] {
    match mode {
        Mode::Pml2 | Mode::Pml3 => &[
            0,
            0x1000,
            0x0020_0000,
            0x0040_0000,
            0x3FC0_0000,
            0x4000_0000,
            0x8000_0000,
            0xBFC0_0000,
            0xBFFF_F000,
            0xC000_0000,
            0xC040_0000,
            0xFF40_0000,
            0xFF7F_F000,
            0xFFBF_F000,
            0xFFC0_0000,
            0xFFFF_F000,
        ],
        Mode::Pml4 => &[
            0,
            0x1000,
            0x0020_0000,
            0x4000_0000,
            0x0000_007F_C000_0000,
            0x0000_0080_0000_0000,
            0x0000_7FFF_FFE0_0000,
            0x0000_7FFF_FFFF_F000,
            0x0000_8000_0000_0000,
            0xFFFF_7FFF_FFFF_F000,
            0xFFFF_8000_0000_0000,
            0xFFFF_8000_4000_0000,
            0xFFFF_F67F_FFFF_F000,
            0xFFFF_F680_0000_0000,
            0xFFFF_F700_0000_0000,
            0xFFFF_FF00_0000_0000,
            0xFFFF_FFFF_8000_0000,
            0xFFFF_FFFF_C000_0000,
            0xFFFF_FFFF_FFFF_F000,
        ],
        Mode::Pml5 => &[
            0,
            0x1000,
            0x0020_0000,
            0x4000_0000,
            0x0000_FFFF_C000_0000,
            0x0001_0000_0000_0000,
            0x00FF_FFFF_FFE0_0000,
            0x00FF_FFFF_FFFF_F000,
            0x0100_0000_0000_0000,
            0xFEFF_FFFF_FFFF_F000,
            0xFF00_0000_0000_0000,
            0xFF00_0000_4000_0000,
            0xFFEC_FFFF_FFFF_F000,
            0xFFED_0000_0000_0000,
            0xFFEE_0000_0000_0000,
            0xFFFF_FF00_0000_0000,
            0xFFFF_FFFF_8000_0000,
            0xFFFF_FFFF_C000_0000,
            0xFFFF_FFFF_FFFF_F000,
        ],
    }
}
