//! Mapping, unmapping and protecting, in the half where the kernel is not.

use mm::{Cache, Frame, Frames, Level, MapError, MapRequest, OwnedFrames, PageFlags, PageRange, Rights};
use mm::{Seen, VirtAddr};

use super::{Failure, Named, Outcome, Verdict, expect};
use crate::Machine;

/// Where these tests map: a multiple of every page size, in the user region of every mode.
const HERE: VirtAddr = VirtAddr(0x4000_0000);

const DATA: PageFlags = PageFlags::new(Rights::WRITE);

/// Takes a block that fills one page at `level`.
fn block(machine: &Machine, level: Level) -> Option<OwnedFrames> {
    let pages = machine.map.tables().paging().routines.info.pages(level);
    machine.memory.lock().take(pages.trailing_zeros() as u8, Frames::ANYWHERE).ok()
}

fn map(machine: &mut Machine, at: VirtAddr, frames: &OwnedFrames, flags: PageFlags) -> Result<(), MapError> {
    let run = frames.run();
    let request = MapRequest { range: PageRange::new(at, run.count), first: run.first, flags };
    machine.map.map_user(&mut machine.memory.lock(), &request)
}

/// Unmaps, flushes, takes empty tables out.
fn clear(machine: &mut Machine, range: PageRange) -> Result<(), Failure> {
    let memory = &mut machine.memory.lock();
    let mmu = machine.platform.mmu();
    machine.map.unmap_user(memory, range, None).named("unmap")?.flush(memory, mmu);
    machine.map.trim_user(memory).named("trim")?.flush(memory, mmu);
    Ok(())
}

/// A page of each size that the mode and the CPU have is written through one mapping and read through another.
pub fn every_size(machine: &mut Machine) -> Verdict {
    let limits = machine.map.tables().paging().limits;
    let info = &machine.map.tables().paging().routines.info;
    let mut tried = 0;
    for level in 1..=limits.top_leaf {
        // A small machine has no block of 1 GiB.
        let Some(mut frames) = block(machine, level) else { continue };
        let run = frames.run();
        let verdict: Result<(), Failure> = (|| {
            map(machine, HERE, &frames, DATA).named("map")?;
            let memory = machine.memory.lock();
            let leaf = machine.map.tables().query(&memory, HERE).ok_or(Failure::NotAt("mapped", HERE))?;
            expect(leaf.level == level && leaf.frame == run.first, "a block of a page's size becomes one page")?;
            let last = HERE.offset(info.pages(level) * mm::PAGE_SIZE - 4);
            for (at, word) in [(HERE, 0x5157_A7A1), (last, 0xFEDC_0000 | u32::from(level))] {
                machine.map.poke_user(&memory, &mut frames, at, word).named("poke")?;
                expect(machine.map.peek_user(&memory, at) == Ok(word), "what was written is read")?;
            }
            drop(memory);
            let memory = &mut machine.memory.lock();
            let mmu = machine.platform.mmu();
            let seen = machine.map.with_frame(memory, mmu, &mut frames, run.count - 1, |bytes| {
                bytes.last_chunk().map(|word| u32::from_le_bytes(*word))
            });
            expect(seen == Ok(Some(0xFEDC_0000 | u32::from(level))), "the frame holds what was written to the page")
        })();
        let cleared = clear(machine, PageRange::new(HERE, run.count));
        machine.memory.lock().put(frames);
        verdict.and(cleared)?;
        tried += 1;
    }
    expect(tried > 0, "a frame is free")?;
    Ok(Outcome::Passed)
}

