//! The other CPUs: which of those that the firmware lists are started, and telling of them.

use alloc::vec::Vec;

use log::{info, warn};

use crate::threads::CPUS;
use crate::{CallFailure, CpuState, Machine, Platform, threads, typed};

/// Starts those of the CPUs with the APICs `listed` that may run, beside this one, which has the APIC `own`. Whatever is wrong is said,
/// and the kernel goes on with those that it has.
pub fn start(machine: &mut Machine, listed: Vec<u32>, own: u32) {
    if machine.boot.max_cpus == Some(1) {
        info!("cpus: one, as the command line says");
        return;
    }
    let others = choose(listed, own, machine.boot.max_cpus);
    if others.is_empty() {
        return;
    }
    let Machine { platform, map, memory, features, .. } = machine;
    match platform.start_cpus(&others, map, memory, features) {
        Ok(started) => {
            if started.unnamed > 0 {
                warn!("cpus: {} have APIC numbers that the local APIC cannot name", started.unnamed);
            }
            if let Some(error) = started.short {
                let without = others.len() - started.unnamed - started.asked;
                warn!("cpus: {without} have no stacks and are left out: {error}");
            }
            if started.refused > 0 {
                warn!("cpus: {} lack what the page tables rely on and were left out", started.refused);
            }
        }
        Err(failure) => warn!("cpus: the others cannot be started: {failure}"),
    }
    report(machine, &others);
    threads::make_callers(machine);
}

/// Runs `work` on every other CPU and `meanwhile` on this one, as [`Platform::on_others`] does. Ctrl-C
/// ends the wait for the others if a command runs.
pub fn on_others(
    platform: &dyn Platform,
    work: &(dyn Fn(usize) + Sync),
    meanwhile: &mut dyn FnMut(),
) -> Result<usize, CallFailure> {
    platform.on_others(work, meanwhile, &mut || typed::ended(platform))
}

/// Those of `listed` that are to be started beside the one with the APIC `own`, each once.
fn choose(mut listed: Vec<u32>, own: u32, most: Option<u32>) -> Vec<u32> {
    let before = listed.len();
    listed.sort_unstable();
    listed.dedup();
    if listed.len() < before {
        warn!("acpi: {} CPUs are listed more than once", before - listed.len());
    }
    if !listed.contains(&own) {
        warn!("acpi: the CPU that runs, with the APIC {own}, is not listed");
    }
    listed.retain(|apic| *apic != own);
    let room = most.map_or(usize::MAX, |most| most as usize - 1);
    if listed.len() > room {
        info!("cpus: {} are left alone, as the command line says", listed.len() - room);
        listed.truncate(room);
    }
    if listed.len() >= CPUS {
        warn!("cpus: {} are listed, and {CPUS} is the most; the others are left alone", listed.len() + 1);
        listed.truncate(CPUS - 1);
    }
    listed
}

/// Logs which of those that were to be started did not come up, neighbours in one line.
fn report(machine: &Machine, wanted: &[u32]) {
    let is_up = |apic: &u32| {
        let mut up = false;
        machine.platform.each_cpu(&mut |cpu| up |= cpu.apic == *apic && cpu.index != 0 && cpu.online);
        up
    };
    let mut online = 0;
    let mut missing: Option<(u32, u32)> = None;
    for apic in wanted {
        missing = match missing {
            _ if is_up(apic) => {
                online += 1;
                missing.into_iter().for_each(left_out);
                None
            }
            Some((first, last)) if last.checked_add(1) == Some(*apic) => Some((first, *apic)),
            other => {
                other.into_iter().for_each(left_out);
                Some((*apic, *apic))
            }
        };
    }
    missing.into_iter().for_each(left_out);
    info!("cpus: {online} beside the first, reached by {}", machine.platform.apic());
}

fn left_out((first, last): (u32, u32)) {
    if first == last {
        warn!("cpus: the one with the APIC {first} did not come up and is left out");
    } else {
        let count = u64::from(last - first) + 1;
        warn!("cpus: the {count} with the APICs {first} to {last} did not come up and are left out");
    }
}

/// How many run.
pub fn count(machine: &Machine) -> usize {
    let mut count = 0;
    machine.platform.each_cpu(&mut |cpu: CpuState| count += usize::from(cpu.online));
    count.max(1)
}

/// Whether the CPU of this number does.
pub fn runs(machine: &Machine, index: usize) -> bool {
    let mut runs = false;
    machine.platform.each_cpu(&mut |cpu| runs |= cpu.index == index && cpu.online);
    runs
}
