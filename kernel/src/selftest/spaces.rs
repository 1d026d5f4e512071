//! Address spaces that a CPU keeps when it leaves them: that it finds them again, and nothing in them that is gone.
//!
//! Two threads on one CPU, a guest in each of two spaces, look at the same address when they are asked to. After the second has, the
//! CPU has the first one's space no longer loaded, and still knows what the first has seen. What an emulator's CPU has forgotten too
//! early shows nowhere; so the CPU's own counts are looked at as well: a space in which something has changed must not count as warm.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{AddressSpace, MapRequest, OwnedFrames, PAGE_SIZE, PageFlags, PageRange, Rights, VirtAddr};
use sched::{Priority, ThreadId};
use spin::Once;

use super::threads::{start_in, unusable};
use super::{Failure, Named, Outcome, Verdict, expect};
use crate::threads::{self, Work};
use crate::{CpuSpaces, Machine, Platform};

const NO_PCID: Outcome = Outcome::Skipped("no CPU keeps an address space that it leaves");

/// Where the guests look.
const HERE: VirtAddr = VirtAddr(0x6000_0000);

/// What they see if nothing is there. No word is 0.
const NOTHING: usize = 0;

/// Guests at a time, and spaces.
const GUESTS: usize = 3;
const SPACES: usize = 2;

/// Frames for each space, which are mapped in turns; and log2 of how many that is for all.
const FRAMES: u64 = 2;
const ORDER: u8 = 2;

/// How often a test does what it does.
const ROUNDS: usize = 8;

/// How many ticks a guest may take.
const PATIENCE: u32 = 500;

/// How often each guest was asked, up to which time it has answered, and what it saw then.
static ASKED: [AtomicUsize; GUESTS] = [const { AtomicUsize::new(0) }; GUESTS];
static ANSWERED: [AtomicUsize; GUESTS] = [const { AtomicUsize::new(0) }; GUESTS];
static SEEN: [AtomicUsize; GUESTS] = [const { AtomicUsize::new(NOTHING) }; GUESTS];

/// Which are to end.
static OVER: [AtomicBool; GUESTS] = [const { AtomicBool::new(false) }; GUESTS];

static PLATFORM: Once<&'static dyn Platform> = Once::new();

/// Looks whenever it is asked to.
fn guest(at: usize) {
    while let (Some(platform), false) = (PLATFORM.get(), OVER[at].load(Ordering::SeqCst)) {
        let asked = ASKED[at].load(Ordering::SeqCst);
        if ANSWERED[at].load(Ordering::SeqCst) != asked {
            SEEN[at].store(platform.look(HERE).unwrap_or(NOTHING), Ordering::SeqCst);
            ANSWERED[at].store(asked, Ordering::SeqCst);
        }
        threads::block();
    }
}

/// A space, and how often something was mapped in it.
struct Room {
    space: AddressSpace,
    round: u64,
}

/// The spaces, the guests and their frames. Everything is given back by [`end`](Self::end).
struct House {
    cpu: usize,
    frames: Option<OwnedFrames>,
    rooms: [Option<Room>; SPACES],
    guests: [Option<ThreadId>; GUESTS],
}

/// Makes a test with a guest in each of two spaces, and gives back what it has used.
fn with_house(machine: &mut Machine, test: impl FnOnce(&mut Machine, &mut House) -> Result<(), Failure>) -> Verdict {
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let mut chosen = None;
    machine.platform.each_cpu(&mut |cpu| {
        if cpu.online && cpu.spaces.kept_by.is_some() {
            chosen = Some(cpu.index);
        }
    });
    let Some(cpu) = chosen else { return Ok(NO_PCID) };
    PLATFORM.call_once(|| machine.platform);
    let mut house = House { cpu, frames: None, rooms: [const { None }; SPACES], guests: [const { None }; GUESTS] };
    let verdict = house.begin(machine).and_then(|()| test(machine, &mut house));
    house.end(machine);
    verdict.map(|()| Outcome::Passed)
}

impl House {
    fn begin(&mut self, machine: &mut Machine) -> Result<(), Failure> {
        {
            let memory = &mut machine.memory.lock();
            let end = memory.window.frames().end();
            self.frames = Some(memory.take(ORDER, end).named("frames")?);
        }
        for at in 0..SPACES {
            self.open(machine, at)?;
            self.settle(machine, at, at)?;
            self.furnish(machine, at)?;
            // He has begun then, and waits.
            self.ask(at)?;
        }
        Ok(())
    }

