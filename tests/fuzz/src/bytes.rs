//! Choices, taken from bytes one after another.

/// Bytes that are used up. When there are none left, everything is 0.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    /// A number below `end`, which is at most 256 and not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// The next two bytes.
    pub fn half(&mut self) -> u64 {
        u64::from(u16::from_le_bytes(self.take()))
    }

    /// The next four bytes.
    pub fn word(&mut self) -> u64 {
        u64::from(u32::from_le_bytes(self.take()))
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let count = N.min(self.0.len());
        let (first, rest) = self.0.split_at(count);
        taken[..count].copy_from_slice(first);
        self.0 = rest;
        taken
    }
}
