//! The other CPUs: which of those that the firmware lists are started, and telling of them.

use alloc::vec::Vec;

use log::{info, warn};

use crate::{CpuState, Machine};

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
            let unheard = others.len() - started.asked;
            if unheard > 0 {
                warn!("cpus: there is no memory for {unheard} of them");
            }
            if started.refused > 0 {
                warn!("cpus: {} lack what the page tables rely on and were left out", started.refused);
            }
        }
        Err(failure) => warn!("cpus: the others cannot be started: {failure}"),
    }
    report(machine, &others);
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
    listed
}

/// Says which of those that were to be started did not come up.
fn report(machine: &Machine, wanted: &[u32]) {
    let mut online = 0;
    for apic in wanted {
        let mut up = false;
        machine.platform.each_cpu(&mut |cpu| up |= cpu.apic == *apic && cpu.index != 0 && cpu.online);
        if up {
            online += 1;
        } else {
            warn!("cpus: the one with the APIC {apic} did not come up and is left out");
        }
    }
    info!("cpus: {online} beside the first, reached by {}", machine.platform.apic());
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
