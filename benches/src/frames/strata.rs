//! `mm::Frames`.

use mm::{Frame, FrameRun, Frames};

use super::{FRAMES, FrameAllocator, microseconds};
use crate::host::Mapping;

const RUNS: [FrameRun; 1] = [FrameRun { first: Frame(0), count: FRAMES }];

fn metadata() -> (Mapping, &'static mut [u64]) {
    let words = Frames::metadata_words(&RUNS, &[]);
    let mapping = Mapping::new(words * 8, 2 << 20);
    // SAFETY: a new mapping of that many bytes, kept as long as the slice; every bit pattern is a `u64`.
    let words = unsafe { std::slice::from_raw_parts_mut(mapping.at().cast::<u64>(), words) };
    words.fill(1);
    (mapping, words)
}

fn made(metadata: &'static mut [u64]) -> Frames {
    match Frames::new(&RUNS, &[], metadata) {
        Ok(frames) => frames,
        Err(error) => unreachable!("{error}"),
    }
}

/// The buddy allocator itself.
pub struct Core(Frames, #[expect(dead_code, reason = "the metadata lies in it")] Mapping);

impl FrameAllocator for Core {
    fn new() -> Self {
        let (mapping, metadata) = metadata();
        Self(made(metadata), mapping)
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        self.0.alloc(order, Frames::ANYWHERE).ok().map(|first| first.0)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        assert!(self.0.free(Frame(first), order).is_ok());
    }

    fn set_up() -> Option<(u64, f64)> {
        let (_mapping, metadata) = metadata();
        let bytes = 8 * metadata.len() as u64;
        let (_, time) = microseconds(|| made(metadata));
        Some((bytes, time))
    }
}
