//! Several CPUs: that they run on the same tables in the same way, and that none goes on using a translation that is gone.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use log::info;
use mm::Mmu;

use super::{Failure, Named, Outcome, Verdict, expect, not_ended};
use crate::hammer::page::{Counts, Frames, Round, Seen, Watch};
use crate::{Machine, cpus, typed};

const ALONE: Outcome = Outcome::Skipped("one CPU runs");

/// Every CPU has the first one's control registers.
pub fn registers(machine: &mut Machine) -> Verdict {
    let platform = machine.platform;
    let own = platform.registers();
    let (asked, same) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = |_| {
        let theirs = platform.registers();
        asked.fetch_add(1, Ordering::Relaxed);
        if (own.cr0, own.cr3, own.cr4, own.efer) == (theirs.cr0, theirs.cr3, theirs.cr4, theirs.efer) {
            same.fetch_add(1, Ordering::Relaxed);
        }
    };
    let others = cpus::on_others(platform, &ask, &mut || ())?;
    expect(others + 1 == cpus::count(machine), "each CPU that runs does the work")?;
    expect(asked.into_inner() == others, "each does it once")?;
    expect(same.into_inner() == others, "all CPUs have the same CR0, CR3, CR4 and EFER")?;
    Ok(if others == 0 { ALONE } else { Outcome::Passed })
}

/// For how many ticks of the first CPU's timer the others' are watched, and how many it may take until each has interrupted.
const WATCHED: u64 = 20;
const PATIENCE: u64 = 500;

/// Every other CPU has a timer that goes on interrupting, and not much more often than the first one's.
pub fn timers(machine: &mut Machine) -> Verdict {
    let platform = machine.platform;
    if cpus::count(machine) == 1 {
        return Ok(ALONE);
    }
    let begun = platform.time().ticks;
    if begun == 0 {
        return Ok(Outcome::Skipped("the first CPU's timer does not interrupt"));
    }
    let mut before = Vec::new();
    expect(before.try_reserve_exact(cpus::count(machine)).is_ok(), "there is memory for a number a CPU")?;
    platform.each_cpu(&mut |cpu| {
        if cpu.online && cpu.index != 0 && before.len() < before.capacity() {
            before.push(cpu);
        }
    });
    loop {
        let ticks = platform.time().ticks - begun;
        let (mut all, mut often, mut kind) = (true, false, "-");
        platform.each_cpu(&mut |cpu| {
            if let Some(then) = before.iter().find(|then| then.index == cpu.index) {
                let beats = u64::from(cpu.beats.wrapping_sub(then.beats));
                // Where the host is busy, ticks of the first CPU's get lost.
                (all, often, kind) = (all && beats > 1, often || beats > 10 * (ticks + 10), cpu.timer);
            }
        });
        expect(!often, "no timer interrupts ten times as often as the first CPU's")?;
        if ticks >= WATCHED && all {
            info!("cpus.timers: {} beside the first CPU's go, by {kind}", before.len());
            return Ok(Outcome::Passed);
        }
        expect(ticks < PATIENCE, "the timer of each CPU goes on interrupting")?;
        platform.pause();
    }
}

/// How often a page is mapped elsewhere.
const ROUNDS: usize = 300;

/// No CPU reads through a translation that was flushed everywhere. Where it is flushed on one CPU only, the others do.
pub fn shootdown(machine: &mut Machine) -> Verdict {
    if cpus::count(machine) == 1 {
        return Ok(ALONE);
    }
    let (others, seen) = hammer(machine, machine.platform.mmu())?;
    expect(seen.stale == 0, "no CPU uses a translation that was flushed")?;
    expect(seen.words > 0 && seen.nothing > 0, "the others look at the page while it comes and goes")?;
    let (_, bitten) = hammer(machine, machine.platform.mmu_here())?;
    info!(
        "cpus.shootdown: {} words read on {others} other CPUs, none stale; without telling them, {} of {} are",
        seen.words, bitten.stale, bitten.words
    );
    Ok(Outcome::Passed)
}

/// Maps a page now here, now there while every other CPU looks at it, with flushes by `mmu`. Tells how many others there were, and
/// what they saw.
fn hammer(machine: &mut Machine, mmu: &dyn Mmu) -> Result<(usize, Seen), Failure> {
    let platform = machine.platform;
    let (watch, counts) = (Watch::new(), Counts::none());
    let look = |_| {
        while !watch.is_over() {
            watch.look(platform, 0, &counts);
        }
    };
    let mut frames = Frames::take(machine).named("frames")?;
    let mut verdict = Ok(());
    let others = cpus::on_others(platform, &look, &mut || {
        let mut rounds = (0..ROUNDS).take_while(|_| !typed::ended(platform));
        verdict = rounds.try_for_each(|_| frames.remap(machine, &watch, mmu, Round::Narrow));
        watch.end();
    });
    let given_back = frames.give_back(machine);
    let others = others?;
    verdict.named("map a page elsewhere")?;
    given_back.named("trim")?;
    not_ended(platform)?;
    let mut seen = Seen::default();
    seen.take(&counts);
    Ok((others, seen))
}
