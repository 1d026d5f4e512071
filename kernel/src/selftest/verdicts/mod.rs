//! What the CPU lets an access do, against what the walker says that it will.
//!
//! In a tree like the live one but without NX, so that EFER.NXE can be off too, entries are planted at every level on the
//! way to one page: every combination of the bits that count at one level with all others open, every reserved bit, and
//! random words at all levels. With WP, NXE, SMEP and SMAP on and off as far as the CPU has them, the page is read,
//! written and executed, by the kernel and by ring 3.

mod deviations;
mod words;

use core::fmt;

use log::info;
use mm::{Access, Controls, FaultCode, Features, KernelMap, Level, Memory, Paging, Refusal, Trial, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect, not_ended};
use crate::{Machine, Platform};
use deviations::Shown;
use words::Random;

/// At least so many cases a run.
const CASES: u64 = 110_000;

/// At least so many random ways with each setting of the controls.
const RANDOM: u64 = 50;

/// One access, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    at: VirtAddr,
    access: Access,
    controls: Controls,
    /// The entries from level 1 up, without their addresses.
    words: [u64; 5],
    walker: Result<(), FaultCode>,
    cpu: Result<(), FaultCode>,
}

/// Where it is tried.
struct Bench<'a> {
    platform: &'static dyn Platform,
    memory: &'a mut Memory,
    trial: &'a mut Trial,
    features: Features,
    words: [u64; 5],
    shown: Shown,
    tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    cases: u64,
    faults: u64,
    deviating: u64,
}

/// The CPU's verdict and the walker's are the same.
pub fn verdicts(machine: &mut Machine) -> Verdict {
    let before = machine.platform.registers();
    let (outcome, shown) = compare(machine)?;
    let after = machine.platform.registers();
    for deviation in shown.iter() {
        info!("rights.verdicts: {} has been seen to deviate: {}", deviation.who, deviation.what);
    }
    let mode = machine.map.tables().paging().routines.info.name;
    let Tally { cases, faults, deviating } = outcome;
    info!("rights.verdicts: {cases} accesses in {mode}, {faults} of them faults, {deviating} by a known deviation");
    expect((before.cr0, before.cr4, before.efer) == (after.cr0, after.cr4, after.efer), "the controls are as before")?;
    expect(before.cr3 == after.cr3, "the live tables are the same")?;
    expect(cases >= CASES, "enough was tried")?;
    Ok(Outcome::Passed)
}

fn compare(machine: &mut Machine) -> Result<(Tally, Shown), Failure> {
    // The heap is not used from here on: it grows out of this memory.
    let memory = &mut machine.memory.alone();
    let platform = machine.platform;
    let routines = machine.map.tables().paging().routines;
    let paging = Paging::new(routines, &Features { nx: false, ..machine.features });
    let ram = machine.memory_map.ram_runs();
    let mut twin = machine.map.twin(memory, paging, ram).named("build tables without NX")?;
    let laid = platform.lay_trial(&mut twin, memory, &machine.features).named("lay a page to be tried");
    let verdict = match laid {
        Ok(mut trial) => {
            let entered = platform.enter(&mut machine.map, &mut twin, memory).named("enter tables without NX");
            let verdict = entered.and_then(|_| {
                let (words, shown, tally) = Default::default();
                let features = machine.features;
                let mut bench = Bench { platform, memory, trial: &mut trial, features, words, shown, tally };
                bench.every_setting(&mut twin).map(|()| (bench.tally, bench.shown))
            });
            // Before anything else is done to these tables: nobody but the trial can read what is planted.
            twin.end_trial(memory, platform.mmu(), trial);
            let mut came_back = Ok(true);
            if twin.is_live() {
                came_back = platform.enter(&mut twin, &mut machine.map, memory).named("come back to the live tables");
            }
            if twin.is_live() {
                // There is no way back: what is live is what the machine has from now on.
                core::mem::swap(&mut twin, &mut machine.map);
            }
            verdict.and_then(|verdict| came_back.map(|_| verdict))
        }
        Err(failure) => Err(failure),
    };
    twin.free(memory, platform.mmu());
    verdict
}

