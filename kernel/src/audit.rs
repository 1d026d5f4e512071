//! The audit: what must hold of page tables, looked at word by word.
//!
//! It reads every word of the tree once. Of pages that continue one another there are many, and what is to be said of them it
//! says once; only a run with something wrong is looked at entry by entry. On the way the tables are listed, and sorted
//! afterwards, so that two that share a frame stand side by side and any frame is looked up by halving; and so are the
//! pages that can be written, so that a table among them is found. The list lies in a frame taken for it, or in as many as it takes,
//! so that no heap is needed.

use core::fmt::{self, Write};

use mm::{Cache, Frame, FrameRun, KernelMap, Mapping, Memory, MemoryMap, OwnedFrames, Pte, RawEntry, Rights, VirtAddr};
use mm::{PAGE_SIZE, PageRange, Section, reserved};

use crate::Machine;
use crate::console::Console;

/// What is wrong with an entry, or with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is.
    pub what: What,
    /// The first address that the entry covers; `None` if it is about a table as a whole.
    pub at: Option<VirtAddr>,
    /// The frame in question.
    pub frame: Frame,
}

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Both writable and executable.
    WriteAndExecute,
    /// Open to ring 3, in the kernel half.
    User,
    /// A reserved bit is set.
    Reserved,
    /// A page of a size that this CPU does not have.
    TooLarge,
    /// An address beyond the CPU's physical width.
    BeyondWidth,
    /// Page 0 is mapped.
    PageZero,
    /// A page of the kernel's in the user half, at its own physical address.
    Identity,
    /// A page of the kernel's in the user half.
    Leftover,
    /// A page table can be written outside the aperture.
    WritableTable,
    /// Text or constants can be written.
    WritableConstant,
    /// The guard page is mapped.
    Guard,
    /// Something that is not RAM is mapped write-back.
    NotRam,
    /// Two entries name the same table.
    SharedTable,
    /// A table lies in a frame that the allocator takes for free.
    FreeTable,
    /// A table lies where the kernel cannot reach it.
    FarTable,
    /// A table for which the list has no room: whether it is shared or can be written was not looked at.
    Unlisted,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            What::WriteAndExecute => "both writable and executable",
            What::User => "open to ring 3 in the kernel half",
            What::Reserved => "a reserved bit is set",
            What::TooLarge => "a page of a size that this CPU does not have",
            What::BeyondWidth => "an address beyond the CPU's physical width",
            What::PageZero => "page 0 is mapped",
            What::Identity => "an identity mapping is left in the user half",
            What::Leftover => "a page of the kernel's is left in the user half",
            What::WritableTable => "a page table can be written outside the aperture",
            What::WritableConstant => "text or constants can be written",
            What::Guard => "the guard page below the stack is mapped",
            What::NotRam => "what is not RAM is mapped write-back",
            What::SharedTable => "two entries name the same table",
            What::FreeTable => "a table lies in a frame that counts as free",
            What::FarTable => "a table lies where the kernel cannot reach it",
            What::Unlisted => "there is no room to compare a table with the others",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "audit: {}: ", self.what)?;
        match self.at {
            Some(at) => write!(f, "{at:#x} -> {:#x}", self.frame.start()),
            None => write!(f, "the table at {:#x}", self.frame.start()),
        }
    }
}

/// What an audit came across.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Present entries, those of the self-map included.
    pub entries: u64,
    /// Tables, the root included.
    pub tables: u64,
    /// What is wrong.
    pub findings: u64,
}

/// How many tables `map` has, the root included; a table that two entries name counts twice.
pub fn count_tables(map: &KernelMap, memory: &Memory) -> u64 {
    let mut count = 1;
    map.tables().entries(memory, 2, &mut |entry| count += u64::from(table_of(&entry).is_some()));
    count
}

/// Frames for a list of `tables` tables; `None` if there are none free that the window shows.
pub fn room(memory: &mut Memory, tables: u64) -> Option<OwnedFrames> {
    let order = (tables * 8).div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros();
    let reach = memory.window.frames().end();
    memory.take(order as u8, reach).ok()
}

/// The frame of the table that `entry` names, unless the table is met elsewhere.
const fn table_of(entry: &RawEntry) -> Option<Frame> {
    match entry.pte {
        Pte::Table(frame, _) if !entry.self_map => Some(frame),
        _ => None,
    }
}

