//! A machine that stands still while all its CPUs are busy, as under a host that stalls or sleeps.

use std::thread;
use std::time::{Duration, Instant};

use crate::qemu::Machine;

/// How long the command would run if no key ended it, in seconds of the guest's clock. It outlasts the pauses even where that clock
/// catches up on them.
const SECONDS: u64 = 40;

/// How long QEMU's process stands still. A CPU that waits for another counts these seconds: its time-stamp counter is the host's.
const PROCESS: Duration = Duration::from_secs(20);

/// How long the machine's CPUs stand still, and its clocks with them.
const CPUS: Duration = Duration::from_secs(2);

/// How long the CPUs run before, between and after the pauses.
const RUN: Duration = Duration::from_secs(1);

/// How long the command may take before the first pause and after the last one.
const PATIENCE: Duration = Duration::from_secs(180);

/// Stops QEMU in the middle of `hammer`: first its process, then its CPUs by the monitor. Both times every CPU goes on, and no word is
/// stale.
pub fn check(machine: &mut Machine) -> Result<String, String> {
    let from = machine.position();
    machine.type_keys(&format!("hammer {SECONDS}\r"))?;
    machine.wait_for("a key ends it", from, PATIENCE)?;
    thread::sleep(RUN);
    machine.suspend(PROCESS)?;
    thread::sleep(RUN);
    machine.monitor("stop")?;
    let status = machine.monitor("info status")?;
    if !status.contains("paused") {
        return Err(format!("QEMU does not stop: {status}"));
    }
    let said = machine.received(from);
    if said.contains(" looks at nothing") || said.contains("panic") {
        return Err(format!("'hammer' was over before its CPUs were stopped: {said}"));
    }
    thread::sleep(CPUS);
    machine.monitor("cont")?;
    thread::sleep(RUN);
    let ended = Instant::now();
    machine.type_keys(" ")?;
    let said = machine.wait_for("\nstrata> ", from, PATIENCE)?;
    if !said.contains("hammer: ok, no word is stale") {
        return Err(format!("after the pauses: {said}"));
    }
    let (process, cpus, seconds) = (PROCESS.as_secs(), CPUS.as_secs(), ended.elapsed().as_secs_f32());
    Ok(format!("no word is stale over pauses of {process} and {cpus} s, the prompt is there {seconds:.1} s later"))
}
