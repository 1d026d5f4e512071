//! A test on all CPUs at once.

use core::sync::atomic::{AtomicUsize, Ordering};

use log::info;
use spin::Mutex;

use super::{Failure, Outcome, Verdict, expect};
use crate::{Machine, cpus};

/// Runs `test`, which is called `name`, on every CPU at the same time, and fails if it does on any. What it shares with the others
/// it locks: the machine cannot be changed meanwhile but through its locks.
pub fn everywhere(machine: &Machine, name: &str, test: fn(&Machine) -> Verdict) -> Verdict {
    let ran = AtomicUsize::new(0);
    let failure: Mutex<Option<(usize, Failure)>> = Mutex::new(None);
    let run = |cpu| match test(machine) {
        Ok(_) => _ = ran.fetch_add(1, Ordering::Relaxed),
        Err(why) => _ = failure.lock().get_or_insert((cpu, why)),
    };
    let others = cpus::on_others(machine.platform, &run, &mut || run(0))?;
    if let Some((cpu, why)) = failure.into_inner() {
        info!("{name}: failed on CPU {cpu}");
        return Err(why);
    }
    expect(others + 1 == cpus::count(machine), "every CPU that runs makes the test")?;
    expect(ran.into_inner() == others + 1, "and each makes it once")?;
    if others > 0 {
        info!("{name}: passed on {} CPUs at once", others + 1);
    }
    Ok(Outcome::Passed)
}
