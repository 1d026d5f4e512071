//! The audit: it has to find what is planted for it, each kind by its name, and nothing else.

use mm::{Frame, Level, MemoryMap, Rights, VirtAddr};
use mm::{Frames, KernelMap, MapRequest, Memory, OwnedFrames, PAGE_SHIFT, PageFlags, PageRange, Pte};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::Machine;
use crate::audit::{self, What};

/// A user page of the tree that is planted in, and the page before it, which is page 0.
const USER: VirtAddr = VirtAddr(0x1000);

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const OPEN: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

/// Bits 12 to 51: where an entry points.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The text screen's memory: never RAM.
const NOT_RAM: Frame = Frame(0xB8);

/// A tree like the live one, and what auditing it takes.
struct Garden<'a> {
    twin: &'a mut KernelMap,
    memory: &'a mut Memory,
    memory_map: &'a MemoryMap<'static>,
    room: OwnedFrames,
}

/// In a tree like the live one, which no CPU uses, one entry at a time is spoilt.
pub fn finds_what_is_planted(machine: &mut Machine) -> Verdict {
    let memory = &mut *machine.memory.lock();
    let paging = *machine.map.tables().paging();
    let ram = machine.memory_map.ram_runs();
    let mut twin = machine.map.twin(memory, paging, ram).named("build a tree like the live one")?;
    let verdict = match prepare(&mut twin, memory) {
        Ok((page, room)) => {
            let mut garden = Garden { twin: &mut twin, memory, memory_map: &machine.memory_map, room };
            let verdict = garden.plant_all();
            let room = garden.room;
            memory.put(room);
            memory.put(page);
            verdict
        }
        Err(failure) => Err(failure),
    };
    twin.free(memory, machine.platform.mmu());
    verdict.map(|()| Outcome::Passed)
}

/// Maps a page for ring 3, which nobody finds fault with. Returns its frame, and room for the audit's list.
fn prepare(twin: &mut KernelMap, memory: &mut Memory) -> Result<(OwnedFrames, OwnedFrames), Failure> {
    let page = memory.take(0, Frames::ANYWHERE).named("take a frame")?;
    let request =
        MapRequest { range: PageRange::new(USER, 1), first: page.run().first, flags: PageFlags::new(Rights::USER) };
    let room = twin.map_user(memory, &request).named("map a user page").and_then(|()| {
        // One more for a table that is planted.
        let tables = audit::count_tables(twin, memory) + 1;
        audit::room(memory, tables).ok_or(Failure::Not("there is memory for the audit's list"))
    });
    match room {
        Ok(room) => Ok((page, room)),
        Err(failure) => {
            memory.put(page);
            Err(failure)
        }
    }
}

