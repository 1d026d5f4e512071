//! Memory on every CPU: each deals out of its own frames, and all of them together have what there is.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{Memory, OwnedFrames};
use spin::Mutex;

use super::stacks::{BLOCKS, largest};
use super::{Failure, Named, Outcome, Verdict, expect, lift, not_ended};
use crate::{Machine, Memories, cpus, modes};

const ALONE: Outcome = Outcome::Skipped("one CPU runs");

/// How many frames and blocks a CPU holds at once, and how often it takes so many.
const HELD: usize = 48;
const TURNS: usize = 16;

/// How often the mode is changed while the others take and give frames.
const CHANGES: u32 = 4;

/// What CPUs saw that dealt at the same time.
struct Dealt {
    memory: &'static Memories,
    /// How many blocks were taken.
    blocks: AtomicUsize,
    /// How many of them another CPU wrote to, or could not be reached.
    wrong: AtomicUsize,
}

impl Dealt {
    const fn new(memory: &'static Memories) -> Self {
        Self { memory, blocks: AtomicUsize::new(0), wrong: AtomicUsize::new(0) }
    }

    /// Takes frames and blocks on the CPU number `cpu`, writes in each whose it is, and looks whether that is so when it gives
    /// them back. Without memory it is content with fewer.
    fn deal(&self, cpu: usize) {
        let mut held = [const { None }; HELD];
        for (number, slot) in held.iter_mut().enumerate() {
            let mut memory = self.memory.lock();
            let end = memory.window.frames().end();
            // Mostly single frames: from the hand, now and then from a shelf.
            let Ok(mut block) = memory.take(if number % 8 == 7 { 2 } else { 0 }, end) else { continue };
            self.blocks.fetch_add(1, Ordering::Relaxed);
            if !write(&memory, &mut block, cpu) {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            *slot = Some(block);
        }
        for mut block in held.into_iter().flatten() {
            let mut memory = self.memory.lock();
            if !reads(&memory, &mut block, cpu) {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            memory.put(block);
        }
    }
}

/// What is written to a frame that belongs to the CPU number `cpu`.
const fn mark(cpu: usize) -> u64 {
    0x5EED_0000_0000 + cpu as u64
}

fn write(memory: &Memory, block: &mut OwnedFrames, cpu: usize) -> bool {
    memory.words(block).map(|words| words.fill(mark(cpu))).is_some()
}

fn reads(memory: &Memory, block: &mut OwnedFrames, cpu: usize) -> bool {
    memory.words(block).is_some_and(|words| words.iter().all(|word| *word == mark(cpu)))
}

/// All CPUs take and give frames at the same time: no frame goes to two of them, and in the end all are free, wherever they are.
pub fn dealing(machine: &mut Machine) -> Verdict {
    let before = machine.memory.lock().free_frames();
    let dealt = Dealt::new(machine.memory);
    let turns = |cpu| (0..TURNS).for_each(|_| dealt.deal(cpu));
    let others = cpus::on_others(machine.platform, &turns, &mut || turns(0))?;
    let after = machine.memory.lock().free_frames();
    expect(dealt.wrong.into_inner() == 0, "no frame is in two hands")?;
    expect(dealt.blocks.into_inner() > TURNS, "frames are dealt")?;
    expect(before == after, "every frame comes home")?;
    Ok(if others == 0 { ALONE } else { Outcome::Passed })
}

/// What another CPU has at hand is had all the same when there is nothing else.
pub fn pressure(machine: &mut Machine) -> Verdict {
    if machine.memory.count() < 2 || cpus::count(machine) < 2 {
        return Ok(ALONE);
    }
    let before = machine.memory.lock().free_frames();
    let mut rest = [const { None }; BLOCKS];
    let mut order = mm::Frames::MAX_ORDER;
    for slot in &mut rest {
        *slot = largest(machine, &mut order);
    }
    let left = machine.memory.lock().free_frames();
    let verdict = if left > 0 { Ok(()) } else { from_another(machine, &mut rest) };
    for slot in &mut rest {
        if let Some(frames) = slot.take() {
            machine.memory.lock().put(frames);
        }
    }
    if left > 0 {
        return Ok(Outcome::Skipped("free memory is in too many pieces to hold it all"));
    }
    verdict?;
    expect(machine.memory.lock().free_frames() == before, "every frame comes home")?;
    Ok(Outcome::Passed)
}

/// Has another CPU give a frame back, the only one that is free then, and takes it on this one.
fn from_another(machine: &Machine, rest: &mut [Option<OwnedFrames>]) -> Result<(), Failure> {
    let one = rest.iter_mut().rfind(|slot| slot.as_ref().is_some_and(|block| block.run().count <= MOST));
    let block = one.and_then(Option::take).ok_or(Failure::Not("a small block is among those taken"))?;
    let (count, order) = (block.run().count, block.run().count.ilog2() as u8);
    let given = Mutex::new(Some(block));
    let cached = AtomicUsize::new(0);
    let called = cpus::on_others(
        machine.platform,
        &|_| {
            if let Some(block) = given.lock().take() {
                let mut memory = machine.memory.lock();
                memory.put(block);
                cached.store(memory.cached_frames() as usize, Ordering::Relaxed);
            }
        },
        &mut || (),
    );
    if let Err(failure) = called {
        given.into_inner().into_iter().for_each(|block| machine.memory.lock().put(block));
        return Err(failure.into());
    }
    expect(cached.into_inner() as u64 == count, "the CPU to which a block is given back keeps it at hand")?;
    let free = machine.memory.lock().free_frames();
    let again = machine.memory.lock().take(order, mm::Frames::ANYWHERE);
    let missed = again.is_err();
    if let Some(slot) = rest.iter_mut().find(|slot| slot.is_none()) {
        *slot = again.ok();
    }
    expect(free == count, "what another CPU has at hand counts as free")?;
    expect(!missed, "what another CPU has at hand can be had")
}

/// The largest block that a cache keeps.
const MOST: u64 = 1 << 9;

/// The mode changes again and again while the other CPUs take and give frames.
pub fn mode_changes(machine: &mut Machine) -> Verdict {
    let Some(other) = modes::other(machine) else { return Ok(Outcome::Skipped("this CPU has one mode only")) };
    if cpus::count(machine) < 2 {
        return Ok(ALONE);
    }
    let mut frames = machine.memory.lock().take(0, lift::BOTH).named("take a frame")?;
    let (dealt, over) = (Dealt::new(machine.memory), AtomicBool::new(false));
    let turns = |cpu| {
        while !over.load(Ordering::SeqCst) {
            dealt.deal(cpu);
        }
    };
    let (mut verdict, platform) = (Ok(()), machine.platform);
    let called = cpus::on_others(platform, &turns, &mut || {
        verdict = (0..CHANGES).try_for_each(|round| {
            not_ended(platform)?;
            lift::once(machine, other, &mut frames, round)
        });
        over.store(true, Ordering::SeqCst);
    });
    machine.memory.lock().put(frames);
    called?;
    verdict?;
    expect(dealt.wrong.into_inner() == 0, "no frame is in two hands")?;
    expect(dealt.blocks.into_inner() > 0, "frames are dealt")?;
    Ok(Outcome::Passed)
}
