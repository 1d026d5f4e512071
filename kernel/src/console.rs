//! Formatted text to every console there is.

use core::fmt;

use crate::pager::Pager;
use crate::{Platform, typed};

/// A [`Platform`] that can be written to with `write!`.
pub struct Console {
    platform: &'static dyn Platform,
    /// Stops long output after each screenful, if somebody is to read it.
    pager: Option<Pager>,
}

impl Console {
    /// Writes at once, and all of it.
    pub const fn new(platform: &'static dyn Platform) -> Self {
        Self { platform, pager: None }
    }

    /// Stops after each screenful from here on, or no longer.
    pub fn page(&mut self, on: bool) {
        self.pager = on.then(Pager::new);
    }
}

impl fmt::Write for Console {
    /// Fails when the reader wants no more, by the pager's question or by Ctrl-C: the rest of a command's output is not made then.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match &mut self.pager {
            Some(pager) => pager.write(self.platform, text),
            None => {
                self.platform.write(text.as_bytes());
                if text.contains('\n') && typed::ended(self.platform) { Err(fmt::Error) } else { Ok(()) }
            }
        }
    }
}
