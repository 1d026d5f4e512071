//! Frames in any order: a list of them in one call, and a cursor from page to page.

use mm::{Frame, Frames, ListRequest, MapError, OwnedFrames, PAGE_SIZE, PageFlags, PageRange, Rights, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::Machine;

/// Where these tests map: so that the pages lie in two tables in every mode.
const HERE: VirtAddr = VirtAddr(0x4080_0000 - 4 * PAGE_SIZE);

/// How many pages, as a power of two.
const ORDER: u8 = 3;

const PAGES: usize = 1 << ORDER;

const DATA: PageFlags = PageFlags::new(Rights::WRITE);

fn page(n: usize) -> VirtAddr {
    HERE.offset(n as u64 * PAGE_SIZE)
}

/// The frames of a block, the last first.
fn backwards(frames: &OwnedFrames) -> [Frame; PAGES] {
    core::array::from_fn(|n| frames.run().first.offset((PAGES - 1 - n) as u64))
}

/// Takes a block, lets `work` do something with it, and takes away whatever is mapped then.
fn with_block(
    machine: &mut Machine,
    work: impl FnOnce(&mut Machine, &mut OwnedFrames) -> Result<(), Failure>,
) -> Verdict {
    let Ok(mut frames) = machine.memory.lock().take(ORDER, Frames::ANYWHERE) else {
        return Ok(Outcome::Skipped("no free block of eight frames"));
    };
    let verdict = work(machine, &mut frames);
    let cleared = clear(machine);
    machine.memory.lock().put(frames);
    verdict.and(cleared)?;
    Ok(Outcome::Passed)
}

fn clear(machine: &mut Machine) -> Result<(), Failure> {
    let memory = &mut machine.memory.lock();
    let mmu = machine.platform.mmu();
    let range = PageRange::new(HERE, PAGES as u64);
    let ((), stale) = machine
        .map
        .with_user_cursor(memory, range, |cursor| {
            while cursor.left().pages > 0 {
                if cursor.query().is_some() {
                    // It is mapped, and no large page is in the way: this cannot be refused.
                    let _ = cursor.unmap();
                }
                cursor.skip(1);
            }
        })
        .named("go through the pages")?;
    stale.flush(memory, mmu);
    machine.map.trim_user(memory).named("trim")?.flush(memory, mmu);
    Ok(())
}

/// Each page of a list is the frame that the list names.
pub fn list(machine: &mut Machine) -> Verdict {
    with_block(machine, |machine, frames| {
        let order = backwards(frames);
        let request = ListRequest { start: HERE, frames: &order, flags: DATA };
        let memory = &mut machine.memory.lock();
        machine.map.map_user_list(memory, &request).named("map a list")?;
        expect(machine.map.map_user_list(memory, &request) == Err(MapError::Occupied), "a list is not mapped twice")?;
        for n in 0..PAGES {
            machine.map.poke_user(memory, frames, page(n), n as u32).named("poke")?;
        }
        for n in 0..PAGES {
            let seen = machine.map.with_frame(memory, machine.platform.mmu(), frames, n as u64, |bytes| {
                bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
            });
            expect(seen == Ok(Some((PAGES - 1 - n) as u32)), "the frame holds what was written to its page")?;
        }
        Ok(())
    })
}

/// A cursor maps, protects and unmaps single pages, and one flush is enough for all of it.
pub fn cursor(machine: &mut Machine) -> Verdict {
    with_block(machine, |machine, frames| {
        let order = backwards(frames);
        let memory = &mut machine.memory.lock();
        let range = PageRange::new(HERE, PAGES as u64);
        let (mapped, stale) = machine
            .map
            .with_user_cursor(memory, range, |cursor| {
                order.iter().try_for_each(|frame| {
                    cursor.map(*frame, DATA)?;
                    cursor.skip(1);
                    Ok(())
                })
            })
            .named("go through the pages")?;
        stale.flush(memory, machine.platform.mmu());
        mapped.named("map by a cursor")?;
        for n in 0..PAGES {
            machine.map.poke_user(memory, frames, page(n), n as u32).named("poke")?;
        }
        let (changed, stale) = machine
            .map
            .with_user_cursor(memory, range, |cursor| {
                order.chunks(2).try_for_each(|pair| {
                    cursor.protect(PageFlags::default())?;
                    cursor.skip(1);
                    let frame = cursor.unmap()?;
                    cursor.skip(1);
                    if pair.get(1) == Some(&frame) { Ok(()) } else { Err(MapError::NotMapped) }
                })
            })
            .named("go through the pages")?;
        stale.flush(memory, machine.platform.mmu());
        changed.named("protect and unmap by a cursor")?;
        for n in 0..PAGES {
            let (there, word) = (machine.map.peek_user(memory, page(n)), n as u32);
            let right = if n % 2 == 0 { there == Ok(word) } else { there == Err(MapError::NotMapped) };
            let told = machine.map.poke_user(memory, frames, page(n), 0);
            if !right || told.is_ok() {
                return Err(Failure::NotAt("every second page is gone, and the others are read-only", page(n)));
            }
        }
        Ok(())
    })
}
