//! `hammer` for long, in every mode and with several numbers of CPUs.
//!
//!     cargo run -p boot-tests --release -- --hammer [SECONDS [CPUS...]]
//!
//! One machine at a time, because what is to happen at once are its CPUs. The table goes to `build/boot-tests/hammer.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::isos::Isos;
use crate::qemu::Machine;
use crate::row::{Row, i686, x86_64};

/// How long if nothing is said, in seconds, and with how many CPUs.
const SECONDS: u64 = 120;
const CPUS: [u32; 3] = [2, 4, 8];

/// How long a machine may take beside the time that it hammers.
const BESIDE: Duration = Duration::from_secs(180);

/// What one run came to.
struct Figures {
    rounds: u64,
    words: u64,
    stale: u64,
    unflushed: String,
}

/// Runs all of them; returns whether no word was stale anywhere.
pub fn run(root: &Path, words: &[String]) -> Result<bool, String> {
    let number = |word: &String| word.parse::<u64>().map_err(|_| format!("'{word}' is no number"));
    let seconds = words.first().map_or(Ok(SECONDS), number)?;
    let given: Vec<u32> = words.iter().skip(1).map(|word| Ok(number(word)? as u32)).collect::<Result<_, String>>()?;
    let cpus = if given.is_empty() { &CPUS[..] } else { &given };
    let folder = root.join("build/boot-tests");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let isos = Isos::new(root);
    let mut table = String::from(
        "| mode | CPUs | rounds | words read | stale | stale without the flush |\n|---|---|---|---|---|---|\n",
    );
    let mut good = true;
    for count in cpus {
        for (mode, row) in machines() {
            let row = row.cpus(*count);
            let iso = isos.get(&row)?;
            match hammer(&row, &iso, &folder.join(format!("hammer-{mode}-{count}")), seconds) {
                Ok(Figures { rounds, words, stale, unflushed }) => {
                    let line = format!("| {mode} | {count} | {rounds} | {words} | {stale} | {unflushed} |");
                    println!("{line}");
                    let _ = writeln!(table, "{line}");
                    good &= stale == 0 && words > 0;
                }
                Err(why) => {
                    println!("{mode}, {count} CPUs: FAILED\n  {why}");
                    good = false;
                }
            }
        }
    }
    let file = folder.join("hammer.md");
    fs::write(&file, table).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(good)
}

/// A machine for each mode.
fn machines() -> [(&'static str, Row); 4] {
    [
        ("pml2", i686("hammer, pml2", "pentium3", "256M").noxpa()),
        ("pml3", i686("hammer, pml3", "coreduo", "256M")),
        ("pml4", x86_64("hammer, pml4", "max", "256M").noxpa()),
        ("pml5", x86_64("hammer, pml5", "max", "256M")),
    ]
}

fn hammer(row: &Row, iso: &Path, folder: &Path, seconds: u64) -> Result<Figures, String> {
    let mut machine = Machine::start(row, iso, folder)?;
    machine.wait_for("strata> ", 0, BESIDE)?;
    let said = machine.command(&format!("hammer {seconds}"), Duration::from_secs(seconds * 2) + BESIDE)?;
    let line = |words: &str| {
        said.lines().find(|line| line.contains(words)).ok_or(format!("it does not say '{words}': {said}"))
    };
    let before = |line: &str, words: &str| {
        let number =
            line.split(words).next().and_then(|text| text.split_whitespace().last()).and_then(|word| word.parse().ok());
        number.ok_or(format!("no number before '{words}': {line}"))
    };
    let told = line(" looks at nothing")?;
    let verdict = said.lines().last().unwrap_or_default();
    let stale =
        if verdict.ends_with("ok, no word is stale") { 0 } else { before(line(" words were stale")?, " words were")? };
    let unflushed = line("alone flushes, ")?.trim_start_matches("hammer: where one CPU alone flushes, ");
    let unflushed = unflushed.trim_end_matches(" words are stale").to_string();
    Ok(Figures { rounds: before(told, " rounds")?, words: before(told, " words read")?, stale, unflushed })
}
