//! The prompt: a line in, an answer out.

mod commands;
mod complete;
mod history;
mod keys;
mod line;
mod usage;
mod words;

use core::fmt::{self, Write};

use crate::console::Console;
use crate::{Machine, Platform};
use complete::Completion;
use keys::Decoder;
use line::{Editor, Event, LONGEST};

/// What stands before the place to type at. Scripts wait for it.
const PROMPT: &str = "strata> ";

/// How wide a terminal is at least, in letters.
const WIDTH: usize = 80;

/// Answers until the machine is turned off.
pub fn listen(console: &mut Console, machine: &mut Machine) -> ! {
    let mut decoder = Decoder::new();
    let mut editor = Editor::new();
    loop {
        // A console that fails has nobody to complain to.
        let _ = read(console, machine.platform, &mut decoder, &mut editor)
            .and_then(|()| commands::answer(console, machine, editor.line()));
    }
}

/// Reads a line into `editor`, echoing it.
fn read(console: &mut Console, platform: &dyn Platform, decoder: &mut Decoder, editor: &mut Editor) -> fmt::Result {
    editor.clear();
    console.write_str(PROMPT)?;
    loop {
        let Some(byte) = platform.read() else {
            platform.pause();
            continue;
        };
        let Some(key) = decoder.take(byte) else { continue };
        match editor.take(key, console)? {
            Event::Typing => {}
            Event::Complete => complete(console, editor)?,
            Event::ClearScreen => {
                // The cursor to the upper left corner, and nothing below it (ECMA-48, 8.3.21 and 8.3.39).
                write!(console, "\x1B[H\x1B[2J{PROMPT}")?;
                editor.show(console)?;
            }
            Event::Dropped => write!(console, "^C\n{PROMPT}")?,
            Event::TooLong(letters) => {
                editor.clear();
                write!(
                    console,
                    "\na line has {LONGEST} letters at most; this one had {letters} and is dropped\n{PROMPT}"
                )?;
            }
            Event::Done => {
                editor.remember();
                return console.write_char('\n');
            }
        }
    }
}

/// Finishes the word before the cursor, or lists what it may become.
fn complete(console: &mut Console, editor: &mut Editor) -> fmt::Result {
    let (index, word) = complete::word(editor.before_cursor());
    let choices = commands::choices(editor.before_cursor(), index);
    match complete::complete(word, choices) {
        Completion::None => console.write_char('\x07'),
        Completion::More(more, alone) => {
            editor.insert(more, console)?;
            if alone { editor.insert(" ", console) } else { Ok(()) }
        }
        Completion::Several => {
            list(console, complete::matching(word, choices))?;
            write!(console, "\n{PROMPT}")?;
            editor.show(console)
        }
    }
}

/// Writes words in rows, below what is being typed.
fn list(out: &mut dyn Write, words: impl Iterator<Item = &'static str>) -> fmt::Result {
    let mut column = WIDTH;
    for word in words {
        if column + 2 + word.len() >= WIDTH {
            out.write_char('\n')?;
            column = 0;
        } else {
            out.write_str("  ")?;
            column += 2;
        }
        out.write_str(word)?;
        column += word.len();
    }
    Ok(())
}