impl Bench<'_> {
    /// Goes through the settings of the controls that this CPU has.
    fn every_setting(&mut self, map: &mut KernelMap) -> Result<(), Failure> {
        let registers = self.platform.registers();
        let now = Controls::of(self.features, registers.cr0, registers.cr4, registers.efer);
        let has = [now.write_protect, now.no_execute, now.smep, now.smap];
        let settings = 1u64 << has.iter().filter(|has| **has).count();
        let mut done = 0;
        for setting in 0..1u32 << has.len() {
            let on = |control: usize| setting >> control & 1 != 0;
            if has.iter().enumerate().any(|(control, has)| on(control) && !has) {
                continue;
            }
            not_ended(self.platform)?;
            let (write_protect, no_execute, smep, smap) = (on(0), on(1), on(2), on(3));
            let controls = Controls { write_protect, no_execute, smep, smap, ..now };
            done += 1;
            let goal = CASES * done / settings;
            let mut verdict = Ok(());
            let set = self.platform.with_controls(map, &controls, &mut |map| {
                verdict = self.every_word(map, &controls, goal);
            });
            verdict?;
            expect(set, "what is on can be switched off")?;
        }
        Ok(())
    }

    /// Every combination at one level, every reserved bit, and random ways until there are `goal` cases.
    fn every_word(&mut self, map: &mut KernelMap, controls: &Controls, goal: u64) -> Result<(), Failure> {
        let info = map.tables().paging().routines.info;
        let lowest = 1..=info.levels - u8::from(info.root_is_registers);
        self.words = [0; 5];
        for level in lowest.clone() {
            self.plant(map, level, self.trial.made(level) & !words::ADDRESS)?;
        }
        for level in lowest.clone() {
            let open = self.words[usize::from(level) - 1];
            for word in words::combinations(&info, level) {
                self.plant(map, level, word)?;
                self.every_access(map, controls)?;
            }
            for word in words::with_reserved_bits(&info, &self.features, level) {
                self.plant(map, level, word)?;
                self.every_access(map, controls)?;
            }
            self.plant(map, level, open)?;
        }
        let mut random = Random::new(goal);
        let mut ways = 0;
        while ways < RANDOM || self.tally.cases < goal {
            for level in lowest.clone() {
                self.plant(map, level, random.word(&info, &self.features, level))?;
            }
            self.every_access(map, controls)?;
            ways += 1;
        }
        Ok(())
    }

    fn plant(&mut self, map: &mut KernelMap, level: Level, word: u64) -> Result<(), Failure> {
        self.words[usize::from(level) - 1] = word;
        expect(map.plant(self.memory, self.trial, level, word), "an entry on the way can be changed")
    }

    /// Tries every access, those of the kernel's with SMAP also with EFLAGS.AC set.
    fn every_access(&mut self, map: &KernelMap, controls: &Controls) -> Result<(), Failure> {
        for access in Access::ALL {
            for ac in [false, true] {
                if ac && (!controls.smap || access.user) {
                    continue;
                }
                if !self.one(map, access, &Controls { ac, ..*controls })? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Tries one access. Tells whether another may be tried with the same entries: not where a reserved bit has been
    /// passed over, which may be an address bit to such a CPU.
    fn one(&mut self, map: &KernelMap, access: Access, controls: &Controls) -> Result<bool, Failure> {
        let at = self.trial.at();
        let right = match map.tables().verdict(self.memory, at, access, controls) {
            Ok(()) => Ok(()),
            Err(Refusal::PageFault(code)) => Err(code),
            Err(_) => return Err(Failure::NotAt("the walker sees all tables", at)),
        };
        self.platform.mmu().flush_page(at);
        let Some(cpu) = self.platform.attempt(self.trial, access, controls.ac) else {
            return Err(Failure::Not("the tables without NX are live"));
        };
        self.tally.cases += 1;
        self.tally.faults += u64::from(cpu.is_err());
        if cpu != right {
            self.tally.deviating += 1;
        }
        let Some(expected) = self.expected(map, access, controls, self.shown) else {
            // A CPU that passes over a reserved address bit, and is known to, has gone by a table where there is no memory.
            return Ok(false);
        };
        let explains = |shown: &Shown| self.expected(map, access, controls, *shown) == Some(cpu);
        let found = if expected == cpu { Some(self.shown) } else { self.shown.supersets().find(explains) };
        let Some(shown) = found else {
            let case = Case { at, access, controls: *controls, words: self.words, walker: right, cpu };
            return Err(Failure::Verdict(case));
        };
        self.shown = shown;
        let reserved = |verdict: Result<(), FaultCode>| verdict.is_err_and(|code| code.contains(FaultCode::RESERVED));
        Ok(!reserved(right) || reserved(cpu))
    }

    /// What the manual and the deviations `shown` make the CPU do.
    fn expected(
        &self,
        map: &KernelMap,
        access: Access,
        controls: &Controls,
        shown: Shown,
    ) -> Option<Result<(), FaultCode>> {
        let controls = shown.iter().fold(*controls, |controls, deviation| (deviation.controls)(controls));
        match map.tables().verdict(self.memory, self.trial.at(), access, &controls) {
            Ok(()) => Some(Ok(())),
            Err(Refusal::PageFault(code)) => {
                Some(Err(shown.iter().fold(code, |code, deviation| (deviation.code)(code))))
            }
            Err(_) => None,
        }
    }
}

/// `fetch by ring 3 of 0x40123000: the walker says fault 0x15, the CPU none; WP NXE, entries 0x67 0x67`
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let who = if self.access.user { "ring 3" } else { "the kernel" };
        write!(f, "{} by {who} of {:#x}: the walker says ", self.access.kind, self.at)?;
        tell(f, self.walker)?;
        f.write_str(", the CPU ")?;
        tell(f, self.cpu)?;
        f.write_str("; on:")?;
        let Controls { write_protect, no_execute, smep, smap, ac, .. } = self.controls;
        let on = [("WP", write_protect), ("NXE", no_execute), ("SMEP", smep), ("SMAP", smap), ("AC", ac)];
        for (name, _) in on.into_iter().filter(|(_, on)| *on) {
            write!(f, " {name}")?;
        }
        f.write_str("; entries from level 1:")?;
        self.words.iter().try_for_each(|word| write!(f, " {word:#x}"))
    }
}

fn tell(f: &mut fmt::Formatter, verdict: Result<(), FaultCode>) -> fmt::Result {
    match verdict {
        Ok(()) => f.write_str("no fault"),
        Err(code) => write!(f, "fault {:#x}", code.bits()),
    }
}
