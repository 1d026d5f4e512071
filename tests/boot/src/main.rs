//! Boots `build/strata.iso` on every machine of a matrix, in QEMU, and checks the kernel from outside.
//!
//!     cargo run -p boot-tests --release [-- WORD... | --quick]
//!
//! With words, only the rows whose names contain one of them; with `--quick`, one row a mode. `rows` is the matrix, `runner`
//! runs it; `qemu` runs one machine; `check` says what has to be so on it; `walk` reads the guest's page tables by the manuals,
//! so that what the kernel says of itself is never the only evidence. Logs, screenshots and a table of the results go to `build/boot-tests/`.
#![allow(missing_docs)] // A program: nobody else calls these.

mod bench;
mod check;
mod clock;
mod faults;
mod flood;
mod gdb;
mod glass;
mod hammer;
mod hostile;
mod inject;
mod isos;
mod keyboard;
mod lift;
mod maps;
mod pace;
mod picture;
mod pictures;
mod prompt;
mod qemu;
mod row;
mod rows;
mod runner;
mod stall;
mod table;
mod walk;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

use isos::Isos;
use qemu::Machine;
use row::{Cut, Expect, Row, Start, Xpa};
use runner::Verdict;

/// How long a machine may take from power-on to the ready line. 32-bit UEFI takes half a minute on a busy host.
const BOOT: Duration = Duration::from_secs(180);

/// QEMU's exit status when the kernel tells isa-debug-exit 0x10.
const PASSED: i32 = 0x10 << 1 | 1;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let good = match words.first().map(String::as_str) {
        Some("--inject") => inject::run(&root),
        Some("--hammer") => hammer::run(&root, &words[1..]),
        Some("--flood") => flood::campaign(&root, &words[1..]),
        Some("--pictures") => pictures::run(&root).map(|()| true),
        Some("--quick") if words.len() == 1 => matrix(&root, &words, |row| row.quick),
        _ => matrix(&root, &words, |row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()))),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows that are `chosen` by `words`, all of them if there is no word. Returns whether none failed.
fn matrix(root: &Path, words: &[String], chosen: impl Fn(&Row) -> bool) -> Result<bool, String> {
    let rows: Vec<Row> = rows::rows().into_iter().filter(chosen).collect();
    if rows.is_empty() {
        return Err(format!("no row's name contains any of {words:?}"));
    }
    let folder = root.join("build/boot-tests");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let isos = Isos::new(root);
    let boot = |row: &Row| isos.get(row).and_then(|iso| run(row, &iso, &folder.join(row.file())));
    let outcomes = runner::run_all(&rows, |row| row.name, boot);
    if words.is_empty()
        && let Err(error) = fs::write(folder.join("matrix.md"), table::of(&rows, &outcomes))
    {
        eprintln!("build/boot-tests/matrix.md: {error}");
    }
    Ok(runner::sum_up(&rows, |row| row.name, &outcomes))
}

