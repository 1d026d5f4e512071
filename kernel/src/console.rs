//! Formatted text to every console there is.

use core::fmt;

use crate::Platform;

/// A [`Platform`] that can be written to with `write!`.
pub struct Console(pub &'static dyn Platform);

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
