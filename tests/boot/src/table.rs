//! The results of the matrix as a table for people.

use std::fmt::Write;

use crate::row::{Expect, Firmware, Row};
use crate::runner::Outcome;

/// A line for each row.
pub fn of(rows: &[Row], outcomes: &[Outcome]) -> String {
    let mut text = String::from("| machine | CPU | memory | firmware | kernel | result |\n|---|---|---|---|---|---|\n");
    for (row, outcome) in rows.iter().zip(outcomes) {
        let firmware = match row.firmware {
            Firmware::Bios => "BIOS",
            Firmware::UefiX64 => "UEFI x64",
            Firmware::UefiIa32 => "UEFI ia32",
        };
        let verdict = match (&outcome.verdict, row.expect) {
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
        let again = if outcome.again { " (again)" } else { "" };
        let kernel = row.kernel.name();
        let Row { name, cpu, memory, .. } = row;
        let _ = writeln!(text, "| {name} | `{cpu}` | {memory} | {firmware} | {kernel} | {verdict}{again} |");
    }
    text
}
