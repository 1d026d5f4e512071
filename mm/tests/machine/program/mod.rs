//! The one interpreter: a program of bytes runs on a tree, and after each step everything is compared.
//!
//! `cargo test` feeds it seeded bytes, a fuzzer feeds it what it likes. Six bytes make a step, whatever they are;
//! the first byte of the program says how much memory the machine has. Places, lengths and frames come from
//! short lists in which edges meet, so that steps hit what other steps did.

mod change;
mod check;
mod places;

use std::collections::BTreeSet;
use std::sync::Arc;

use mm::{Cache, Features, Mmu, PageFlags, Rights, Stale};

use super::cpus::Cpus;
use super::mmu::Mode;
use super::model::{Model, wrong_with};
use super::tlb::Answer;
use super::watched::{self, watched};
use super::{Booted, routines};
use change::Change;
use places::{COUNTS, DELTAS, places};

/// Runs the program `bytes` in `mode` on a CPU with these features.
///
/// # Panics
/// If anything is not as the model, the manuals or the documentation say.
pub fn run(mode: Mode, features: &Features, bytes: &[u8]) -> Tally {
    run_with(mode, features, bytes, Setup::default())
}

/// Who takes part in a program, and how much is looked at after each step.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many CPUs share the tables. One changes them; the others use them whenever they like, between two stores too.
    pub cpus: usize,
    /// The number of a CPU that no flush reaches: the mistake that must be found.
    pub deaf: Option<usize>,
    /// How many addresses are watched at once.
    pub probes: usize,
    /// How many in the self-map.
    pub self_probes: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { cpus: 1, deaf: None, probes: 64, self_probes: usize::MAX }
    }
}

/// The same with this setup.
///
/// # Panics
/// As [`run`].
pub fn run_with(mode: Mode, features: &Features, bytes: &[u8], setup: Setup) -> Tally {
    let Setup { cpus, deaf, .. } = setup;
    let Some((frames, steps)) = bytes.split_first() else { return Tally::default() };
    let frames = if *frames < 0x40 { usize::from(*frames) } else { usize::from(*frames) * 2 };
    let routines = if cpus == 1 { routines(mode) } else { watched::routines(mode) };
    let Some(booted) = Booted::with(routines, mode, features, frames) else { return Tally::default() };
    let mut all = vec![booted.tlb.clone()];
    all.resize_with(cpus, || Arc::new(booted.machine.tlb(booted.cpu, booted.map.root())));
    let seed = bytes.iter().fold(0, |sum: u64, byte| sum.rotate_left(7) ^ u64::from(*byte));
    let mut program = Program::new(booted, Cpus::new(all, deaf, seed), setup, seed as usize);
    program.check_tree(0);
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
    /// Whether they are empty: what is mapped anew may still be looked for in them, and not be found. The tables of a
    /// merge are not, and must never seem to be.
    has_empty_tables: bool,
}

struct Program {
    booted: Booted,
    /// All CPUs; the first is the one of `booted`, which makes the changes.
    cpus: Arc<Cpus>,
    mode: Mode,
    model: Model,
    held: Vec<Held>,
    /// Pages whose translations are watched, by address.
    probes: Vec<u64>,
    /// How many of them at once.
    most_probes: usize,
    /// The same in the self-map.
    self_probes: Vec<u64>,
    /// Pages that were written to since they were mapped.
    dirty: BTreeSet<u64>,
    /// The frames of all tables, as the last check found them.
    tables: BTreeSet<u64>,
    tally: Tally,
    log: Log,
}

/// What was done, shown if it ends in a panic.
#[derive(Default)]
struct Log(Vec<(u8, u64, u64)>);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let names = ["map", "unmap", "clear", "protect", "split", "merge", "trim", "touch", "flush"];
            println!("the last of {} steps:", self.0.len());
            for (what, start, pages) in &self.0[self.0.len().saturating_sub(16)..] {
                println!("  {} {start:#x}, {pages:#x} pages", names[usize::from(*what)]);
            }
        }
    }
}