/// Tells `each` what is wrong with `map`. `list` should have room for all its tables: one for which there is none is not
/// compared with the others, which is a finding of its own.
pub fn audit(
    map: &KernelMap,
    memory: &Memory,
    memory_map: &MemoryMap,
    list: &mut [u64],
    each: &mut dyn FnMut(Finding),
) -> Tally {
    let mut tally = Tally::default();
    let mut findings = 0;
    let mut tell = |what, at, frame| {
        findings += 1;
        each(Finding { what, at, frame });
    };
    let rules = Rules { map, memory_map };
    let mut seen = Seen { list, tables: 0, runs: 0, all_runs: true };
    let mut add = |seen: &mut Seen, frame: Frame, tell: &mut dyn FnMut(What, Option<VirtAddr>, Frame)| {
        tally.tables += 1;
        if !seen.add_table(frame) {
            tell(What::Unlisted, None, frame);
        }
    };
    add(&mut seen, map.tables().root(), &mut tell);
    let mut entries = 0;
    map.tables().entries(memory, 1, &mut |entry| {
        entries += entry.count;
        rules.check(&entry, &mut tell);
        if let Some(frame) = table_of(&entry) {
            add(&mut seen, frame, &mut tell);
        }
        if let Some(run) = rules.writable(&entry) {
            seen.add_run(run);
        }
    });
    tally.entries = entries;
    let any = seen.sort();
    let tables = seen.tables();
    for (index, table) in tables.iter().enumerate() {
        let frame = Frame(*table);
        if index > 0 && tables[index - 1] == *table {
            tell(What::SharedTable, None, frame);
        }
        if memory.is_free(frame) {
            tell(What::FreeTable, None, frame);
        }
        if !memory.window.frames().contains(frame) {
            tell(What::FarTable, None, frame);
        }
    }
    if any {
        // Which entries they are, a second reading tells.
        map.tables().entries(memory, 1, &mut |entry| {
            if rules.writable(&entry).is_some_and(|run| holds(tables, run)) {
                let info = &map.tables().paging().routines.info;
                for one in (0..entry.count).map(|n| entry.one(info, n)) {
                    if let Some(run) = rules.writable(&one).filter(|run| holds(tables, *run)) {
                        tell(What::WritableTable, Some(one.start), run.first);
                    }
                }
            }
        });
    }
    tally.findings = findings;
    tally
}

/// What is compared once all is known: the tables from the front of a list, and from its back, first frame and last, what
/// can be written outside the aperture.
struct Seen<'a> {
    list: &'a mut [u64],
    tables: usize,
    runs: usize,
    /// Whether there was room for all runs.
    all_runs: bool,
}

impl Seen<'_> {
    /// Notes a table; tells whether there was room. Tables take the room of runs.
    fn add_table(&mut self, frame: Frame) -> bool {
        if self.tables + 2 * self.runs >= self.list.len() {
            self.runs = 0;
            self.all_runs = false;
        }
        let Some(slot) = self.list.get_mut(self.tables) else { return false };
        *slot = frame.0;
        self.tables += 1;
        true
    }

    fn add_run(&mut self, run: FrameRun) {
        if !self.all_runs || self.tables + 2 * self.runs + 2 > self.list.len() {
            self.all_runs = false;
            return;
        }
        self.runs += 1;
        let at = self.list.len() - 2 * self.runs;
        self.list[at] = run.first.0;
        self.list[at + 1] = run.count;
    }

    /// Sorts the tables; tells whether one of them may be in one of the runs.
    fn sort(&mut self) -> bool {
        let (front, back) = self.list.split_at_mut(self.list.len() - 2 * self.runs);
        let tables = &mut front[..self.tables];
        tables.sort_unstable();
        let within = |run: &[u64]| holds(tables, FrameRun { first: Frame(run[0]), count: run[1] });
        !self.all_runs || back.chunks_exact(2).any(within)
    }

    fn tables(&self) -> &[u64] {
        &self.list[..self.tables]
    }
}

/// Whether one of the sorted `tables` lies in `run`.
fn holds(tables: &[u64], run: FrameRun) -> bool {
    let next = tables.partition_point(|table| *table < run.first.0);
    tables.get(next).is_some_and(|table| *table < run.end().0)
}

struct Rules<'a> {
    map: &'a KernelMap,
    memory_map: &'a MemoryMap<'a>,
}

