//! The audit: what must hold of page tables, looked at word by word.
//!
//! It reads every word of the tree once. Of pages that continue one another there are many, and what is to be said of them it
//! says once; only a run with something wrong is looked at entry by entry. On the way the tables are listed, and sorted
//! afterwards, so that two that share a frame stand side by side and any frame is looked up by halving; and so are the
//! pages that can be written, so that a table among them is found. The list lies in a frame taken for it, or in as many as it takes,
//! so that no heap is needed.

mod rules;
mod seen;

use core::fmt::{self, Write};

use mm::{Frame, KernelMap, Memory, MemoryMap, OwnedFrames, PAGE_SIZE, Pte, RawEntry, VirtAddr};

use crate::Machine;
use crate::console::Console;
use rules::Rules;
use seen::{Seen, holds};

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
