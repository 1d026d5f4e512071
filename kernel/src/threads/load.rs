//! Threads that do nothing but use a CPU: for those who want to see the scheduler at work.

use core::fmt::{self, Write};
use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};

use sched::Priority;

use super::{Work, join, reports, spawn};
use crate::console::Console;
use crate::{Machine, typed};

/// What they are called.
const NAME: &str = "load";

/// Whether they are to end.
static OVER: AtomicBool = AtomicBool::new(false);

/// Starts `count` of them.
///
/// # Errors
/// Those of the console.
pub fn start(console: &mut Console, machine: &mut Machine, count: u64, priority: Priority) -> fmt::Result {
    OVER.store(false, Ordering::Relaxed);
    for started in 0..count {
        // Where they are as important as the prompt, each has its turn before the next is started.
        if typed::ended(machine.platform) {
            typed::unwatch();
            return writeln!(console, "threads: {started} of {count} were started; 'threads stop' ends them");
        }
        if let Err(refusal) = spawn(machine, Work { name: NAME, priority, cpu: None, run, argument: 0 }) {
            return writeln!(console, "threads: {started} of {count} were started: {refusal}");
        }
    }
    writeln!(console, "threads: {count} were started; 'threads stop' ends them")
}

/// Ends all of them.
///
/// # Errors
/// Those of the console.
pub fn stop(console: &mut Console, machine: &mut Machine) -> fmt::Result {
    OVER.store(true, Ordering::Relaxed);
    let mut count = 0;
    while let Some(report) = reports().find(|report| report.name == NAME) {
        join(machine, report.id);
        count += 1;
    }
    writeln!(console, "threads: {count} were ended")
}

/// Some of them are running.
pub fn are_loaded() -> bool {
    reports().any(|report| report.name == NAME)
}

fn run(_: usize) {
    while !OVER.load(Ordering::Relaxed) {
        hint::spin_loop();
    }
}
