//! Looking at the live tree from inside.

use super::KernelMap;
use crate::{MapError, Mapping, Memory, OwnedFrames, PAGE_SHIFT, Pte, Rights, VirtAddr};

impl KernelMap {
    /// The word of the entry at `level` on the way to `va`, read through the self-map; `None` if the way ends
    /// above, or if this tree is not live.
    pub fn self_map_entry(&self, memory: &Memory, va: VirtAddr, level: crate::Level) -> Option<u64> {
        let info = &self.map.paging().routines.info;
        let mut reached = false;
        self.map.path(memory, va, &mut |step| {
            reached |= step.level == level + 1 && matches!(step.pte, Pte::Table(..));
        });
        if !self.live || !(reached || level == info.levels) {
            return None;
        }
        let at = info.entry_address(va, level).0 as usize;
        // SAFETY: this tree is live and names a table at `level` for `va`, so the self-map shows that table's
        // entry at this address; an aligned word of a page table can be read at any time.
        Some(unsafe {
            match info.entry_bytes {
                4 => u64::from((at as *const u32).read_volatile()),
                _ => (at as *const u64).read_volatile(),
            }
        })
    }

    /// Reads the word at `va` in the user region, in a page that ring 3 may not use.
    ///
    /// # Errors
    /// [`MapError::NotMapped`]; [`MapError::Misaligned`] if `va` is not a multiple of 4;
    /// [`MapError::NotOffered`] outside the user region, in a page for ring 3, or if this tree is not live.
    pub fn peek_user(&self, memory: &Memory, va: VirtAddr) -> Result<u32, MapError> {
        self.user_word(memory, va)?;
        // SAFETY: the live tree maps the page, and no Rust object lives in the user half.
        Ok(unsafe { (va.0 as usize as *const u32).read_volatile() })
    }

    /// Writes the word at `va` in a user page that may be written.
    ///
    /// # Errors
    /// As [`peek_user`](Self::peek_user), and [`MapError::NotOffered`] if the page is read-only or is not made
    /// of `frames`.
    pub fn poke_user(
        &mut self,
        memory: &Memory,
        frames: &mut OwnedFrames,
        va: VirtAddr,
        word: u32,
    ) -> Result<(), MapError> {
        let mapping = self.user_word(memory, va)?;
        let frame = mapping.frame.offset((va.0 - mapping.start.0) >> PAGE_SHIFT);
        if !mapping.flags.rights.contains(Rights::WRITE) || !frames.run().contains(frame) {
            return Err(MapError::NotOffered);
        }
        // SAFETY: the live tree maps the page writable onto a frame that the caller owns and lends mutably.
        unsafe { (va.0 as usize as *mut u32).write_volatile(word) };
        Ok(())
    }

    fn user_word(&self, memory: &Memory, va: VirtAddr) -> Result<Mapping, MapError> {
        if va.0 & 3 != 0 {
            return Err(MapError::Misaligned);
        }
        if !self.live || !self.layout.user.contains(va) {
            return Err(MapError::NotOffered);
        }
        let mapping = self.map.query(memory, va).ok_or(MapError::NotMapped)?;
        // SMAP keeps the kernel out of pages that ring 3 may use.
        if mapping.flags.rights.contains(Rights::USER) { Err(MapError::NotOffered) } else { Ok(mapping) }
    }
}
