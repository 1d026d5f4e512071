//! A list of frames that is kept in the frames themselves.

use crate::{Frame, MapError, Memory, PAGE_SHIFT};

/// A list of page-table frames, linked through the first 8 bytes of each, so that any number can be held without
/// memory of its own: those that are taken before a change.
pub(crate) struct Chain {
    first: Frame,
    len: u64,
}

impl Chain {
    /// No frame.
    pub const fn new() -> Self {
        Self { first: Frame(0), len: 0 }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes `count` frames out of `memory`, with whatever was in them.
    ///
    /// # Errors
    /// [`MapError::NoMemory`] if there are not so many; those taken have then been given back.
    pub fn take(memory: &mut Memory, count: u64) -> Result<Self, MapError> {
        let mut chain = Self::new();
        while chain.len < count {
            match memory.unwritten() {
                Ok(frame) => chain.push(memory, frame),
                Err(error) => {
                    chain.give_back(memory);
                    return Err(error);
                }
            }
        }
        Ok(chain)
    }

    /// Adds `frame`, whose first 8 bytes are overwritten.
    pub fn push(&mut self, memory: &Memory, frame: Frame) {
        let at = memory.window.at(frame).cast();
        // SAFETY: a frame in a chain belongs to the chain: it was taken from the allocator.
        unsafe { Link::to(self.first.0).store(at) };
        self.first = frame;
        self.len += 1;
    }

    /// Takes a frame out. Its link is still in it.
    pub fn pop(&mut self, memory: &Memory) -> Option<Frame> {
        self.len = self.len.checked_sub(1)?;
        let frame = self.first;
        // SAFETY: the frame is in the chain, so `push` wrote its link, and it is ours alone.
        self.first = Frame(unsafe { Link::load(memory.window.at(frame).cast()) }.value());
        Some(frame)
    }

    /// Gives every frame back to `memory`.
    pub fn give_back(mut self, memory: &mut Memory) {
        while let Some(frame) = self.pop(memory) {
            memory.give_back(frame);
        }
    }
}

/// A number in a frame, in a form that a CPU which still walks the frame as a table does not mistake for an entry.
///
/// It reads as an absent entry in every format (bit 0 clear in both halves) and names no real frame (the number is
/// inverted, as Linux does against L1TF): two 32-bit halves, with 31 bits of the inverted number in each.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Link([u32; 2]);

const HALF: u64 = (1 << 31) - 1;
const BITS: u64 = (1 << 62) - 1;

impl Link {
    /// The link that holds `value`, which has no more than 62 bits.
    pub fn to(value: u64) -> Self {
        let inverted = !value & BITS;
        Self([(inverted & HALF) << 1, (inverted >> 31) << 1].map(|half| half as u32))
    }

    /// What it holds.
    pub fn value(self) -> u64 {
        let [low, high] = self.0.map(|half| u64::from(half) >> 1);
        !(low | high << 31) & BITS
    }

    /// Reads a link.
    ///
    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that holds a link.
    pub unsafe fn load(at: *const Self) -> Self {
        // SAFETY: by this function's contract.
        unsafe { at.read_volatile() }
    }

    /// Writes it.
    ///
    /// # Safety
    /// `at` is a live, 8-byte aligned frame start that is the caller's to write.
    pub unsafe fn store(self, at: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { at.write_volatile(self) }
    }
}

const _: () = assert!(52 - PAGE_SHIFT <= 2 * 31, "a link holds any frame number");