    /// Makes the space number `at`.
    fn open(&mut self, machine: &mut Machine, at: usize) -> Result<(), Failure> {
        let made = machine.platform.new_space(&mut machine.map, &mut machine.memory.lock());
        self.rooms[at] = Some(Room { space: made.named("an address space")?, round: 0 });
        Ok(())
    }

    /// Starts the guest number `guest` in the space number `at`.
    fn settle(&mut self, machine: &mut Machine, guest_at: usize, at: usize) -> Result<(), Failure> {
        OVER[guest_at].store(false, Ordering::SeqCst);
        let number = self.room(at)?.space.number();
        let cpu = Some(self.cpu);
        let work = Work { name: "guest", priority: Priority::Normal, cpu, run: guest, argument: guest_at };
        self.guests[guest_at] = Some(start_in(machine, work, number)?);
        Ok(())
    }

    fn room(&mut self, at: usize) -> Result<&mut Room, Failure> {
        self.rooms[at].as_mut().ok_or(Failure::Not("the space is there"))
    }

    /// The word that the guest of the space number `at` must see.
    fn word(&mut self, at: usize) -> Result<usize, Failure> {
        let round = self.room(at)?.round as usize;
        Ok(if round == 0 { NOTHING } else { round * SPACES + at })
    }

    /// Maps the other of its frames in the space number `at`, with a word of its own on it.
    fn furnish(&mut self, machine: &mut Machine, at: usize) -> Result<(), Failure> {
        self.room(at)?.round += 1;
        let word = self.word(at)?.to_le_bytes();
        let round = self.room(at)?.round;
        let Self { frames: Some(frames), rooms, .. } = self else { return Err(Failure::Not("frames are there")) };
        let Some(room) = &mut rooms[at] else { return Err(Failure::Not("the space is there")) };
        let memory = &mut machine.memory.lock();
        let index = at as u64 * FRAMES + round % FRAMES;
        let write = |page: &mut [u8; PAGE_SIZE as usize]| page[..word.len()].copy_from_slice(&word);
        machine.map.with_frame(memory, machine.platform.mmu(), frames, index, write).named("write a word")?;
        let request = MapRequest {
            range: PageRange::new(HERE, 1),
            first: frames.run().first.offset(index),
            // Not a program's: with SMAP the kernel does not read those.
            flags: PageFlags::new(Rights::WRITE),
        };
        room.space.map(memory, &request).named("map a page in a space")
    }

    /// Unmaps the page in the space number `at`. Tells how many CPUs were asked.
    fn clear(&mut self, machine: &mut Machine, at: usize) -> Result<usize, Failure> {
        let (_, before) = machine.platform.shootdowns();
        let room = self.room(at)?;
        let mmu = machine.platform.mmu_in(&room.space);
        let memory = &mut machine.memory.lock();
        room.space.unmap(memory, PageRange::new(HERE, 1), None).named("unmap a page in a space")?.flush(memory, mmu);
        Ok(machine.platform.shootdowns().1.wrapping_sub(before))
    }

    /// Has a guest look, and tells what it saw.
    fn ask(&self, at: usize) -> Result<usize, Failure> {
        let id = self.guests[at].ok_or(Failure::Not("the guest is there"))?;
        let asked = ASKED[at].fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        threads::wake(id);
        for _ in 0..PATIENCE {
            if ANSWERED[at].load(Ordering::SeqCst) == asked {
                return Ok(SEEN[at].load(Ordering::SeqCst));
            }
            threads::sleep_until(threads::now().wrapping_add(1));
        }
        Err(Failure::Not("a guest answers"))
    }

    /// The same, and tells whether his space, and all that his CPU went to since it counted `before`, was warm. (The first CPU goes to
    /// the kernel's own afterwards, for the prompt.)
    fn ask_since(&self, machine: &Machine, before: CpuSpaces, at: usize) -> Result<(usize, bool), Failure> {
        let word = self.ask(at)?;
        let after = self.counts(machine);
        let entered = after.entered.wrapping_sub(before.entered);
        expect(entered > 0, "the guest's CPU goes to his space")?;
        Ok((word, after.warm.wrapping_sub(before.warm) == entered))
    }

