//! The frame allocator against a naive model, on this machine's frames: the host's tests have addresses of 64 bits, an i686
//! has not.

use mm::{Frame, FrameError, Frames};

use super::{Failure, Outcome, Verdict, expect};
use crate::Machine;

/// Blocks that are held at once, and steps of a program.
const BLOCKS: usize = 96;
const STEPS: usize = 4000;

/// Programs, by their seeds.
const SEEDS: [u64; 3] = [1, 0x5EED, 0x9E37_79B9_7F4A_7C15];

/// xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

/// Random programs of right and wrong calls: no two blocks overlap, each is aligned and below its limit, the number of free
/// frames is what the model says, and a wrong free changes nothing.
pub fn programs(machine: &Machine) -> Verdict {
    machine.memory.lock().with_frames(all_programs)
}

fn all_programs(frames: &mut Frames) -> Verdict {
    for seed in SEEDS {
        let mut held = [None; BLOCKS];
        let free = frames.free_frames();
        let verdict = program(frames, &mut Random(seed), &mut held);
        // Whatever came of it, nothing is kept.
        for (first, order) in held.into_iter().flatten() {
            frames.free(first, order).map_err(|_| Failure::Not("a block that was given can be given back"))?;
        }
        verdict?;
        expect(frames.free_frames() == free, "every frame comes home")?;
    }
    Ok(Outcome::Passed)
}

fn program(frames: &mut Frames, random: &mut Random, held: &mut [Option<(Frame, u8)>; BLOCKS]) -> Result<(), Failure> {
    let mut free = frames.free_frames();
    for _ in 0..STEPS {
        let at = random.below(BLOCKS);
        let order = random.below(8) as u8;
        match held[at] {
            None => {
                let below = [Frames::ANYWHERE, Frame(1 << 12), Frame(1 << 20)][random.below(3)];
                let Ok(first) = frames.alloc(order, below) else { continue };
                held[at] = Some((first, order));
                free -= 1 << order;
                let end = first.offset(1 << order);
                expect(end <= below && first.0.is_multiple_of(1 << order), "a block is aligned, and below its limit")?;
                let mut others = held.iter().enumerate().filter(|(n, _)| *n != at).filter_map(|(_, block)| *block);
                let apart = |(other, order): (Frame, u8)| other.offset(1 << order) <= first || end <= other;
                expect(others.all(apart), "no two blocks overlap")?;
            }
            Some((first, held_order)) if order == held_order || random.below(2) == 0 => {
                expect(frames.free(first, held_order).is_ok(), "a block that was given can be given back")?;
                held[at] = None;
                free += 1 << held_order;
                expect(frames.free(first, held_order) == Err(FrameError::DoubleFree), "a double free is refused")?;
            }
            Some((first, _)) => expect(frames.free(first, order).is_err(), "a wrong order is refused")?,
        }
        expect(frames.free_frames() == free, "as many frames are free as the model says")?;
    }
    Ok(())
}
