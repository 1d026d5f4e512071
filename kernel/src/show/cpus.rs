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
    machine.lines.show(console, machine.platform)
}