/// Each thing that can be wrong with a request is told by name, and nothing changes.
pub fn refusals(machine: &mut Machine) -> Verdict {
    let info = &machine.map.tables().paging().routines.info;
    let limits = machine.map.tables().paging().limits;
    let Some(frames) = block(machine, 1) else { return Err(Failure::Not("a frame is free")) };
    let first = frames.run().first;
    let request =
        |start: u64, pages, first| MapRequest { range: PageRange::new(VirtAddr(start), pages), first, flags: DATA };
    let beyond = Frame(limits.frame_end());
    let half = info.kernel_half().0;
    // The first address that the mode does not translate: within the hole, or behind the end of 32 bits.
    let hole = if info.va_bits == 32 { 1 << 32 } else { 1 << (info.va_bits - 1) };
    let last = info.page_address(info.page_count() - 1).0;
    let wrong = [
        (request(HERE.0, 0, first), MapError::Empty),
        (request(HERE.0 + 1, 1, first), MapError::Misaligned),
        (request(HERE.0, 1, beyond), MapError::BeyondPhys),
        (request(HERE.0, 2, Frame(beyond.0 - 1)), MapError::BeyondPhys),
        (request(info.self_map_base().0, 1, first), MapError::SelfMap),
        (request(machine.map.layout().aperture.start.0, 1, first), MapError::NotOffered),
        (request(0, 1, first), MapError::NotOffered),
        (request(hole, 1, first), MapError::NotCanonical),
        (request(HERE.0, (half - HERE.0) / mm::PAGE_SIZE + 1, first), MapError::CrossesHole),
        (request(last, 2, first), MapError::Wraps),
    ];
    let before = fingerprint(machine);
    let mut verdict = Ok(());
    for (request, error) in wrong {
        let told = machine.map.map_user(&mut machine.memory.lock(), &request);
        if told != Err(error) {
            verdict = Err(Failure::NotAt("a wrong request is refused by its right name", request.range.start));
        }
    }
    let unmapped = machine.map.unmap_user(&mut machine.memory.lock(), PageRange::new(HERE, 1), None).err();
    let unprotected = machine.map.protect_user(&mut machine.memory.lock(), PageRange::new(HERE, 1), DATA).err();
    let after = fingerprint(machine);
    if let Err(failure) = map(machine, HERE, &frames, DATA).named("map") {
        machine.memory.lock().put(frames);
        return Err(failure);
    }
    let mapped = fingerprint(machine);
    // The second page is free, the first is not: nothing of the range may be mapped.
    let again = machine.map.map_user(&mut machine.memory.lock(), &request(HERE.0 - mm::PAGE_SIZE, 2, first));
    let untouched = fingerprint(machine) == mapped;
    clear(machine, PageRange::new(HERE, 1))?;
    machine.memory.lock().put(frames);
    verdict?;
    expect(again == Err(MapError::Occupied), "a page is not mapped twice")?;
    expect(unmapped == Some(MapError::NotMapped), "what is not mapped is not unmapped")?;
    expect(unprotected == Some(MapError::NotMapped), "what is not mapped is not protected")?;
    expect(before == after && untouched && mapped != before, "a refused request changes nothing")?;
    Ok(Outcome::Passed)
}

/// A sum over all that the live tree maps and every table of it.
fn fingerprint(machine: &Machine) -> u64 {
    let mut sum = 0u64;
    machine.map.tables().visit(&machine.memory.lock(), &mut |seen| {
        let (start, frame, more) = match seen {
            Seen::Table { start, level, frame, rights } => {
                (start, frame, u64::from(rights.bits()) << 8 | u64::from(level))
            }
            Seen::SelfMap { start, level, frame, .. } => (start, frame, u64::from(level)),
            Seen::Leaf(leaf) => {
                (leaf.start, leaf.frame, u64::from(leaf.flags.rights.bits()) << 8 | u64::from(leaf.level))
            }
        };
        for word in [start.0, frame.0, more] {
            sum = sum.rotate_left(7).wrapping_add(word);
        }
    });
    sum
}

