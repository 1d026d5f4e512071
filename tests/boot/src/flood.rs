//! What is typed while the machine starts, on COM1 or on the PS/2 keyboard: from when GRUB boots the kernel until the prompt is there.
//! The prompt answers all the same, and of what was typed on COM1 nothing is missing.
//!
//!     cargo run -p boot-tests --release -- --flood [TIMES [WORD...]]
//!
//! boots each row that types so, or those with one of the words in their names, so many times.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::isos::Isos;
use crate::qemu::Machine;
use crate::row::Row;
use crate::runner::AT_ONCE;
use crate::{BOOT, keyboard, rows, run};

/// Where something is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flood {
    /// On COM1, a letter every 20 milliseconds, in alphabetical order.
    Com1,
    /// On the keyboard, a letter, and what erases it, again and again.
    Keyboard,
}

/// The time from one letter to the next, and how long a key is down.
const PAUSE: Duration = Duration::from_millis(20);
const DOWN: u64 = 10;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// The key that erases what was typed, and after how many letters it is typed: a line at the prompt has 240 at most.
const ERASE: &str = "\x15";
const LINE: usize = 200;

/// The key after which everything was typed.
const END: &str = "!";

/// What the loader says last.
const BOOTING: &str = "Booting";

const PROMPT: &str = "strata> ";

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// How often each row is booted if nothing is said.
const TIMES: usize = 20;

/// Types until the prompt is there. Returns what came before it, the prompt included, and how many letters were typed.
pub fn until_prompt(machine: &mut Machine, flood: Flood) -> Result<(String, usize), String> {
    machine.wait_for(BOOTING, 0, BOOT)?;
    let begun = Instant::now();
    for count in 0.. {
        match flood {
            Flood::Com1 => {
                let erase = if count > 0 && count % LINE == 0 { ERASE } else { "" };
                machine.type_keys(&format!("{erase}{}", char::from(LETTERS[count % LETTERS.len()])))?;
            }
            Flood::Keyboard => {
                let key = ["a", "backspace"][count % 2];
                machine.monitor(&format!("sendkey {key} {DOWN}"))?;
            }
        }
        match machine.wait_for(PROMPT, 0, PAUSE) {
            Ok(said) => return Ok((said, count + 1)),
            Err(why) if begun.elapsed() > BOOT || !why.starts_with("no '") => return Err(why),
            Err(_) => {}
        }
    }
    unreachable!("the prompt comes, or patience is over")
}

/// Holds what the prompt shows of the letters against those that were typed, `count` of them, and gives a command. `before` came
/// before the prompt.
pub fn check(machine: &mut Machine, flood: Flood, count: usize, before: usize) -> Result<String, String> {
    let kept = match flood {
        Flood::Com1 => {
            machine.type_keys(END)?;
            let shown = machine.wait_for(END, before, COMMAND)?;
            let line = shown.trim_end_matches(END).rsplit('\x08').next().unwrap_or_default();
            in_order(line, count)?;
            let said = machine.command(&format!("{ERASE}version"), COMMAND)?;
            if !said.contains("Strata ") {
                return Err(format!("'version' is answered by {said}"));
            }
            format!(", the last {} in a line", line.len())
        }
        Flood::Keyboard => {
            thread::sleep(PAUSE * 10);
            let from = machine.position();
            machine.monitor(&format!("sendkey ctrl-u {DOWN}"))?;
            keyboard::press(machine, "v e r s i o n")?;
            machine.wait_for("\nStrata ", from, COMMAND)?;
            String::new()
        }
    };
    Ok(format!("{count} letters typed{kept}"))
}

/// The letters follow one another up to the last that was typed. GRUB may have taken the first, and what was erased is not there.
fn in_order(shown: &str, count: usize) -> Result<(), String> {
    let line = count - (count - 1) / LINE * LINE;
    let typed = (count - line..count).map(|at| LETTERS[at % LETTERS.len()]);
    let end = typed.skip(line.saturating_sub(shown.len()));
    if shown.len() <= line && shown.bytes().eq(end) {
        Ok(())
    } else {
        Err(format!("of {count} letters typed these are left: {shown}"))
    }
}

/// Boots each row that types while it starts `TIMES` times. Returns whether all was as it should.
pub fn campaign(root: &Path, words: &[String]) -> Result<bool, String> {
    let times = match words.first() {
        Some(word) => word.parse().map_err(|_| format!("'{word}' is no number"))?,
        None => TIMES,
    };
    let words = words.get(1..).unwrap_or_default();
    let chosen = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let rows: Vec<Row> = rows::rows().into_iter().filter(|row| row.flood.is_some() && chosen(row)).collect();
    let isos = Isos::new(root);
    let folder = root.join("build/boot-tests");
    let mut good = true;
    for row in &rows {
        let iso = isos.get(row)?;
        let next = std::sync::Mutex::new(0..times);
        let failures = std::sync::Mutex::new(Vec::new());
        thread::scope(|scope| {
            for place in 0..AT_ONCE {
                let (next, failures, iso, folder) = (&next, &failures, &iso, &folder);
                scope.spawn(move || {
                    while next.lock().is_ok_and(|mut next| next.next().is_some()) {
                        let verdict = run(row, iso, &folder.join(format!("{}-{place}", row.file())));
                        if let (Err(why), Ok(mut failures)) = (verdict, failures.lock()) {
                            failures.push(why);
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().map_err(|_| "a boot's thread failed")?;
        println!("{}: {} boots, {} failed", row.name, times, failures.len());
        failures.iter().for_each(|why| println!("  {why}"));
        good &= failures.is_empty();
    }
    Ok(good && !rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn letters_are_missed_wherever_they_are_missing() {
        assert!(in_order("abc", 3).is_ok());
        assert!(in_order("zab", 28).is_ok());
        assert!(in_order("", 3).is_ok(), "all were taken by the loader");
        assert!(in_order("ac", 3).is_err());
        assert!(in_order("ab", 3).is_err(), "the last is missing");
        assert!(in_order("abcd", 3).is_err(), "more than was typed");
        assert!(in_order("st", 202).is_ok());
        assert!(in_order("rst", 202).is_err(), "what was erased is there");
    }
}
