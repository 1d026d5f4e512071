//! The prompt: a line in, an answer out.

mod commands;
mod line;
mod usage;
mod words;

use core::fmt::Write;

use crate::console::Console;
use crate::{Machine, Platform};
use line::{Editor, Event, LONGEST};

/// What stands before the place to type at. Scripts wait for it.
const PROMPT: &str = "strata> ";

/// Answers until the machine is turned off.
pub fn listen(console: &mut Console, machine: &mut Machine) -> ! {
    let mut editor = Editor::new();
    loop {
        let _ = console.write_str(PROMPT);
        let line = read(console, machine.platform, &mut editor);
        // A console that fails has nobody to complain to.
        let _ = commands::answer(console, machine, line);
    }
}

/// Reads a line, echoing it.
fn read<'a>(console: &mut Console, platform: &dyn Platform, editor: &'a mut Editor) -> &'a str {
    editor.clear();
    loop {
        let Some(byte) = platform.read() else {
            platform.pause();
            continue;
        };
        let event = editor.take(byte);
        let _ = match event {
            Event::Nothing => Ok(()),
            Event::Typed(letter) => console.write_char(letter),
            Event::Erased(count) => (0..count).try_for_each(|_| console.write_str("\x08 \x08")),
            Event::Full => console.write_char('\x07'),
            Event::Dropped => write!(console, "^C\n{PROMPT}"),
            Event::Done => console.write_char('\n'),
            Event::TooLong(letters) => {
                editor.clear();
                write!(
                    console,
                    "\na line has {LONGEST} letters at most; this one had {letters} and is dropped\n{PROMPT}"
                )
            }
        };
        if event == Event::Done {
            return editor.line();
        }
    }
}