    fn counts(&self, machine: &Machine) -> CpuSpaces {
        let mut counts = CpuSpaces::default();
        machine.platform.each_cpu(&mut |cpu| {
            if cpu.index == self.cpu {
                counts = cpu.spaces;
            }
        });
        counts
    }

    /// Has a guest end. His thread is not taken back yet: that would be a flush of the kernel half, which leaves no space warm.
    fn send_away(&self, at: usize) -> Result<(), Failure> {
        let id = self.guests[at].ok_or(Failure::Not("the guest is there"))?;
        OVER[at].store(true, Ordering::SeqCst);
        threads::wake(id);
        for _ in 0..PATIENCE {
            if threads::has_ended(id) {
                return Ok(());
            }
            threads::sleep_until(threads::now().wrapping_add(1));
        }
        Err(Failure::Not("a guest ends"))
    }

    fn end(self, machine: &mut Machine) {
        OVER.iter().for_each(|over| over.store(true, Ordering::SeqCst));
        for id in self.guests.into_iter().flatten() {
            threads::wake(id);
            threads::join(machine, id);
        }
        let memory = &mut machine.memory.lock();
        for room in self.rooms.into_iter().flatten() {
            machine.platform.free_space(&mut machine.map, memory, room.space);
        }
        if let Some(frames) = self.frames {
            memory.put(frames);
        }
    }
}

/// A space to which the CPU comes back is warm, and still the same.
pub fn warm(machine: &mut Machine) -> Verdict {
    with_house(machine, |machine, house| {
        let (first, second) = (house.word(0)?, house.word(1)?);
        let mut found = 0;
        for _ in 0..ROUNDS {
            let (word, was_warm) = house.ask_since(machine, house.counts(machine), 0)?;
            expect(word == first, "the first guest sees his own page")?;
            expect(house.ask(1)? == second, "the second guest sees his own page")?;
            found += usize::from(was_warm);
        }
        // For some of the kernel half a CPU may have had to forget all.
        expect(found > 0, "a space to which a CPU comes back is warm")
    })
}

/// A page that is mapped elsewhere while the space is only warm is seen where it is, and nobody was asked to forget it.
pub fn remap(machine: &mut Machine) -> Verdict {
    with_house(machine, |machine, house| {
        for _ in 0..ROUNDS {
            for mapped in [false, true] {
                let before = house.word(0)?;
                expect(house.ask(0)? == before, "the first guest sees his page")?;
                let second = house.word(1)?;
                expect(house.ask(1)? == second, "the second guest sees his page")?;
                let asked = house.clear(machine, 0)?;
                expect(asked == 0, "nobody is asked to forget where a space is only warm")?;
                if mapped {
                    house.furnish(machine, 0)?;
                }
                let expected = if mapped { house.word(0)? } else { NOTHING };
                let (word, was_warm) = house.ask_since(machine, house.counts(machine), 0)?;
                expect(word == expected, "a guest sees nothing that was unmapped while his space was only warm")?;
                expect(!was_warm, "a space does not count as warm in which something has changed")?;
                if !mapped {
                    house.furnish(machine, 0)?;
                }
            }
        }
        Ok(())
    })
}

/// A space that gets the number of another one has nothing of that one's.
pub fn reuse(machine: &mut Machine) -> Verdict {
    with_house(machine, |machine, house| {
        let first = house.word(0)?;
        expect(house.ask(0)? == first, "the first guest sees his page")?;
        let second = house.word(1)?;
        expect(house.ask(1)? == second, "the second guest sees his page")?;
        house.send_away(0)?;
        let Some(old) = house.rooms[0].take() else { return Err(Failure::Not("the space is there")) };
        let number = old.space.number();
        machine.platform.free_space(&mut machine.map, &mut machine.memory.lock(), old.space);
        house.open(machine, 0)?;
        expect(house.room(0)?.space.number() == number, "the number is used again")?;
        let before = house.counts(machine);
        house.settle(machine, 2, 0)?;
        let (word, was_warm) = house.ask_since(machine, before, 2)?;
        expect(word == NOTHING, "a guest sees nothing of the space that had the number before")?;
        expect(!was_warm, "a space does not count as warm that is new")
    })
}
