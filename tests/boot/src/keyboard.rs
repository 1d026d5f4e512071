//! The PS/2 keyboard, pressed by QEMU's monitor.

use std::thread;
use std::time::Duration;

use crate::qemu::Machine;
use crate::row::Row;

/// How long a key stays down, and how long it takes to the next.
const DOWN: Duration = Duration::from_millis(30);
const PAUSE: Duration = Duration::from_millis(60);

/// More keys than an emulated controller keeps, each pressed and let go, and what is said to the command that they make.
const AHEAD: (&str, &str) = ("w a l k spc 0 x 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8", "walk: '0x123456789012345678'");

/// A command that keeps the kernel busy for as long as it takes to press those.
const BUSY: &str = "selftest\r";

/// Types what the row says on the keyboard, and once more while the kernel has no time for it.
pub fn check(machine: &mut Machine, row: &Row) -> Result<(), String> {
    for (keys, answer) in &row.keyboard {
        let from = machine.position();
        press(machine, keys)?;
        answered(machine, answer, from)?;
    }
    if row.keyboard.is_empty() {
        return Ok(());
    }
    let from = machine.position();
    machine.type_keys(BUSY)?;
    machine.wait_for("selftest\r\n", from, Duration::from_secs(10))?;
    let (keys, answer) = AHEAD;
    press(machine, keys)?;
    answered(machine, answer, from)
}

/// Presses `keys`, as QEMU calls them, and Return.
pub fn press(machine: &mut Machine, keys: &str) -> Result<(), String> {
    for key in keys.split_whitespace().chain(["ret"]) {
        machine.monitor(&format!("sendkey {key} {}", DOWN.as_millis()))?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn answered(machine: &mut Machine, answer: &str, from: usize) -> Result<(), String> {
    let said = machine.wait_for(answer, from, Duration::from_secs(60))?;
    machine.wait_for("strata> ", from + said.len(), Duration::from_secs(10)).map(|_| ())
}
