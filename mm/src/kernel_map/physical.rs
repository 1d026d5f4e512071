//! Single words of physical memory, whatever lies there, through the temporary window.

use super::KernelMap;
use crate::{Cache, MapError, MapRequest, Memory, Mmu, PAGE_SIZE, PageFlags, PageRange, PhysAddr};

/// How many bytes are read or written in one access. (On a 32-bit CPU eight take two.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// One byte.
    One = 1,
    /// Two bytes.
    Two = 2,
    /// Four bytes.
    Four = 4,
    /// Eight bytes.
    Eight = 8,
}

impl Width {
    /// The width of `bytes` bytes: 1, 2, 4 or 8.
    pub const fn of(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Width::One),
            2 => Some(Width::Two),
            4 => Some(Width::Four),
            8 => Some(Width::Eight),
            _ => None,
        }
    }

    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self as u64
    }
}

impl KernelMap {
    /// Reads the word at `at`, cached as `cache`. To read a device's register may have an effect, of which the caller knows.
    ///
    /// # Errors
    /// [`MapError::Misaligned`] if `at` is no multiple of the width; [`MapError::NotOffered`] if this tree is not live; else
    /// as [`PageMap::map`](crate::PageMap::map).
    pub fn peek(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        at: PhysAddr,
        cache: Cache,
        width: Width,
    ) -> Result<u64, MapError> {
        self.at_window(memory, mmu, at, PageFlags::RODATA.cached(cache), width, |word| {
            // SAFETY: the window shows the word, which is aligned and lies within the page. Reading it moves nothing.
            unsafe {
                match width {
                    Width::One => u64::from(word.read_volatile()),
                    Width::Two => u64::from(word.cast::<u16>().read_volatile()),
                    Width::Four => u64::from(word.cast::<u32>().read_volatile()),
                    Width::Eight => word.cast::<u64>().read_volatile(),
                }
            }
        })
    }

    /// Writes the low bytes of `value` at `at`, cached as `cache`.
    ///
    /// # Errors
    /// As [`peek`](Self::peek).
    ///
    /// # Safety
    /// Whoever uses what lies at `at` must bear the change: nobody, or somebody who was asked.
    pub unsafe fn poke(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        at: PhysAddr,
        cache: Cache,
        width: Width,
        value: u64,
    ) -> Result<(), MapError> {
        self.at_window(memory, mmu, at, PageFlags::DATA.cached(cache), width, |word| {
            // SAFETY: the window shows the word, writable, aligned and within the page; the rest is the caller's promise.
            unsafe {
                match width {
                    Width::One => word.write_volatile(value as u8),
                    Width::Two => word.cast::<u16>().write_volatile(value as u16),
                    Width::Four => word.cast::<u32>().write_volatile(value as u32),
                    Width::Eight => word.cast::<u64>().write_volatile(value),
                }
            }
        })
    }

    /// Shows `work` the word at `at` through the temporary window.
    fn at_window<T>(
        &mut self,
        memory: &mut Memory,
        mmu: &dyn Mmu,
        at: PhysAddr,
        flags: PageFlags,
        width: Width,
        work: impl FnOnce(*mut u8) -> T,
    ) -> Result<T, MapError> {
        if !at.0.is_multiple_of(width.bytes()) {
            return Err(MapError::Misaligned);
        }
        if !self.live {
            return Err(MapError::NotOffered);
        }
        let range = PageRange::new(self.window, 1);
        self.map.map(memory, &MapRequest { range, first: at.frame(), flags })?;
        let result = work(self.window.offset(at.0 % PAGE_SIZE).0 as usize as *mut u8);
        self.map.unmap(memory, range, None)?.flush(memory, mmu);
        Ok(result)
    }
}
