//! Several CPUs: that they run on the same tables in the same way, and that none goes on using a translation that is gone.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use log::info;
use mm::{MapRequest, Mmu, OwnedFrames, PageFlags, PageRange, Rights, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::{Machine, cpus};

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
    let others = platform.on_others(&ask, &mut || ());
    expect(others + 1 == cpus::count(machine), "each CPU that runs does the work")?;
    expect(asked.into_inner() == others, "each does it once")?;
    expect(same.into_inner() == others, "all CPUs have the same CR0, CR3, CR4 and EFER")?;
    Ok(if others == 0 { ALONE } else { Outcome::Passed })
}

/// The page that the others hammer on while it is mapped now here, now there.
const HERE: VirtAddr = VirtAddr(0x5000_0000);

/// How often it is, in a self-test.
const ROUNDS: usize = 300;

/// What the others saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How many others there were.
    pub others: usize,
    /// How often they read a word.
    pub words: usize,
    /// How often nothing was mapped.
    pub nothing: usize,
    /// How often the word was one that could no longer be read.
    pub stale: usize,
}

/// No CPU reads through a translation that was flushed everywhere. Where it is flushed on one CPU only, the others do.
pub fn shootdown(machine: &mut Machine) -> Verdict {
    if cpus::count(machine) == 1 {
        return Ok(ALONE);
    }
    let seen = hammer(machine, ROUNDS, true)?;
    expect(seen.stale == 0, "no CPU uses a translation that was flushed")?;
    expect(seen.words > 0 && seen.nothing > 0, "the others look at the page while it comes and goes")?;
    let bitten = hammer(machine, ROUNDS, false)?;
    info!(
        "cpus.shootdown: {} words read on {} other CPUs, none stale; without telling them, {} of {} are",
        seen.words, seen.others, bitten.stale, bitten.words
    );
    Ok(Outcome::Passed)
}

/// Maps a page now here, now there, `rounds` times, while every other CPU looks at it; flushes on all CPUs if `everywhere`.
///
/// Each round has a number, which is written to the frame before it is mapped; after it is, the number is announced. Whoever
/// looks after that and sees a lower one has used a translation that is gone.
///
/// # Errors
/// [`Failure`] if a change is refused.
pub fn hammer(machine: &mut Machine, rounds: usize, everywhere: bool) -> Result<Seen, Failure> {
    let platform = machine.platform;
    let mmu = if everywhere { platform.mmu() } else { platform.mmu_here() };
    let (announced, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (words, nothing, stale) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let look = |_| {
        while !over.load(Ordering::SeqCst) {
            let floor = announced.load(Ordering::SeqCst);
            match platform.look(HERE) {
                Some(word) => {
                    words.fetch_add(1, Ordering::Relaxed);
                    stale.fetch_add(usize::from(word < floor), Ordering::Relaxed);
                }
                None => _ = nothing.fetch_add(1, Ordering::Relaxed),
            }
        }
    };
    let mut frames = {
        let mut memory = machine.memory.lock();
        let end = memory.window.frames().end();
        memory.take(1, end).named("two frames")?
    };
    let mut verdict = Ok(());
    let others = platform.on_others(&look, &mut || {
        for round in 1..=rounds {
            verdict = remap(machine, &mut frames, round, mmu, || {
                announced.store(round, Ordering::SeqCst);
                // Until somebody has looked, so that there is something to go stale.
                let before = words.load(Ordering::Relaxed);
                (0..100_000)
                    .take_while(|_| words.load(Ordering::Relaxed) == before)
                    .for_each(|_| core::hint::spin_loop());
            });
            if verdict.is_err() {
                break;
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    // What was not flushed is: the frames go to others now.
    platform.mmu().flush_page(HERE);
    let memory = &mut machine.memory.lock();
    let trimmed = machine.map.trim_user(memory).named("trim").map(|stale| stale.flush(memory, platform.mmu()));
    memory.put(frames);
    verdict.and(trimmed)?;
    Ok(Seen { others, words: words.into_inner(), nothing: nothing.into_inner(), stale: stale.into_inner() })
}

/// Maps one of the frames with the number `round` in it, lets `meanwhile` happen, and unmaps it.
fn remap(
    machine: &mut Machine,
    frames: &mut OwnedFrames,
    round: usize,
    mmu: &dyn Mmu,
    meanwhile: impl FnOnce(),
) -> Result<(), Failure> {
    let index = round as u64 % 2;
    let range = PageRange::new(HERE, 1);
    {
        let memory = &mut machine.memory.lock();
        let word = round.to_le_bytes();
        machine
            .map
            .with_frame(memory, machine.platform.mmu(), frames, index, |bytes| {
                bytes[..word.len()].copy_from_slice(&word)
            })
            .named("write to the frame")?;
        // Not a program's: with SMAP the kernel does not read those.
        let flags = PageFlags::new(Rights::WRITE);
        let request = MapRequest { range, first: frames.run().first.offset(index), flags };
        machine.map.map_user(memory, &request).named("map")?;
    }
    meanwhile();
    let memory = &mut machine.memory.lock();
    machine.map.unmap_user(memory, range, None).named("unmap")?.flush(memory, mmu);
    Ok(())
}