/// How many tokens are held at once.
const TOKENS: usize = 4;

impl Program {
    fn new(booted: Booted, cpus: Cpus, setup: Setup, seed: usize) -> Self {
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
        // Where not all are watched, each program has others.
        let count = self_probes.len().max(1);
        self_probes.rotate_left(seed % count);
        self_probes.truncate(setup.self_probes);
        Self {
            booted,
            most_probes: setup.probes,
            cpus: Arc::new(cpus),
            mode,
            model: Model::default(),
            held: Vec::new(),
            probes: Vec::new(),
            self_probes,
            dirty: BTreeSet::new(),
            tables: BTreeSet::new(),
            tally: Tally::default(),
            log: Log::default(),
        }
    }

    fn step(&mut self, bytes: [u8; 6]) {
        let [op, place, delta, count, frame, flags] = bytes;
        let (start, pages) = self.range(place, delta, count);
        self.watch(start, pages);
        let what = [0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8][usize::from(op % 16)];
        self.log.0.push((what, start, pages));
        match what {
            0 => self.map(start, pages, frame, flags_of(flags)),
            1 => self.change(Change::Unmap, start, pages, flags),
            2 => self.change(Change::Clear, start, pages, flags),
            3 => self.change(Change::Protect(flags_of(flags)), start, pages, frame),
            4 => self.change(Change::Split, start, pages, flags),
            5 => self.change(Change::Merge, start, pages, flags),
            6 => self.change(Change::Trim, start, pages, flags),
            7 => self.touch(start),
            _ => self.flush_one(usize::from(frame)),
        }
        self.check_caches();
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
        let end = 1u64 << (self.booted.cpu.width() - 12);
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
        let middle = start + ((pages / 2) << 12);
        let around = [start, last, middle, start.wrapping_sub(0x1000), last.wrapping_add(0x1000), start & !0x1F_FFFF];
        for va in around {
            if wrong_with(self.mode, va, 1).is_none() && !self.probes.contains(&va) {
                self.probes.push(va);
            }
        }
        if self.probes.len() > self.most_probes {
            self.probes.drain(..self.probes.len() - self.most_probes);
        }
        // The CPU may look at any of it before the change.
        for va in self.probes.iter().chain(&self.self_probes) {
            self.cpus.look(*va);
        }
        self.cpus.look_at(&self.probes);
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
        self.log.0.push((8, held.pages.0 << 12, held.pages.1));
        self.cpus.watch_books(&mut self.booted.machine.memory);
        held.stale.flush(&mut self.booted.machine.memory, &*self.cpus);
        for frame in held.tables {
            self.booted.machine.arena.poison(frame);
        }
    }

    /// Does `work`, which changes the tables, while the CPUs look at them between its stores.
    fn among_others<T>(&mut self, work: impl FnOnce(&mut Booted) -> T) -> T {
        if self.cpus.count() == 1 {
            return work(&mut self.booted);
        }
        self.cpus.take_seen();
        let cpus = self.cpus.clone();
        watched(move || cpus.glance(), || work(&mut self.booted))
    }

    fn bytes_of_tables(&self) -> Vec<(u64, Vec<u64>)> {
        self.tables.iter().map(|frame| (*frame, self.booted.machine.arena.copy(*frame))).collect()
    }

    fn end(mut self) -> Tally {
        while !self.held.is_empty() {
            self.flush_one(0);
            self.check_caches();
        }
        self.cpus.watch_books(&mut self.booted.machine.memory);
        Mmu::flush_all(&*self.cpus);
        self.booted.shut_down();
        self.tally
    }
}

fn flags_of(byte: u8) -> PageFlags {
    let cache = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached];
    PageFlags { rights: Rights::from_bits_truncate(byte & 0xF), cache: cache[usize::from(byte >> 4 & 3)] }
}
