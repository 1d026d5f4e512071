//! A list of frames that is kept in the frames themselves.

use crate::{Frame, MapError, Memory, PAGE_SHIFT};

/// A list of page-table frames, linked through the frames themselves, so that any number can be held without
/// memory of its own: tables taken before a change, or waiting for the flush after one.
///
/// A frame in the list may still be walked by a CPU that has not flushed, so a link must not be mistaken for an
/// entry. How it is written depends on what such a CPU may find there: see [`Links`].
pub struct Chain {
    first: Option<Frame>,
    len: u64,
    links: Links,
}

/// Where a chain's links are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// In the first 8 bytes: the tables are empty. The link reads as an absent entry in every format (bit 0
    /// clear in both halves) and names no real frame (the number is inverted, as Linux does against L1TF).
    First,
    /// In bits 9 to 11, which no CPU looks at, of every eighth byte's word: the tables still say what they
    /// said, because what they map is mapped in another way and must never seem to be gone.
    Spread,
}

impl Chain {
    /// No frame; those to come are empty tables.
    pub(crate) const fn new() -> Self {
        Self { first: None, len: 0, links: Links::First }
    }

    /// No frame; those to come are tables whose entries a CPU may still need.
    pub(crate) const fn of_full_tables() -> Self {
        Self { first: None, len: 0, links: Links::Spread }
    }

    /// How many frames.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Takes `count` frames out of `memory`, every one zeroed but for its link.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there are not so many; those taken have then been given back.
    pub(crate) fn take(memory: &mut Memory, count: u64) -> Result<Self, MapError> {
        let mut chain = Self::new();
        while chain.len < count {
            match memory.table() {
                Ok(frame) => chain.push(memory, frame),
                Err(error) => {
                    chain.give_back(memory);
                    return Err(error);
                }
            }
        }
        Ok(chain)
    }

    /// Adds `frame`, part of which is overwritten: see [`Links`].
    pub(crate) fn push(&mut self, memory: &Memory, frame: Frame) {
        self.write(memory, frame, self.first);
        self.first = Some(frame);
        self.len += 1;
    }

    /// Takes a frame out; what held its link is zero again.
    pub(crate) fn pop(&mut self, memory: &Memory) -> Option<Frame> {
        let frame = self.first?;
        let at = memory.window.at(frame);
        self.first = match self.links {
            // SAFETY: the frame is in the chain, so `push` wrote its link, and it is ours alone.
            Links::First => unsafe { Link::load(at.cast()) }.next(),
            // SAFETY: as above.
            Links::Spread => unsafe { spread::load(at.cast()) },
        };
        self.write(memory, frame, None);
        self.len -= 1;
        Some(frame)
    }

    fn write(&self, memory: &Memory, frame: Frame, next: Option<Frame>) {
        let at = memory.window.at(frame);
        match self.links {
            // SAFETY: a frame in a chain belongs to the chain: it was taken from the allocator, or has just been
            // unlinked from a tree that the caller changes exclusively. A CPU that still walks it sees what the
            // kind of link promises.
            Links::First => unsafe { next.map_or(Link::END, Link::to).store(at.cast()) },
            // SAFETY: as above.
            Links::Spread => unsafe { spread::store(at.cast(), next) },
        }
    }

    /// Gives every frame back to `memory`.
    pub(crate) fn give_back(mut self, memory: &mut Memory) {
        while let Some(frame) = self.pop(memory) {
            memory.give_back(frame);
        }
    }
}

/// Two 32-bit halves, each with bit 0 clear: 31 bits of the inverted frame number in each.
#[derive(Clone, Copy)]
#[repr(C)]
struct Link([u32; 2]);

const HALF: u64 = (1 << 31) - 1;
const FRAME_BITS: u64 = (1 << 62) - 1;

impl Link {
    /// All zero: the frame is as a new table must be.
    const END: Self = Self([0, 0]);

    fn to(next: Frame) -> Self {
        let inverted = !next.0 & FRAME_BITS;
        Self([(inverted & HALF) << 1, (inverted >> 31) << 1].map(|half| half as u32))
    }

    fn next(self) -> Option<Frame> {
        let [low, high] = self.0.map(|half| u64::from(half) >> 1);
        let inverted = low | high << 31;
        (inverted != 0).then_some(Frame(!inverted & FRAME_BITS))
    }

    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that holds a link.
    unsafe fn load(at: *const Self) -> Self {
        // SAFETY: by this function's contract.
        unsafe { at.read_volatile() }
    }

    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that is the caller's to write.
    unsafe fn store(self, at: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { at.write_volatile(self) }
    }
}

const _: () = assert!(52 - PAGE_SHIFT <= 2 * 31, "a link holds any frame number");

/// Links in the software bits of entries: three bits each of the frame's number plus one.
mod spread {
    use crate::Frame;

    const SHIFT: u32 = 9;
    const WIDTH: u32 = 3;
    const MASK: u32 = ((1 << WIDTH) - 1) << SHIFT;
    /// Every second word is the low half of an 8-byte entry, and an entry of pml2.
    const STRIDE: usize = 2;
    const WORDS: usize = 14;

    const _: () = assert!(WORDS as u32 * WIDTH > 52 - crate::PAGE_SHIFT, "they hold any frame number and an end");

    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that holds a link.
    pub(super) unsafe fn load(at: *const u32) -> Option<Frame> {
        let mut number = 0;
        for n in 0..WORDS {
            // SAFETY: the words lie in the frame.
            let word = unsafe { at.add(n * STRIDE).read_volatile() };
            number |= u64::from((word & MASK) >> SHIFT) << (n as u32 * WIDTH);
        }
        number.checked_sub(1).map(Frame)
    }

    /// A CPU may set accessed and dirty bits meanwhile. If one is lost, nothing is: the entries that count
    /// are elsewhere by now.
    ///
    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that is the caller's to write.
    pub(super) unsafe fn store(at: *mut u32, next: Option<Frame>) {
        let number = next.map_or(0, |frame| frame.0 + 1);
        for n in 0..WORDS {
            let bits = ((number >> (n as u32 * WIDTH)) as u32) << SHIFT & MASK;
            // SAFETY: the words lie in the frame.
            let slot = unsafe { at.add(n * STRIDE) };
            // SAFETY: by this function's contract.
            unsafe { slot.write_volatile(slot.read_volatile() & !MASK | bits) };
        }
    }
}
