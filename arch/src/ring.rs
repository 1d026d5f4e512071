//! Bytes that wait until somebody takes them, in the order in which they came.

/// Room for `SIZE` bytes.
pub(crate) struct Ring<const SIZE: usize> {
    bytes: [u8; SIZE],
    /// Where the oldest lies.
    first: usize,
    count: usize,
}

impl<const SIZE: usize> Ring<SIZE> {
    /// No byte.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; SIZE], first: 0, count: 0 }
    }

    /// How many bytes wait.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no room for another.
    pub(crate) const fn is_full(&self) -> bool {
        self.count == SIZE
    }

    /// Adds a byte; one for which there is no room is dropped.
    pub(crate) const fn push(&mut self, byte: u8) {
        if !self.is_full() {
            self.bytes[(self.first + self.count) % SIZE] = byte;
            self.count += 1;
        }
    }

    /// Takes the oldest byte.
    pub(crate) const fn pop(&mut self) -> Option<u8> {
        if self.count == 0 {
            return None;
        }
        let byte = self.bytes[self.first];
        self.first = (self.first + 1) % SIZE;
        self.count -= 1;
        Some(byte)
    }
}
