//! The frame allocator against the naive one.

use mm::frames::Boundary;
use mm::{Frame, FrameRun, Frames};

use crate::bytes::Bytes;
use crate::naive_frames::{Model, pieces};

/// Steps in a program.
const MOST: usize = 400;

/// An allocator with its metadata, which is given back.
struct Machine {
    frames: Frames,
    metadata: *mut [u64],
}

impl Machine {
    /// An allocator over exactly as much metadata as it says it needs, with rubbish in it.
    fn new(runs: &[FrameRun], zones: &[Boundary]) -> Self {
        let words = Frames::metadata_words(runs, zones);
        let metadata = Box::into_raw(vec![0xA5A5_5A5A_F00F_0FF0; words].into_boxed_slice());
        // SAFETY: the box lives until the machine is dropped, and the allocator in it with it.
        let frames = Frames::new(runs, zones, unsafe { &mut *metadata }).expect("the runs are in order");
        Self { frames, metadata }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new`; the allocator that borrows it is dropped with it and looks at it no more.
        drop(unsafe { Box::from_raw(self.metadata) });
    }
}

/// The program's beginning lists runs of RAM and the zones' edges; then a byte with a few more behind it makes a step.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let zones = zones(&mut bytes);
    let runs = runs(&mut bytes);
    let total: u64 = runs.iter().map(|run| run.count).sum();
    let end = runs.last().map_or(0, |run| run.end().0) + 70;
    let mut machine = Machine::new(&runs, &zones);
    let mut model = Model::new(&runs, &zones);
    let mut held = Held::default();
    model.agrees(&machine.frames);
    for n in 0..MOST {
        if bytes.is_empty() {
            break;
        }
        held.step(&mut bytes, &mut machine.frames, &mut model, end);
        if n % 16 == 0 {
            model.agrees(&machine.frames);
        }
    }
    model.agrees(&machine.frames);
    held.give_back(&mut machine.frames, &mut model);
    model.agrees(&machine.frames);
    assert_eq!((machine.frames.total_frames(), machine.frames.free_frames()), (total, total), "every frame is home");
}

/// Up to three edges, each on a round number or beside one, in any order.
fn zones(bytes: &mut Bytes) -> Vec<Boundary> {
    let edge = |byte: u8| match byte % 8 {
        0 => 0x1000,
        1 => 0x10_0000,
        2 => 0x3_0000,
        3 => 0x1234,
        4 => 0,
        other => u64::from(byte) << (2 * other),
    };
    (0..bytes.below(4)).map(|_| Boundary { end: Frame(edge(bytes.byte())), name: "zone" }).collect()
}

/// Up to 23 runs: gaps and lengths from one frame to some GiB.
fn runs(bytes: &mut Bytes) -> Vec<FrameRun> {
    let mut at = 0;
    let mut runs = Vec::new();
    for _ in 0..bytes.below(24) {
        let shifts = bytes.byte();
        let first = at + distance(bytes.byte(), shifts & 15);
        let count = 1 + distance(bytes.byte(), shifts >> 4);
        runs.push(FrameRun { first: Frame(first), count });
        at = first + count;
    }
    runs
}

/// Short distances most of the time, and a few that reach over the largest blocks: metadata for more takes its time.
fn distance(byte: u8, scale: u8) -> u64 {
    let shift = [0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 12, 14, 18][usize::from(scale)];
    u64::from(if shift > 10 { byte & 3 } else { byte }) << shift
}

/// What was allocated and not freed.
#[derive(Default)]
struct Held {
    blocks: Vec<(u64, u8)>,
    runs: Vec<FrameRun>,
}

impl Held {
    fn step(&mut self, bytes: &mut Bytes, real: &mut Frames, model: &mut Model, end: u64) {
        let what = bytes.byte();
        match what % 16 {
            0..=4 => {
                let (order, below) = (bytes.byte() % 22, below(bytes, end));
                let got = real.alloc(order, Frame(below));
                self.blocks.extend(model.alloc(order, below, got).map(|first| (first, order)));
            }
            5 | 6 => {
                let (count, align) = (1 + (bytes.half() & 0x1FFF), 1 << (bytes.byte() % 12));
                let below = below(bytes, end);
                let got = real.alloc_run(count, align, Frame(below));
                self.runs.extend(model.alloc_run(count, align, below, got));
            }
            7..=9 if !self.blocks.is_empty() => {
                let (first, order) = self.blocks.swap_remove(bytes.below(self.blocks.len().min(256)));
                model.free(first, order, real.free(Frame(first), order));
            }
            10 if !self.runs.is_empty() => {
                let run = self.runs.swap_remove(bytes.below(self.runs.len().min(256)));
                model.free_run(run, real.free_run(run));
            }
            11 => {
                // Anything at all, as long as it is wrong: what is held is freed once.
                let (order, first) = (bytes.byte() % 26, bytes.word() % end);
                refuse(real, model, if what & 16 == 0 { first } else { first >> order << order }, order);
            }
            12 | 13 if !self.blocks.is_empty() => {
                // Nearly right: a live block with another order, its neighbour, its middle.
                let (first, order) = self.blocks[bytes.below(self.blocks.len().min(256))];
                refuse(real, model, first, bytes.byte() % 26);
                refuse(real, model, first + 1, 0);
                refuse(real, model, first + (1 << order >> 1), order.saturating_sub(1));
            }
            14 if !self.runs.is_empty() => {
                let run = self.runs[bytes.below(self.runs.len().min(256))];
                let longer = FrameRun { first: run.first, count: run.count + 1 + bytes.half() % 80 };
                if pieces(longer).any(|(first, order)| model.refusal(first, order).is_err()) {
                    model.free_run(longer, real.free_run(longer));
                }
            }
            _ => {
                let frame = bytes.word() % end;
                assert_eq!(real.is_free(Frame(frame)), model.is_free(frame), "whether {frame:#x} is free");
                assert_eq!(real.was_given(Frame(frame)), model.given(frame), "whether {frame:#x} was given");
            }
        }
    }

    fn give_back(self, real: &mut Frames, model: &mut Model) {
        for (first, order) in self.blocks {
            model.free(first, order, real.free(Frame(first), order));
        }
        for run in self.runs {
            model.free_run(run, real.free_run(run));
        }
    }
}

/// Frees what must not be freed, unless it happens to be right.
fn refuse(real: &mut Frames, model: &mut Model, first: u64, order: u8) {
    if model.refusal(first, order).is_err() {
        model.free(first, order, real.free(Frame(first), order));
    }
}

/// A limit: none three times of four.
fn below(bytes: &mut Bytes, end: u64) -> u64 {
    let choice = bytes.byte();
    if choice.is_multiple_of(4) { u64::from(choice) * end / 256 } else { Frames::ANYWHERE.0 }
}
