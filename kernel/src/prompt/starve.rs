//! `starve`, in test builds: every command with no frame, with one, with two, until it has what it needs.

use core::fmt::{self, Write};

use mm::Frame;

use super::commands;
use crate::console::Console;
use crate::{Machine, audit, selftest};

/// Commands that end the kernel.
const LAST: [&str; 3] = ["fault", "poweroff", "reboot"];

/// Up to here every number of frames is tried, and above it each twice as large as the one before: some self-tests ask for
/// thousands.
const EACH: u64 = 64;

/// Runs the example of each command, and each self-test, until nothing is refused. After each run no frame may be missing,
/// and the audit has its say.
pub fn run(console: &mut Console, machine: &mut Machine) -> fmt::Result {
    let examples = commands::EXAMPLES.into_iter().filter(|(name, _)| !LAST.contains(name) && *name != "selftest");
    let (mut runs, mut bad) = (0, 0);
    for line in examples.map(|(_, line)| ("", line)).chain(selftest::NAMES.map(|name| ("selftest ", name))) {
        let mut frames = 0;
        loop {
            let (refused, good) = once(console, machine, line, frames)?;
            runs += 1;
            bad += u64::from(!good);
            if !refused {
                break;
            }
            frames += if frames < EACH { 1 } else { frames };
        }
    }
    writeln!(console, "starve: {runs} runs, {bad} bad")
}

/// Runs a line with so many frames; tells whether any was refused it, and whether all is as before.
fn once(
    console: &mut Console,
    machine: &mut Machine,
    (prefix, line): (&str, &str),
    frames: u64,
) -> Result<(bool, bool), fmt::Error> {
    let mut words = [0; 80];
    let length = prefix.len() + line.len();
    words[..prefix.len()].copy_from_slice(prefix.as_bytes());
    words[prefix.len()..length].copy_from_slice(line.as_bytes());
    let whole = core::str::from_utf8(&words[..length]).unwrap_or_default();
    let (root, frames_of_tree) = tree(machine);
    let before = machine.memory.lock().free_frames();
    let (_, heap_before) = machine.platform.heap();
    machine.memory.lock().fail_after(Some(frames));
    commands::answer(console, machine, whole)?;
    let (_, refused) = machine.memory.lock().fail_after(None);
    let (_, heap) = machine.platform.heap();
    // What the heap has taken it may keep, and what it kept it may have given back.
    let pages = |bytes: usize| (bytes as u64).div_ceil(mm::PAGE_SIZE);
    let mut after = machine.memory.lock().free_frames() + pages(heap) - pages(heap_before);
    // Without memory for the way back the machine stays on the other mode's tables, which may be more or fewer.
    let (new_root, new_tree) = tree(machine);
    if new_root != root {
        after = after + new_tree - frames_of_tree;
    }
    let findings = audit::findings(console, machine);
    let good = after == before && findings == Some(0);
    let lost = before as i64 - after as i64;
    writeln!(
        console,
        "starve: '{whole}' with {frames} frames: {refused} refused, {lost} lost, {} findings: {}",
        findings.unwrap_or(u64::MAX),
        if good { "as before" } else { "BAD" }
    )?;
    Ok((refused > 0, good))
}

/// The root of the live tables, and how many there are.
fn tree(machine: &Machine) -> (Frame, u64) {
    (machine.map.tables().root(), audit::count_tables(&machine.map, &machine.memory.lock()))
}
