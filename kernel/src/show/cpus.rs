//! `cpus`: which run.

use core::fmt::{self, Write};

use crate::Machine;
use crate::console::Console;

/// Prints a line for each CPU, what they asked of one another, and what brings devices' interrupts to them.
pub fn cpus(console: &mut Console, machine: &Machine) -> fmt::Result {
    let mode = machine.selection.paging.routines.info.name;
    writeln!(console, "CPU  APIC  state    mode  answers  beats  timer")?;
    let mut told = Ok(());
    machine.platform.each_cpu(&mut |cpu| {
        // Those that run change the mode together.
        let mode = if cpu.online { mode } else { "-" };
        let (index, apic, doing) = (cpu.index, cpu.apic, cpu.doing);
        let (answers, beats, timer) = (cpu.answers, cpu.beats, cpu.timer);
        let line = writeln!(console, "{index:<4} {apic:<5} {doing:<8} {mode:<5} {answers:<8} {beats:<6} {timer}");
        told = told.and(line);
    });
    told?;
    writeln!(console, "APICs: {}", machine.platform.apic())?;
    let (shootdowns, asked) = machine.platform.shootdowns();
    writeln!(console, "shootdowns: {shootdowns}, in which {asked} CPUs were asked")?;
    spaces(console, machine)?;
    machine.lines.show(console, machine.platform)
}

/// Prints what becomes of the address spaces that CPUs leave.
fn spaces(console: &mut Console, machine: &Machine) -> fmt::Result {
    let (mut online, mut keeping, mut by, mut entered, mut warm) = (0, 0, None, 0, 0);
    machine.platform.each_cpu(&mut |cpu| {
        online += usize::from(cpu.online);
        keeping += usize::from(cpu.online && cpu.spaces.kept_by.is_some());
        // What all have in common: the shorter words.
        by = match (by, cpu.spaces.kept_by) {
            (Some(words), Some(more)) if cpu.online => Some(core::cmp::min(words, more)),
            (words, more) => words.or(more),
        };
        entered += u64::from(cpu.spaces.entered);
        warm += u64::from(cpu.spaces.warm);
    });
    match by {
        Some(by) => write!(console, "address spaces: kept warm by {by} on {keeping} of {online} CPUs")?,
        None => write!(console, "address spaces: cold when they are entered, for want of PCID")?,
    }
    writeln!(console, "; {entered} entered, {warm} of them warm")
}