impl Rules<'_> {
    fn check(&self, entry: &RawEntry, tell: &mut dyn FnMut(What, Option<VirtAddr>, Frame)) {
        let mut wrong = entry.count == 1;
        if entry.count > 1 {
            self.check_run(entry, &mut |_, _, _| wrong = true);
        }
        if wrong {
            let info = &self.map.tables().paging().routines.info;
            (0..entry.count).for_each(|n| self.check_run(&entry.one(info, n), tell));
        }
    }

    /// What is wrong with an entry, or could be with one of a run.
    fn check_run(&self, entry: &RawEntry, tell: &mut dyn FnMut(What, Option<VirtAddr>, Frame)) {
        let paging = self.map.tables().paging();
        let (info, limits) = (&paging.routines.info, &paging.limits);
        let (frame, leaf) = match entry.pte {
            Pte::Absent => return,
            Pte::Table(frame, _) => (frame, None),
            Pte::Leaf(frame, mut flags) => {
                flags.rights = entry.rights;
                (frame, Some(Mapping { start: entry.start, frame, level: entry.level, flags }))
            }
        };
        let mut tell = |what| tell(what, Some(entry.start), frame);
        let raw = entry.bits(info);
        if raw & reserved::beyond_width(info, limits) != 0 {
            tell(What::BeyondWidth);
        }
        if raw & reserved::reserved(info, limits, entry.level, leaf.is_some()) != 0 {
            tell(What::Reserved);
        }
        let kernel = entry.start >= info.kernel_half();
        // PAE's root has no such bit: it is reserved there.
        let root = info.root_is_registers && entry.level == info.levels;
        if kernel && !root && raw & reserved::USER_BIT != 0 {
            tell(What::User);
        }
        let both = limits.no_execute && entry.rights.contains(Rights::WRITE | Rights::EXEC);
        if both && (leaf.is_some() || (entry.self_map && entry.level == 1)) {
            tell(What::WriteAndExecute);
        }
        if let Some(leaf) = leaf {
            if leaf.level > limits.top_leaf {
                tell(What::TooLarge);
            }
            let count = entry.count * info.pages(leaf.level);
            self.check_leaf(&leaf, kernel, FrameRun { first: leaf.frame, count }, &mut tell);
        }
    }

    fn check_leaf(&self, leaf: &Mapping, kernel: bool, run: FrameRun, tell: &mut dyn FnMut(What)) {
        let rights = leaf.flags.rights;
        if leaf.start == VirtAddr(0) {
            tell(What::PageZero);
        }
        if !kernel && !rights.contains(Rights::USER) {
            tell(if leaf.start.0 == leaf.frame.start().0 { What::Identity } else { What::Leftover });
        }
        if leaf.flags.cache == Cache::WriteBack
            && !self.memory_map.ram_runs().any(|ram| ram.contains(run.first) && run.end() <= ram.end())
        {
            tell(What::NotRam);
        }
        let sections = self.map.sections();
        let pages = PageRange::new(leaf.start, run.count);
        let touches = |other: PageRange| other.contains(pages.start) || pages.contains(other.start);
        if sections.iter().any(|section| section.flags.is_none() && touches(section.pages)) {
            tell(What::Guard);
        }
        if rights.contains(Rights::WRITE) && sections.iter().any(|section| is_constant(section) && meets(section, run))
        {
            tell(What::WritableConstant);
        }
    }

    /// The frames that an entry, or a run, lets be written outside the aperture.
    fn writable(&self, entry: &RawEntry) -> Option<FrameRun> {
        let Pte::Leaf(first, _) = entry.pte else { return None };
        let count = entry.count * self.map.tables().paging().routines.info.pages(entry.level);
        let pages = PageRange::new(entry.start, count);
        let aperture = self.map.layout().aperture;
        let inside = aperture.contains(pages.start) && aperture.contains(pages.last_byte());
        (entry.rights.contains(Rights::WRITE) && !inside).then_some(FrameRun { first, count })
    }
}

fn is_constant(section: &Section) -> bool {
    section.flags.is_some_and(|flags| !flags.rights.contains(Rights::WRITE))
}

fn meets(section: &Section, run: FrameRun) -> bool {
    section.first < run.end() && run.first < section.first.offset(section.pages.pages)
}

/// Audits the live tables and prints each finding; `None` if there is no memory for the list of tables.
fn live(console: &mut Console, machine: &Machine) -> Option<Tally> {
    let memory = &mut machine.memory.lock();
    // Few trees have more tables than one frame has room for, and mostly there is nothing to tell: counting the tables
    // first would mostly be in vain.
    let mut room = self::room(memory, 1)?;
    let look = |memory: &Memory, room: &mut OwnedFrames, each: &mut dyn FnMut(Finding)| {
        let list = memory.words(room)?;
        Some(audit(&machine.map, memory, &machine.memory_map, list, each))
    };
    let mut tally = look(memory, &mut room, &mut |_| {});
    if tally.is_some_and(|tally| tally.findings > 0) {
        memory.put(room);
        let tables = count_tables(&machine.map, memory);
        room = self::room(memory, tables)?;
        tally = look(memory, &mut room, &mut |finding| {
            // A console that fails has nobody to complain to.
            let _ = writeln!(console, "{finding}");
        });
    }
    memory.put(room);
    tally
}

/// Prints every finding and tells how many there are; `None` if there is no memory for the list of tables.
#[cfg(feature = "inject")]
pub fn findings(console: &mut Console, machine: &Machine) -> Option<u64> {
    live(console, machine).map(|tally| tally.findings)
}

/// The command: every finding, and what was looked at.
///
/// # Errors
/// Those of the console.
pub fn report(console: &mut Console, machine: &Machine) -> fmt::Result {
    match live(console, machine) {
        Some(Tally { entries, tables, findings }) => {
            writeln!(console, "audit: {entries} entries, {tables} tables, {findings} findings")
        }
        None => writeln!(console, "audit: no memory for a list of the tables"),
    }
}

/// The audit of every boot: silent if nothing is wrong.
///
/// # Panics
/// If something is, and the command line asks for the self-tests.
#[inline(never)] // tools/bench-boot stops here.
pub fn at_boot(console: &mut Console, machine: &Machine) {
    match live(console, machine) {
        Some(Tally { findings: 0, entries, tables }) => {
            ::log::debug!("audit: {entries} entries, {tables} tables, no findings");
        }
        Some(Tally { findings, .. }) if machine.boot.selftest => panic!("the audit has {findings} findings"),
        Some(Tally { findings, .. }) => ::log::warn!("audit: {findings} findings"),
        None => ::log::warn!("audit: no memory for a list of the tables; the tables were not looked at"),
    }
}
