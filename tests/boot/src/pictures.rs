//! The pictures in docs/images, taken of machines like those of the matrix.
//!
//!     cargo run -p boot-tests --release -- --pictures
//!
//! A picture is taken when what it is to show can be read on the screen, letter by letter, as in every row.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::BOOT;
use crate::check::{block, read_screen};
use crate::isos::Isos;
use crate::qemu::Machine;
use crate::row::{Expect, Mode, Row, i686, x86_64};

/// How long a command may take, and a screen to be drawn.
const PATIENCE: Duration = Duration::from_secs(60);

/// A picture.
struct Picture {
    /// Its name in docs/images, without the ending.
    name: &'static str,
    row: Row,
    /// What is typed at the prompt.
    commands: &'static [&'static str],
    /// What can be read on the screen then.
    shows: &'static [&'static str],
}

fn pictures() -> [Picture; 5] {
    let large = |name| x86_64(name, "max", "256M").screen("1024x768x32");
    [
        Picture {
            name: "prompt",
            row: large("picture of the prompt"),
            commands: &["paging", "walk 0xffffffff80101000", "audit"],
            shows: &["ready: arch=x86_64 mode=pml5", "level 1 at 0x", " 0 findings"],
        },
        Picture {
            name: "atlas",
            row: large("picture of the atlas"),
            commands: &["atlas", "atlas 0xffffffff80100000"],
            shows: &["strata> atlas", "a table of level 5", "a table of level 1"],
        },
        Picture {
            name: "panic",
            row: large("picture of a panic").panic_screen(Mode::Pml5, "text"),
            commands: &["fault text"],
            shows: &["panic: page fault: the kernel wrote to 0x", "CPU: ", "called from:", "boot_main+"],
        },
        Picture {
            name: "text",
            row: i686("picture of VGA text", "486", "64M"),
            commands: &["cpu", "walk 0xc0101000"],
            shows: &["strata> walk", "level 2 at 0x", "level 1 at 0x"],
        },
        Picture {
            name: "block",
            row: x86_64("picture of the block", "pentium3", "64M")
                .on32()
                .screen("640x480x32")
                .expect(Expect::RefusesByBlock("this CPU has no long mode", 3)),
            commands: &[],
            shows: &[],
        },
    ]
}

/// Takes all of them.
pub fn run(root: &Path) -> Result<(), String> {
    let folder = root.join("build/boot-tests");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let isos = Isos::new(root);
    for Picture { name, row, commands, shows } in pictures() {
        let folder = folder.join(row.file());
        let mut machine = Machine::start(&row, &isos.get(&row)?, &folder)?;
        take(&mut machine, &row, commands, shows).map_err(|error| format!("{}: {error}", row.name))?;
        let file = root.join(format!("docs/images/{name}.png"));
        fs::copy(folder.join("screen.png"), &file).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("docs/images/{name}.png");
    }
    Ok(())
}

/// Has the machine show what is wanted; the last screenshot in its folder does then.
fn take(machine: &mut Machine, row: &Row, commands: &[&str], shows: &[&str]) -> Result<(), String> {
    if let Expect::RefusesByBlock(why, code) = row.expect {
        machine.wait_for(why, 0, BOOT)?;
        return block(machine, code);
    }
    machine.wait_for("\nstrata> ", 0, BOOT)?;
    for command in commands {
        match row.expect {
            // There is no prompt any more.
            Expect::PanicScreen { .. } => machine.type_keys(&format!("{command}\r"))?,
            _ => machine.command(command, PATIENCE).map(|_| ())?,
        }
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let (shown, _) = read_screen(machine, row)?;
        let text = shown.join("\n");
        if shows.iter().all(|part| text.contains(part)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(300));
    }
    Err(format!("the screen does not show {shows:?}"))
}
