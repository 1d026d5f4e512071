//! The prompt: a line in, an answer out.

mod answers;
mod commands;
mod complete;
mod history;
pub(crate) mod keys;
mod line;
#[cfg(feature = "inject")]
mod starve;
mod usage;
pub mod words;

use core::fmt::{self, Write};

use crate::console::Console;
use crate::{Input, Machine, Platform, threads, typed};
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
    typed::start(machine.platform);
    let mut overruns = typed::overruns();
    loop {
        // A console that fails has nobody to complain to.
        let Ok(input) = read(console, machine.platform, &mut decoder, &mut editor) else { continue };
        if core::mem::replace(&mut overruns, typed::overruns()) != overruns {
            let _ = writeln!(console, "more came in on the serial line than could be kept; this line is dropped");
            continue;
        }
        // Whoever sits before the screen has no other way to see what has left it; a script would wait for ever.
        console.page(input == Input::Keyboard);
        threads::reap(machine);
        typed::watch();
        let _ = commands::answer(console, machine, editor.line());
        console.page(false);
        if typed::unwatch() {
            let _ = writeln!(console, "ended by Ctrl-C");
        }
    }
}

/// Reads a line into `editor`, echoing it; tells where its end was typed.
fn read(
    console: &mut Console,
    platform: &dyn Platform,
    decoder: &mut Decoder,
    editor: &mut Editor,
) -> Result<Input, fmt::Error> {
    editor.clear();
    console.write_str(PROMPT)?;
    loop {
        let Some((byte, input)) = typed::read(platform) else {
            threads::wait_for_input(platform);
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
                console.write_char('\n')?;
                return Ok(input);
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
