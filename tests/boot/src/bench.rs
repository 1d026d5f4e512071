//! `bench` at the prompt. Under `-icount shift=0` the time-stamp counter counts instructions, so that a figure is the same on
//! every host and in every run, and what is plausible can be told in numbers.

use std::time::Duration;

use crate::qemu::Machine;

const PATIENCE: Duration = Duration::from_secs(120);

/// What has to be measured, and the fewest and most instructions that it can take.
const LINES: [(&str, u64, u64); 11] = [
    ("map a page", 50, 3_000),
    ("protect a page", 50, 3_000),
    ("translate", 20, 1_000),
    ("unmap a page", 50, 3_000),
    ("map 512 pages", 512, 100_000),
    ("protect 512 pages", 512, 100_000),
    ("unmap 512 pages", 512, 200_000),
    ("take and give a frame", 10, 1_000),
    ("page fault and back", 50, 5_000),
    ("lift, there", 500, 500_000),
    ("lift, back", 500, 500_000),
];

/// Runs `bench` twice: each line has a figure that is plausible and the same both times, and nothing is left behind.
pub fn check(machine: &mut Machine, lifts: bool) -> Result<String, String> {
    let free = frames(machine)?;
    let first = machine.command("bench", PATIENCE)?;
    let second = machine.command("bench", PATIENCE)?;
    for (name, least, most) in LINES {
        let found = figure(&first, name)?;
        if name.starts_with("lift") && !lifts {
            if found.is_ok() || !first.contains("not measured: this CPU has one mode only") {
                return Err(format!("there is one mode, and yet: {first}"));
            }
            continue;
        }
        let (figure, again) = (found?, self::figure(&second, name)??);
        if !(least..=most).contains(&figure) {
            return Err(format!("{name}: {figure} instructions are not between {least} and {most}: {first}"));
        }
        // The alignment of a frame may cost a step of a loop.
        if figure.abs_diff(again) * 20 > figure {
            return Err(format!("{name}: {figure} instructions, then {again}"));
        }
    }
    if figure(&first, "map 512 pages")?? >= 512 * figure(&first, "map a page")?? / 2 {
        return Err(format!("a range costs no less than its pages: {first}"));
    }
    let audit = machine.command("audit", PATIENCE)?;
    if !audit.contains(" 0 findings") {
        return Err(audit);
    }
    match frames(machine)? {
        after if after == free => {
            Ok(first.lines().skip(1).filter_map(|line| line.rsplit(' ').next()).collect::<Vec<_>>().join(" "))
        }
        after => Err(format!("{free} frames were free before 'bench', {after} after it")),
    }
}

/// The figure in the line that begins with `name`; the inner error is what stands there instead.
fn figure(said: &str, name: &str) -> Result<Result<u64, String>, String> {
    let line = said.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("no '{name}': {said}"))?;
    Ok(line.trim().parse().map_err(|_| format!("{name}: '{}' is no number", line.trim())))
}

/// How many frames are free.
fn frames(machine: &mut Machine) -> Result<u64, String> {
    let memory = machine.command("mem", PATIENCE)?;
    let number = memory.split_once("frames: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    number.ok_or(format!("no number of free frames: {memory}"))
}