/// A page taken out of the middle of a large one leaves its neighbours as they were, and put back it makes the large
/// one whole again.
pub fn split_and_merge(machine: &mut Machine) -> Verdict {
    if machine.map.tables().paging().limits.top_leaf < 2 {
        return Ok(Outcome::Skipped("this CPU has no large pages"));
    }
    let Some(frames) = block(machine, 2) else { return Ok(Outcome::Skipped("no free block of a large page's size")) };
    let run = frames.run();
    let verdict: Result<(), Failure> = (|| {
        map(machine, HERE, &frames, DATA).named("map")?;
        let memory = &mut machine.memory.lock();
        let hole = PageRange::new(HERE.offset(7 * mm::PAGE_SIZE), 1);
        let stale = machine.map.unmap_user(memory, hole, None).named("unmap a page of a large one")?;
        stale.flush(memory, machine.platform.mmu());
        for page in 0..run.count {
            let at = HERE.offset(page * mm::PAGE_SIZE);
            let leaf = machine.map.tables().query(memory, at);
            let right = leaf.is_some_and(|leaf| {
                (leaf.level, leaf.frame, leaf.flags.cache) == (1, run.first.offset(page), Cache::WriteBack)
            });
            if (page == 7) != leaf.is_none() || (page != 7 && !right) {
                return Err(Failure::NotAt("a split page maps what the large one did", at));
            }
        }
        let request = MapRequest { range: hole, first: run.first.offset(7), flags: DATA };
        machine.map.map_user(memory, &request).named("map the hole")?;
        // Read once more before the join, so that the CPU has both sizes to confuse.
        let word = machine.map.peek_user(memory, hole.start);
        let all = PageRange::new(HERE, run.count);
        machine.map.merge_user(memory, all).named("merge")?.flush(memory, machine.platform.mmu());
        let leaf = machine.map.tables().query(memory, hole.start);
        let one = leaf.is_some_and(|leaf| (leaf.level, leaf.start, leaf.frame) == (2, HERE, run.first));
        expect(one, "pages that continue one another are joined into a large one")?;
        expect(machine.map.peek_user(memory, hole.start) == word, "a joined page holds what its parts held")
    })();
    let cleared = clear(machine, PageRange::new(HERE, run.count));
    machine.memory.lock().put(frames);
    verdict.and(cleared)?;
    Ok(Outcome::Passed)
}

/// Rights that are taken away are gone, and come back.
pub fn protect(machine: &mut Machine) -> Verdict {
    let Some(mut frames) = block(machine, 1) else { return Err(Failure::Not("a frame is free")) };
    let range = PageRange::new(HERE, 1);
    let verdict: Result<(), Failure> = (|| {
        map(machine, HERE, &frames, DATA).named("map")?;
        let memory = &mut machine.memory.lock();
        machine.map.poke_user(memory, &mut frames, HERE, 1).named("poke")?;
        let stale = machine.map.protect_user(memory, range, PageFlags::default()).named("protect")?;
        stale.flush(memory, machine.platform.mmu());
        let refused = machine.map.poke_user(memory, &mut frames, HERE, 2);
        expect(refused == Err(MapError::NotOffered), "a read-only page is not written")?;
        expect(machine.map.peek_user(memory, HERE) == Ok(1), "a read-only page can be read")?;
        machine.map.protect_user(memory, range, DATA).named("protect")?.flush(memory, machine.platform.mmu());
        machine.map.poke_user(memory, &mut frames, HERE, 3).named("poke after the right came back")?;
        expect(machine.map.peek_user(memory, HERE) == Ok(3), "a page that may be written again is written")
    })();
    let cleared = clear(machine, range);
    machine.memory.lock().put(frames);
    verdict.and(cleared)?;
    Ok(Outcome::Passed)
}

/// After an unmap and a flush the CPU sees the frame that is mapped now, not the one before.
pub fn remap(machine: &mut Machine) -> Verdict {
    let Some(mut one) = block(machine, 1) else { return Err(Failure::Not("a frame is free")) };
    let Some(mut two) = block(machine, 1) else {
        machine.memory.lock().put(one);
        return Err(Failure::Not("two frames are free"));
    };
    let verdict: Result<(), Failure> = (|| {
        for round in 0..64u32 {
            let frames = if round % 2 == 0 { &mut one } else { &mut two };
            map(machine, HERE, frames, DATA).named("map")?;
            {
                let memory = machine.memory.lock();
                // The last but one round wrote to this frame, the last one to the other.
                let before = machine.map.peek_user(&memory, HERE).named("peek")?;
                expect(round < 2 || before == round - 2, "the CPU sees the frame that is mapped now")?;
                machine.map.poke_user(&memory, frames, HERE, round).named("poke")?;
            }
            clear(machine, PageRange::new(HERE, 1))?;
        }
        Ok(())
    })();
    let memory = &mut machine.memory.lock();
    memory.put(one);
    memory.put(two);
    verdict?;
    Ok(Outcome::Passed)
}
