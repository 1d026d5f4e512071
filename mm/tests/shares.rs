//! Owners of frames against a map: counts, refusals, memory that is short, tables that go home.

mod random;

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;

use mm::{Frame, FrameRun, Frames, Memory, OwnedFrames, ShareError, Window};
use random::Random;

/// What the window shows.
const FIRST: u64 = 0x100;

/// Frames beyond it: of such numbers that every depth of directories is needed.
const FAR: [u64; 4] = [0x5_0000, 0x200_0000, 0x4_0000_0000, 0xFF_FFFF_F000];

/// How many there are of each.
const MANY: u64 = 4096;

struct World {
    bytes: *mut u8,
    layout: Layout,
    memory: Memory,
}

impl World {
    /// `near` frames that the window shows, and the first `far` of those that it does not.
    fn new(near: u64, far: usize) -> Self {
        let layout = Layout::from_size_align(near as usize * 4096, 4096).expect("in order");
        // SAFETY: the layout is not empty.
        let bytes = unsafe { alloc(layout) };
        assert!(!bytes.is_null());
        // SAFETY: it is that long. Whatever is not zeroed shows.
        unsafe { bytes.write_bytes(0xFF, layout.size()) };
        let shown = FrameRun { first: Frame(FIRST), count: near };
        let mut runs = vec![shown];
        runs.extend(FAR[..far].iter().map(|first| FrameRun { first: Frame(*first), count: MANY }));
        let words = Frames::metadata_words(&runs, &[]);
        let frames = Frames::new(&runs, &[], vec![0; words].leak()).expect("in order");
        // SAFETY: the bytes show these frames as long as the memory lives.
        let window = unsafe { Window::new(bytes, shown) };
        Self { bytes, layout, memory: Memory::new(window, frames) }
    }

    /// All far frames, taken, and a frame of the last.
    fn far(&mut self, far: usize) -> (Vec<OwnedFrames>, Frame) {
        let blocks: Vec<_> = (0..far).map(|_| self.memory.take(12, Frames::ANYWHERE).expect("a far block")).collect();
        let last = blocks.iter().map(|block| block.run().end()).max().expect("at least one");
        (blocks, Frame(last.0 - 1))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        unsafe { dealloc(self.bytes, self.layout) };
    }
}

#[test]
fn counts_agree_with_a_map_and_all_tables_go_home() {
    for far in 0..=FAR.len() {
        let mut world = World::new(512, far);
        let memory = &mut world.memory;
        // A block in every place, its frames counted one by one.
        let mut blocks = vec![memory.take(4, Frame(FIRST + 512)).expect("16 frames")];
        blocks.extend(FAR[..far].iter().map(|first| memory.take(12, Frame(first + MANY)).expect("all frames")));
        let before = memory.free_frames();
        let mut random = Random(far as u64 + 1);
        let mut owners: BTreeMap<u64, u32> = BTreeMap::new();
        for step in 0..40_000 {
            let run = blocks[random.below(blocks.len() as u64) as usize].run();
            let frame = run.first.0 + random.below(run.count);
            let known = owners.entry(frame).or_insert(1);
            assert_eq!(memory.owners(Frame(frame)), Ok(*known));
            // More and more at first, then fewer and fewer.
            if random.below(4) < if step < 20_000 { 3 } else { 1 } {
                *known += 1;
                assert_eq!(memory.share(Frame(frame)), Ok(*known));
            } else if *known == 1 {
                assert_eq!(memory.unshare(Frame(frame)), Err(ShareError::NotShared));
            } else {
                *known -= 1;
                assert_eq!(memory.unshare(Frame(frame)), Ok(*known));
            }
            assert_eq!(memory.free_frames() + memory.share_tables(), before);
        }
        assert!(far == 0 || memory.share_tables() > far as u64);
        for (frame, count) in owners {
            for left in (1..count).rev() {
                assert_eq!(memory.unshare(Frame(frame)), Ok(left));
            }
            assert_eq!(memory.owners(Frame(frame)), Ok(1));
        }
        assert_eq!((memory.share_tables(), memory.free_frames()), (0, before));
        blocks.into_iter().for_each(|block| memory.put(block));
    }
}

#[test]
fn what_nobody_owns_is_refused_by_name() {
    let mut world = World::new(64, 1);
    let free = world.memory.free_frames();
    let frame = world.memory.take(0, Frame(FIRST + 64)).expect("a frame");
    for (frame, error) in [
        (Frame(0), ShareError::NeverGiven),
        (Frame(FAR[3]), ShareError::NeverGiven),
        (Frame(u64::MAX), ShareError::NeverGiven),
        (Frame(FAR[0]), ShareError::Free),
        (Frame(FIRST + 63), ShareError::Free),
    ] {
        assert_eq!(world.memory.owners(frame), Err(error));
        assert_eq!(world.memory.share(frame), Err(error));
        assert_eq!(world.memory.unshare(frame), Err(error));
    }
    // A frame in the cache is free, though the allocator's books say otherwise.
    let other = world.memory.take(0, Frames::ANYWHERE).expect("there are more");
    let at = other.run().first;
    world.memory.put(other);
    assert_eq!(world.memory.share(at), Err(ShareError::Free));
    world.memory.put(frame);
    assert_eq!((world.memory.free_frames(), world.memory.share_tables()), (free, 0));
}

#[test]
fn with_too_few_frames_nothing_changes() {
    for near in 1..8 {
        let mut world = World::new(near, FAR.len());
        let (_blocks, first) = world.far(FAR.len());
        assert_eq!(first, Frame(FAR[3] + MANY - 1));
        let before = world.memory.free_frames();
        match world.memory.share(first) {
            // Four directories and a table of counts.
            Ok(owners) => assert_eq!((owners, near >= 5, world.memory.share_tables()), (2, true, 5)),
            Err(error) => {
                assert_eq!((error, near < 5, world.memory.share_tables()), (ShareError::NoMemory, true, 0));
                assert_eq!(world.memory.free_frames(), before);
            }
        }
        assert_eq!(world.memory.owners(first), Ok(1 + u32::from(near >= 5)));
    }
}

#[test]
fn a_count_does_not_overflow() {
    // As many calls as it takes would take too long: the count is set in its table, the first frame that was taken for one.
    let mut world = World::new(16, 0);
    let frame = world.memory.take(3, Frame(FIRST + 16)).expect("8 frames");
    let first = frame.run().first;
    assert_eq!(world.memory.share(first), Ok(2));
    let words = world.bytes.cast::<u32>();
    let all = (0..16 * 1024).filter(|at| !frame.run().contains(Frame(FIRST + at / 1024)));
    // SAFETY: all of memory, and nobody has a reference into it.
    let count = all.map(|at| words.wrapping_add(at as usize)).find(|word| unsafe { word.read() } == 1);
    let count = count.expect("the count is somewhere");
    // SAFETY: the same.
    unsafe { count.write(Memory::MOST_OWNERS - 1) };
    assert_eq!(world.memory.owners(first), Ok(Memory::MOST_OWNERS));
    assert_eq!(world.memory.share(first), Err(ShareError::TooMany));
    assert_eq!(world.memory.unshare(first), Ok(Memory::MOST_OWNERS - 1));
    assert_eq!(world.memory.share(first), Ok(Memory::MOST_OWNERS));
}
