//! The log: a line an event, on every console. Warnings and errors say that they are.

use core::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::Once;

use crate::Platform;
use crate::console::Console;

struct Lines(&'static dyn Platform);

impl Log for Lines {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let mark = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            _ => "",
        };
        // A console that fails has nobody to complain to.
        let _ = writeln!(Console::new(self.0), "{mark}{}", record.args());
    }

    fn flush(&self) {}
}

/// Sends the log to the consoles of `platform` from here on.
pub fn init(platform: &'static dyn Platform) {
    static LINES: Once<Lines> = Once::new();
    // A second call changes nothing: the first logger stays.
    if log::set_logger(LINES.call_once(|| Lines(platform))).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
