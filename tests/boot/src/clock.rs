//! What the kernel says of the time, held against the host's clock.

use std::thread;
use std::time::{Duration, Instant};

use crate::qemu::Machine;
use crate::row::Row;

/// How long is waited between two looks at the kernel's clock, and by how much they may be wrong beside what the harness
/// itself is uncertain of: a part of what has passed, and two ticks of the slowest clock. Ticks are lost where the host is
/// busy, and a clock that is made of them is late then.
const WAIT: Duration = Duration::from_secs(2);
const PART: f64 = 0.02;
const LATE: f64 = 0.25;
const TICKS: f64 = 0.02;

/// Looks at the kernel's clock twice, if the row says what it is calibrated by.
pub fn check(machine: &mut Machine, row: &Row) -> Result<(), String> {
    let Some(calibrated) = row.clock else { return Ok(()) };
    let (first_asked, first, first_told) = look(machine, calibrated)?;
    thread::sleep(WAIT);
    let (asked, second, told) = look(machine, calibrated)?;
    // The kernel looked at its clock at some time between the question and the answer.
    let late = if calibrated.starts_with("by ") { PART } else { LATE };
    let least = (asked - first_told).as_secs_f64() * (1.0 - late) - TICKS;
    let most = (told - first_asked).as_secs_f64() * (1.0 + PART) + TICKS;
    let passed = second - first;
    if (least..=most).contains(&passed) {
        Ok(())
    } else {
        Err(format!("the kernel's clock went {passed:.3} s in {least:.3} to {most:.3} s"))
    }
}

/// When the kernel was asked, what it said in seconds, and when it had answered.
fn look(machine: &mut Machine, calibrated: &str) -> Result<(Instant, f64, Instant), String> {
    let asked = Instant::now();
    let said = machine.command("uptime", Duration::from_secs(10))?;
    let told = Instant::now();
    let seconds = said.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    match seconds {
        Some(seconds) if said.contains(&format!("calibrated: {calibrated}")) => Ok((asked, seconds, told)),
        _ => Err(format!("'uptime' does not say 'calibrated: {calibrated}': {said}")),
    }
}
