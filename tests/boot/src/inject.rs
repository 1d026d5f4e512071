//! Out of frames at every request of the boot, and of every command of the prompt.
//!
//!     cargo run -p boot-tests --release -- --inject
//!
//! The kernels of `build/inject` refuse every request for frames after the first N (`fail-after=N`). One boot for each N, from
//! none to as many as the boot asks for: it ends in a sentence and the exit status for a failure, or at a prompt that has lost
//! no frame and at which the audit finds nothing. Then `starve` does the same with each command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::qemu::Machine;
use crate::row::{Row, i686, x86_64};
use crate::runner;

/// How long a boot may take, and all of `starve`.
const BOOT: Duration = Duration::from_secs(120);
const STARVE: Duration = Duration::from_secs(900);

/// More frames than a boot asks for.
const MOST: u64 = 200;

/// QEMU's exit status when the kernel tells isa-debug-exit 0x11.
const FAILED: i32 = 0x11 << 1 | 1;

/// What came of a boot.
enum Came {
    /// It stopped, with this sentence.
    Stopped(String),
    /// The prompt: how many requests were refused, and how many frames are free, hold a table or a thread's stack, or are the heap's.
    Ready { refused: u64, frames: u64 },
}

/// Tries all four modes; returns whether nothing was wrong.
pub fn run(root: &Path) -> Result<bool, String> {
    let folder = root.join("build/boot-tests/inject");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let iso = folder.join("inject.iso");
    let made = Command::new(root.join("tools/iso-inject")).arg(&iso).output();
    let made = made.map_err(|error| format!("tools/iso-inject: {error}"))?;
    if !made.status.success() {
        return Err(format!("tools/iso-inject: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let rows = [
        i686("pml2, few frames", "486", "64M"),
        i686("pml3, few frames", "pentium3", "64M"),
        x86_64("pml4, few frames", "qemu64", "64M"),
        x86_64("pml5, few frames", "max", "64M"),
    ];
    let try_all = |row: &Row| {
        every_boot(row, &iso, &folder)
            .and_then(|boots| starve(row, &iso, &folder).map(|commands| format!("{boots}; {commands}")))
    };
    let outcomes = runner::run_all(&rows, |row| row.name, try_all);
    Ok(runner::sum_up(&rows, |row| row.name, &outcomes))
}

/// A boot with each number of frames, until none is refused.
fn every_boot(row: &Row, iso: &Path, folder: &Path) -> Result<String, String> {
    let (mut stopped, mut ready) = (0, Vec::new());
    for frames in 0..MOST {
        match boot(row, iso, folder, frames).map_err(|why| format!("{frames} frames: {why}"))? {
            Came::Stopped(sentence) if ready.is_empty() => {
                stopped += 1;
                if !sentence.contains("out of frames") && !sentence.contains("no memory") {
                    return Err(format!("{frames} frames: the sentence is about something else: {sentence}"));
                }
            }
            Came::Stopped(sentence) => return Err(format!("{frames} frames stop what fewer did not: {sentence}")),
            Came::Ready { refused, frames: kept } => {
                ready.push(kept);
                if refused == 0 {
                    if ready.iter().any(|frames| *frames != kept) {
                        return Err(format!("frames are lost: free ones and tables are {ready:?} in all"));
                    }
                    return Ok(format!("{frames} requests: {stopped} boots stop, {} go on", ready.len()));
                }
            }
        }
    }
    Err(format!("with {MOST} frames some are still refused"))
}

fn start(row: &Row, iso: &Path, folder: &Path, options: &str) -> Result<Machine, String> {
    let mut machine = Machine::start(row, iso, &folder.join(row.file()))?;
    machine.wait_for("which kernel?", 0, BOOT)?;
    machine.type_keys(&format!("{}\r", row.kernel.name()))?;
    machine.wait_for("which options?", 0, BOOT)?;
    machine.type_keys(&format!("{options}\r"))?;
    Ok(machine)
}

fn boot(row: &Row, iso: &Path, folder: &Path, frames: u64) -> Result<Came, String> {
    // With `selftest` what stops leaves the emulator with a status; what goes on is killed by the end of this function.
    let mut machine = start(row, iso, folder, &format!("fail-after={frames} selftest"))?;
    // Either line ends what is of interest.
    let said = match machine.wait_for("requests were met", 0, BOOT) {
        Ok(said) => said,
        Err(_) => {
            let all = machine.wait_for("cannot start: ", 0, Duration::ZERO)?;
            let sentence = machine.wait_for("\n", all.len(), Duration::ZERO)?;
            return match machine.exit_status(Duration::from_secs(20))? {
                FAILED => Ok(Came::Stopped(sentence.trim().into())),
                status => Err(format!("QEMU's exit status is {status}, not {FAILED}: {sentence}")),
            };
        }
    };
    drop(machine);
    let mut machine = start(row, iso, folder, &format!("fail-after={frames}"))?;
    machine.wait_for("requests were met, ", 0, BOOT)?;
    let before = machine.wait_for("strata> ", 0, BOOT)?;
    let refused: u64 = number(&before, "requests were met, ").ok_or("no number of refused requests")?;
    if refused > 0 && !(before.contains("warning: ") && said.contains("warning: ")) {
        return Err(format!("{refused} requests were refused, and nothing is said about it: {before}"));
    }
    let audit = machine.command("audit", BOOT)?;
    if !audit.contains(" 0 findings") {
        return Err(format!("{refused} requests were refused: {audit}"));
    }
    let memory = machine.command("mem", BOOT)?;
    let free = number(&memory, "frames: ").ok_or("'mem' does not say how many frames are free")?;
    let tables = number(&audit, "entries, ").ok_or("'audit' does not say how many tables there are")?;
    let maps = machine.command("maps", BOOT)?;
    let stacks: u64 =
        maps.lines().filter(|line| line.contains(" stacks -> ")).filter_map(|line| number(line, " ")).sum();
    // What the heap has taken for the boot it keeps.
    let heap = memory.lines().find(|line| line.starts_with("heap: ")).and_then(|line| number(line, " of "));
    let heap = heap.ok_or("'mem' does not say how much the heap has")? >> 12;
    Ok(Came::Ready { refused, frames: free + tables + stacks / 4 + heap })
}

fn starve(row: &Row, iso: &Path, folder: &Path) -> Result<String, String> {
    let mut machine = start(row, iso, folder, "")?;
    let before = machine.wait_for("strata> ", 0, BOOT)?.len();
    machine.type_keys("starve\r")?;
    let said = machine.wait_for(" bad\r\n", before, STARVE)?;
    match said.lines().find(|line| line.starts_with("starve: ") && line.trim_end().ends_with(": BAD")) {
        Some(line) => Err(format!("{line}; build/boot-tests/inject/{}/com1.txt has them all", row.file())),
        None => Ok(said.lines().last().unwrap_or_default().trim().into()),
    }
}

/// The number behind `words`.
fn number(text: &str, words: &str) -> Option<u64> {
    let digits: String = text.split_once(words)?.1.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
