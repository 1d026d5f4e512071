//! The audit: what must hold of page tables, looked at word by word.
//!
//! It goes through the tree twice: first for its tables, which are sorted, so that two that share a frame stand side by
//! side and any frame is looked up by halving; then for every entry. The first goes no deeper than to the entries that
//! name tables. The second reads every word, but of pages that continue one another there are many, and what is to be said
//! of them it says once; only a run with something wrong is looked at entry by entry. The list of tables lies in frames
//! taken for it, so that no heap is needed.

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
    let mut unlisted = 0;
    let all = gather(map, memory, list, &mut |frame| {
        unlisted += 1;
        each(Finding { what: What::Unlisted, at: None, frame });
    });
    let listed = all.min(list.len());
    let mut tally = check(map, memory, memory_map, &mut list[..listed], each);
    tally.tables += unlisted;
    tally.findings += unlisted;
    tally
}

/// Tells `each` what is wrong with `map`, whose tables are `tables`.
fn check(
    map: &KernelMap,
    memory: &Memory,
    memory_map: &MemoryMap,
    tables: &mut [u64],
    each: &mut dyn FnMut(Finding),
) -> Tally {
    let mut tally = Tally { tables: tables.len() as u64, ..Tally::default() };
    let mut tell = |what, at, frame| {
        tally.findings += 1;
        each(Finding { what, at, frame });
    };
    tables.sort_unstable();
    let tables = &*tables;
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
    let rules = Rules { map, memory_map, tables };
    let mut entries = 0;
    map.tables().entries(memory, 1, &mut |entry| {
        entries += entry.count;
        rules.check(&entry, &mut tell);
    });
    tally.entries = entries;
    tally
}

/// Writes the frames of the tables into `list`, and tells `unlisted` of those for which there is no room. Returns how many
/// tables there are.
fn gather(map: &KernelMap, memory: &Memory, list: &mut [u64], unlisted: &mut dyn FnMut(Frame)) -> usize {
    let mut count = 0;
    let mut add = |frame: Frame| {
        match list.get_mut(count) {
            Some(slot) => *slot = frame.0,
            None => unlisted(frame),
        }
        count += 1;
    };
    add(map.tables().root());
    map.tables().entries(memory, 2, &mut |entry| {
        if let Some(frame) = table_of(&entry) {
            add(frame);
        }
    });
    count
}

struct Rules<'a> {
    map: &'a KernelMap,
    memory_map: &'a MemoryMap<'a>,
    tables: &'a [u64],
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
        if !rights.contains(Rights::WRITE) {
            return;
        }
        if sections.iter().any(|section| is_constant(section) && meets(section, run)) {
            tell(What::WritableConstant);
        }
        let next = self.tables.partition_point(|table| *table < run.first.0);
        let holds_table = self.tables.get(next).is_some_and(|table| *table < run.end().0);
        let aperture = self.map.layout().aperture;
        if holds_table && !(aperture.contains(pages.start) && aperture.contains(pages.last_byte())) {
            tell(What::WritableTable);
        }
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
    // Few trees have more tables than one frame has room for, so that counting them first would mostly be in vain.
    let mut tables = PAGE_SIZE / 8;
    let mut room = loop {
        let mut room = room(memory, tables)?;
        let all = memory.words(&mut room).map_or(0, |list| gather(&machine.map, memory, list, &mut |_| {}));
        if all as u64 <= tables {
            tables = all as u64;
            break room;
        }
        memory.put(room);
        tables = all as u64;
    };
    let tally = memory.words(&mut room).map(|list| {
        check(&machine.map, memory, &machine.memory_map, &mut list[..tables as usize], &mut |finding| {
            // A console that fails has nobody to complain to.
            let _ = writeln!(console, "{finding}");
        })
    });
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
