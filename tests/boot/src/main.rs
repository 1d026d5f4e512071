//! Boots `build/strata.iso` on every machine of a matrix, in QEMU, and checks the kernel from outside.
//!
//!     cargo run -p boot-tests --release [-- WORD...]
//!
//! With words, only the rows whose names contain one of them. `rows` is the matrix; `qemu` runs one machine; `check` says
//! what has to be so on it; `walk` reads the guest's page tables by the manuals, so that what the kernel says of itself
//! is never the only evidence. Logs, screenshots and a table of the results go to `build/boot-tests/`.
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
mod keyboard;
mod lift;
mod maps;
mod picture;
mod pictures;
mod prompt;
mod qemu;
mod row;
mod rows;
mod stall;
mod walk;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use qemu::Machine;
use row::{Expect, Firmware, Row, Start, Xpa};

/// How many machines run at a time.
const AT_ONCE: usize = 2;

/// How long a machine may take from power-on to the ready line. 32-bit UEFI takes half a minute on a busy host.
const BOOT: Duration = Duration::from_secs(180);

/// QEMU's exit status when the kernel tells isa-debug-exit 0x10.
const PASSED: i32 = 0x10 << 1 | 1;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if words.first().is_some_and(|word| word == "--inject") {
        return match inject::run(&root) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::FAILURE
            }
        };
    }
    if words.first().is_some_and(|word| word == "--hammer") {
        return match hammer::run(&root, &words[1..]) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::FAILURE
            }
        };
    }
    if words.first().is_some_and(|word| word == "--flood") {
        return match flood::campaign(&root, &words[1..]) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::FAILURE
            }
        };
    }
    if words.first().is_some_and(|word| word == "--pictures") {
        return match pictures::run(&root) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::FAILURE
            }
        };
    }
    let chosen = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let rows: Vec<Row> = rows::rows().into_iter().filter(chosen).collect();
    if rows.is_empty() {
        eprintln!("no row's name contains any of {words:?}");
        return ExitCode::FAILURE;
    }
    let results = match run_all(&rows, &root) {
        Ok(results) => results,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let failed = results.iter().filter(|result| result.is_err()).count();
    if words.is_empty() {
        let table = table(&rows, &results);
        if let Err(error) = fs::write(root.join("build/boot-tests/matrix.md"), table) {
            eprintln!("build/boot-tests/matrix.md: {error}");
        }
    }
    // Once more at the end, because a log that is cut off is cut off at its beginning.
    for (row, result) in rows.iter().zip(&results) {
        if let Err(why) = result {
            println!("FAILED: row {}\n  {}", row.name, last(why, 2000));
        }
    }
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The end of `text`, of at most so many bytes.
fn last(text: &str, bytes: usize) -> &str {
    let from = (text.len().saturating_sub(bytes)..).find(|&from| text.is_char_boundary(from));
    from.map_or(text, |from| &text[from..])
}

type Verdict = Result<String, String>;

fn run_all(rows: &[Row], root: &Path) -> Result<Vec<Verdict>, String> {
    let folder = root.join("build/boot-tests");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let isos = Isos::new(root);
    let next = Mutex::new(0..rows.len());
    let results = Mutex::new(vec![Err("not run".to_string()); rows.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(index) = next.lock().ok().and_then(|mut next| next.next()) {
                    let row = &rows[index];
                    let begun = Instant::now();
                    let verdict = isos.get(row).and_then(|iso| run(row, &iso, &folder.join(row.file())));
                    let seconds = begun.elapsed().as_secs_f32();
                    match &verdict {
                        Ok(what) => println!("row {} ... ok ({seconds:.1} s; {what})", row.name),
                        Err(why) => println!("row {} ... FAILED ({seconds:.1} s)\n  {why}", row.name),
                    }
                    if let Ok(mut results) = results.lock() {
                        results[index] = verdict;
                    }
                }
            });
        }
    });
    results.into_inner().map_err(|_| "a row's thread failed".into())
}

/// ISOs whose menus start one entry by themselves, each made once.
struct Isos {
    root: PathBuf,
    made: Mutex<HashMap<String, PathBuf>>,
}

impl Isos {
    fn new(root: &Path) -> Self {
        Self { root: root.into(), made: Mutex::new(HashMap::new()) }
    }

    fn get(&self, row: &Row) -> Result<PathBuf, String> {
        let original = self.root.join("build/strata.iso");
        if !original.exists() {
            return Err("there is no build/strata.iso; 'just iso' makes it".into());
        }
        let kernel = row.kernel.name();
        let (name, mut words) = match row.start {
            Start::Menu(_) => return Ok(original),
            Start::Hostile { case, options } => ("tools/iso-hostile", format!("{kernel} {case} {options}")),
            Start::Options { no_xpa, more } => {
                ("tools/iso-variant", format!("{kernel}{} {more}", if no_xpa { "-noxpa" } else { "" }))
            }
        };
        if !row.screen.is_empty() {
            words = format!("--screen {} {words}", row.screen);
        }
        let key = format!("{name} {words}");
        let mut made = self.made.lock().map_err(|_| "an ISO could not be made")?;
        if let Some(iso) = made.get(&key) {
            return Ok(iso.clone());
        }
        let iso = self.root.join(format!("build/boot-tests/{}.iso", made.len()));
        let output = Command::new(self.root.join(name))
            .arg(&iso)
            .args(words.split_whitespace())
            .output()
            .map_err(|error| format!("{name}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        made.insert(key, iso.clone());
        Ok(iso)
    }
}

impl Drop for Isos {
    fn drop(&mut self) {
        for iso in self.made.lock().iter().flat_map(|made| made.values()) {
            let _ = fs::remove_file(iso);
        }
    }
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

/// The results as a table for people.
fn table(rows: &[Row], results: &[Verdict]) -> String {
    let mut text = String::from("| machine | CPU | memory | firmware | kernel | result |\n|---|---|---|---|---|---|\n");
    for (row, result) in rows.iter().zip(results) {
        let firmware = match row.firmware {
            Firmware::Bios => "BIOS",
            Firmware::UefiX64 => "UEFI x64",
            Firmware::UefiIa32 => "UEFI ia32",
        };
        let verdict = match (result, row.expect) {
            (Err(_), _) => "FAILED".to_string(),
            (Ok(_), Expect::Ready { mode, xpa, .. }) => format!("{}, XPA {}", mode.name(), xpa.name()),
            (Ok(what), Expect::Faults { has, .. }) => format!("{}, {what}", has.mode.name()),
            (Ok(what), Expect::PanicScreen { mode, .. } | Expect::NmiInLift(mode)) => {
                format!("{}, {what}", mode.name())
            }
            (Ok(_), Expect::Silent(mode)) => format!("{}, neither seen nor heard", mode.name()),
            (Ok(_), Expect::SelfTest) => "self-tests pass".to_string(),
            (Ok(_), Expect::Refuses(why) | Expect::RefusesByBlock(why, _)) => format!("says \"{why}\""),
        };
        let kernel = row.kernel.name();
        let _ = writeln!(text, "| {} | `{}` | {} | {firmware} | {kernel} | {verdict} |", row.name, row.cpu, row.memory);
    }
    text
}
