//! The log: a line an event. Warnings and errors say that they are.
//!
//! Every line is kept from the first on, which is written long before there is a heap; the consoles show all but those for
//! debugging.

mod ring;

use core::fmt::{self, Write};

pub use log::Level;
use log::{LevelFilter, Log, Metadata, Record};
use sched::{Class, Lock};
use spin::Once;

use crate::Platform;
use crate::console::Console;
use ring::Ring;

/// What the lines that are kept may take, in bytes.
const KEPT: usize = 32 * 1024;

/// The least grave level that the consoles show.
const SHOWN: Level = Level::Info;

/// The levels by name, the gravest first.
pub const LEVELS: [(&str, Level); 4] =
    [("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)];

static LINES: Lock<Ring<KEPT>> = Lock::new(Class::Log, Ring::new());

struct Lines(&'static dyn Platform);

impl Log for Lines {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        // Whoever logs while he looks at the lines himself is not kept waiting: he would wait for ever.
        if let Some(mut lines) = LINES.lock_unless_held_here() {
            lines.add(record.level(), *record.args());
        }
        if record.level() > SHOWN {
            return;
        }
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
    static LOGGER: Once<Lines> = Once::new();
    // A second call changes nothing: the first logger stays.
    if log::set_logger(LOGGER.call_once(|| Lines(platform))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Prints the lines that are at least as grave as `least` and have `text` in them, in whatever case.
///
/// # Errors
/// Those of the console.
pub fn show(console: &mut Console, least: Level, text: &str) -> fmt::Result {
    let (mut at, mut shown, mut count) = (0, 0, 0);
    let dropped = LINES.lock().dropped();
    if dropped > 0 {
        writeln!(console, "log: {dropped} lines before these are no longer kept")?;
    }
    loop {
        // Not locked while it prints: that may take as long as somebody reads.
        let Some((line, next)) = LINES.lock().line(at) else { break };
        at = next;
        count += 1;
        if line.level <= least && contains(line.text(), text) {
            shown += 1;
            writeln!(console, "{:5}  {}", name(line.level), line.text())?;
        }
    }
    writeln!(console, "log: {shown} of {count} lines")
}

fn name(level: Level) -> &'static str {
    LEVELS.iter().find(|(_, of)| *of == level).map_or("", |(name, _)| name)
}

/// Whether `part` is in `text`, whatever the case of their ASCII letters.
fn contains(text: &str, part: &str) -> bool {
    part.is_empty() || text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn text_is_found_in_any_case() {
        assert!(contains("pml4: NOXPA on the command line", "noxpa"));
        assert!(contains("abc", "BC") && contains("abc", "") && contains("", ""));
        assert!(!contains("abc", "abcd") && !contains("", "a"));
    }
}
