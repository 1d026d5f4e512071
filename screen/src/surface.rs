//! Memory that takes bytes.

/// What a display writes to. It is never read: a framebuffer is written combined and read one word at a time.
pub trait Surface {
    /// How many bytes it takes.
    fn bytes(&self) -> usize;

    /// Puts `bytes` at `offset` bytes from its start. What would lie beyond its end is left out.
    fn put(&mut self, offset: usize, bytes: &[u8]);
}