fn run(row: &Row, iso: &Path, folder: &Path) -> Verdict {
    let mut machine = Machine::start(row, iso, folder)?;
    if let Start::Menu(id) = row.start
        && !id.is_empty()
    {
        choose(&mut machine, id)?;
    }
    match row.expect {
        Expect::Refuses(why) => {
            let said = machine.wait_for(why, 0, BOOT)?;
            all_said(row, &said)?;
            check::refusal(&mut machine, row, why)?;
            Ok("says why not".into())
        }
        Expect::RefusesByBlock(why, code) => {
            machine.wait_for(&format!("{why} (code {code})"), 0, BOOT)?;
            check::block(&mut machine, code)?;
            Ok(format!("says why not, and shows {code}"))
        }
        Expect::Faults { has, kinds } => {
            // One machine a fault.
            drop(machine);
            faults::check(row, iso, folder, &has, kinds)
        }
        Expect::NmiInLift(mode) => {
            drop(machine);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            lift::check(row, iso, folder, &root, mode)
        }
        Expect::PanicScreen { mode, kind } => {
            drop(machine);
            faults::screen(row, iso, folder, mode, kind)
        }
        Expect::Silent(mode) => {
            let seen = check::silent(&mut machine, mode)?;
            keyboard::press(&mut machine, "p o w e r o f f")?;
            match machine.exit_status(Duration::from_secs(20))? {
                0 => Ok(format!("{}, {seen}", mode.name())),
                status => Err(format!("poweroff: QEMU's exit status is {status}")),
            }
        }
        Expect::SelfTest => {
            let text = machine.wait_for(" failed\r\n", 0, BOOT)?;
            let tests = check::summary(&text)?;
            match machine.exit_status(Duration::from_secs(20))? {
                PASSED => Ok(tests),
                status => Err(format!("QEMU's exit status is {status}, not {PASSED}")),
            }
        }
        Expect::Ready { mode, xpa, nx, pa_bits } => {
            if let Some(flood) = row.flood {
                let (said, count) = flood::until_prompt(&mut machine, flood)?;
                let line = said.lines().find(|line| line.starts_with("ready: ")).ok_or("no ready line")?;
                check::ready(row, line, mode, xpa, nx, pa_bits)?;
                let kept = flood::check(&mut machine, flood, count, said.len())?;
                return Ok(format!("{}, {kept}", mode.name()));
            }
            let before = machine.wait_for("ready: ", 0, BOOT)?;
            let line = machine.wait_for("\n", before.len(), Duration::from_secs(10))?;
            check::ready(row, &line, mode, xpa, nx, pa_bits)?;
            machine.wait_for("strata> ", before.len(), Duration::from_secs(10))?;
            if before.matches("ready: ").count() != 1 {
                return Err("more than one ready line".into());
            }
            all_said(row, &before)?;
            let replayed = check::replayed(&mut machine, row, &(before + &line))?;
            let tables = check::tables(&mut machine, mode, nx, pa_bits)?;
            for (command, answer) in &row.asks {
                let said = machine.command(command, Duration::from_secs(120))?;
                if !said.contains(answer) {
                    return Err(format!("'{command}' does not say '{answer}': {said}"));
                }
            }
            if row.stalls {
                return Ok(format!("{}, {}, {tables}", mode.name(), stall::check(&mut machine)?));
            }
            for cut in &row.cuts {
                self::cut(&mut machine, cut)?;
            }
            if row.brief {
                return Ok(format!("{}, {tables}", mode.name()));
            }
            if row.bench {
                return Ok(format!("{}, {}", mode.name(), bench::check(&mut machine, xpa != Xpa::Unsupported)?));
            }
            if let Start::Hostile { .. } = row.start {
                if row.says.iter().any(|sentence| sentence.contains("pixels of")) {
                    check::screen(&mut machine, row)?;
                }
                keyboard::check(&mut machine, row)?;
                check::interrupts(&mut machine, row)?;
                // What the kernel was told is all that is tried here; what it can do is tried on the other rows.
                return Ok(format!("{}, {tables}", mode.name()));
            }
            let tests = check::self_tests(&mut machine)?;
            // What the self-tests did to the tables they undid.
            let tables = check::tables(&mut machine, mode, nx, pa_bits)?;
            let keys = if row.prompt { prompt::check(&mut machine)? + ", " } else { String::new() };
            keyboard::check(&mut machine, row)?;
            check::interrupts(&mut machine, row)?;
            clock::check(&mut machine, row)?;
            let screen = check::screen(&mut machine, row)?;
            machine.type_keys("poweroff\r")?;
            if row.machine.contains("acpi=off") {
                machine.wait_for("it is safe to switch it off", 0, Duration::from_secs(20))?;
                return Ok(format!("{}, {keys}{tests}, {tables}, {screen}", mode.name()));
            }
            match machine.exit_status(Duration::from_secs(20))? {
                0 => Ok(format!("{}, {keys}{tests}, {tables}, {replayed}{screen}", mode.name())),
                status => Err(format!("poweroff: QEMU's exit status is {status}")),
            }
        }
    }
}

/// How long a command may go on behind the key that ends it: less than any of those commands would take without.
const CUT: Duration = Duration::from_secs(30);

/// Types a command, and the key that has to end it.
fn cut(machine: &mut Machine, cut: &Cut) -> Result<(), String> {
    let from = machine.position();
    machine.type_keys(&format!("{}\r", cut.command))?;
    machine.wait_for(cut.begun, from, Duration::from_secs(120))?;
    thread::sleep(Duration::from_secs(cut.seconds));
    machine.type_keys(cut.key)?;
    let said = machine.wait_for("\nstrata> ", from, CUT).map_err(|why| format!("'{}' goes on: {why}", cut.command))?;
    if said.contains(cut.answer) {
        return Ok(());
    }
    Err(format!("'{}', ended by a key, does not say '{}': {said}", cut.command, cut.answer))
}

/// Whether all that has to be said on the way up was said.
fn all_said(row: &Row, said: &str) -> Result<(), String> {
    let missing = row.says.iter().find(|sentence| !said.contains(**sentence));
    missing.map_or(Ok(()), |sentence| Err(format!("nowhere on the way up is '{sentence}'")))
}

/// Walks the real menu to the entry `id`, by keys on COM1.
fn choose(machine: &mut Machine, id: &str) -> Result<(), String> {
    const IDS: [&str; 7] = ["auto", "auto-noxpa", "x86_64", "x86_64-noxpa", "i686", "i686-noxpa", "selftest"];
    let steps = IDS.iter().position(|known| *known == id).ok_or("no such entry in the menu")?;
    machine.wait_for("GNU GRUB", 0, BOOT)?;
    for _ in 0..steps {
        // Ctrl-N is the menu's "next", one byte where an arrow key takes three.
        machine.type_keys("\x0e")?;
        thread::sleep(Duration::from_millis(150));
    }
    machine.type_keys("\r")
}