impl Garden<'_> {
    fn plant_all(&mut self) -> Result<(), Failure> {
        let (info, limits) = (&self.twin.tables().paging().routines.info, self.twin.tables().paging().limits);
        expect(self.findings(USER, 1, |raw| raw, |_| true) == Some(0), "there is nothing to find yet")?;
        let tables = audit::count_tables(self.twin, self.memory);
        let mut unlisted = 0;
        let mut short = [0; 2];
        audit::audit(self.twin, self.memory, self.memory_map, &mut short, &mut |finding| {
            unlisted += u64::from(finding.what == What::Unlisted);
        });
        expect(unlisted == tables - short.len() as u64, "a table that is not compared with the others is named")?;
        let section = |name| self.twin.sections().iter().find(|section| section.name == name).map(|s| s.pages.start);
        let all = (section("text"), section("data"), section("guard"));
        let (Some(text), Some(data), Some(guard)) = all else { return Err(Failure::Not("the image has its sections")) };
        let root = self.twin.tables().root();
        let user = |frame: Frame, bits| move |_| frame.0 << PAGE_SHIFT | PRESENT | bits;
        let leaf_table = self.table_below(data).ok_or(Failure::Not("data has a leaf table"))?;
        let free = (0..self.memory.window.frames().end().0)
            .map(Frame)
            .find(|frame| self.memory.look_at_frames(|frames| frames.is_free(*frame)));
        let free = free.ok_or(Failure::Not("a frame is free"))?;
        let far = self.memory.window.frames().end();
        // One that was given back just now counts as allocated further down.
        let cached = self.memory.take(0, far).named("take a frame")?;
        let first = cached.run().first;
        self.memory.put(cached);

        self.plant(What::User, data, 1, |raw| raw | OPEN)?;
        self.plant(What::WritableConstant, text, 1, |raw| raw | WRITE)?;
        self.plant(What::PageZero, VirtAddr(0), 1, user(NOT_RAM, OPEN))?;
        self.plant(What::Leftover, USER, 1, |raw| raw & !OPEN)?;
        self.plant(What::Identity, USER, 1, user(Frame(1), 0))?;
        self.plant(What::NotRam, USER, 1, user(NOT_RAM, OPEN))?;
        self.plant(What::WritableTable, USER, 1, user(root, OPEN | WRITE))?;
        self.plant(What::Guard, guard, 1, user(NOT_RAM, 0))?;
        self.plant(What::SharedTable, USER, 2, move |raw| raw & !ADDRESS | leaf_table.0 << PAGE_SHIFT)?;
        self.plant(What::FreeTable, USER, 2, move |raw| raw & !ADDRESS | free.0 << PAGE_SHIFT)?;
        self.plant(What::FreeTable, USER, 2, move |raw| raw & !ADDRESS | first.0 << PAGE_SHIFT)?;
        self.plant(What::FarTable, USER, 2, move |raw| raw & !ADDRESS | far.0 << PAGE_SHIFT)?;
        if limits.no_execute {
            self.plant(What::WriteAndExecute, data, 1, |raw| raw & !NO_EXECUTE)?;
        }
        if info.entry_bytes == 8 && limits.phys_bits < 52 {
            self.plant(What::BeyondWidth, data, 1, |raw| raw | 1 << 51)?;
        }
        match info.levels {
            3 => self.plant(What::Reserved, data, 1, |raw| raw | 1 << 52)?,
            4 | 5 => self.plant(What::Reserved, data, 4, |raw| raw | LARGE)?,
            // Only a large page has reserved bits in pml2.
            _ if limits.top_leaf > 1 => self.plant(What::Reserved, USER, 2, |raw| raw | LARGE | 1 << 13)?,
            _ => {}
        }
        if limits.top_leaf < info.top_leaf {
            self.plant(What::TooLarge, USER, limits.top_leaf + 1, |raw| raw | LARGE)?;
        }
        Ok(())
    }

    fn plant(
        &mut self,
        what: What,
        at: VirtAddr,
        level: Level,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), Failure> {
        match self.findings(at, level, change, |found| found == what) {
            Some(1..) => Ok(()),
            _ => Err(Failure::NotFound(what, at)),
        }
    }

    /// How many findings count with the entry at `level` for `at` changed.
    fn findings(
        &mut self,
        at: VirtAddr,
        level: Level,
        change: impl FnOnce(u64) -> u64,
        counts: impl Fn(What) -> bool,
    ) -> Option<u64> {
        let Self { twin, memory, memory_map, room } = self;
        let look = |twin: &KernelMap, memory: &Memory| {
            let list = memory.words(room)?;
            let mut found = 0;
            audit::audit(twin, memory, memory_map, list, &mut |finding| found += u64::from(counts(finding.what)));
            Some(found)
        };
        twin.planted(memory, at, level, change, look)?
    }

    /// The leaf table on the way to `at`.
    fn table_below(&self, at: VirtAddr) -> Option<Frame> {
        let mut found = None;
        self.twin.tables().path(self.memory, at, &mut |step| {
            if let (2, Pte::Table(frame, _)) = (step.level, step.pte) {
                found = Some(frame);
            }
        });
        found
    }
}
