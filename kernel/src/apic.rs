//! The APICs: what the firmware lists of processors and of interrupt controllers, and the first CPU's own.

use alloc::vec::Vec;

use acpi::{Entry, Madt, State, Wiring};
use log::{info, warn};

use crate::Machine;
use crate::tables::Reader;

/// What the firmware lists.
pub struct Listed {
    /// The numbers of the APICs of those CPUs that can be started, this one among them.
    pub cpus: Vec<u32>,
    /// How devices' lines reach I/O APICs.
    pub wiring: Wiring,
}

/// Reads the firmware's list and opens this CPU's APIC. Tells what is listed, and the APIC's number. Where there is no list, or no
/// APIC, that is said, and one CPU and the 8259s are all there is.
pub fn open(machine: &mut Machine) -> Option<(Listed, u32)> {
    let listed = list(machine)?;
    let opened = machine.platform.open_apic(&mut machine.map, &mut machine.memory.lock());
    match opened {
        Ok(Some(own)) => return Some((listed, own)),
        Ok(None) => info!("cpus: one; it has no local APIC by which it could reach others"),
        Err(error) => warn!("cpus: one; its local APIC cannot be mapped: {error}"),
    }
    None
}

fn list(machine: &mut Machine) -> Option<Listed> {
    let lists = machine.boot.acpi;
    if lists.is_empty() {
        info!("cpus: one; there are no ACPI tables that would list others");
        return None;
    }
    let memory = &mut Reader(machine);
    let mut listed = Listed { cpus: Vec::new(), wiring: Wiring::default() };
    let (mut absent, mut lost) = (0, 0);
    let read = Madt::read(memory, lists, &mut |fault| warn!("acpi: {fault}")).and_then(|madt| {
        madt.each(memory, &mut |entry| match entry {
            Entry::Processor(processor) if processor.state == State::Enabled => match listed.cpus.try_reserve(1) {
                Ok(()) => listed.cpus.push(processor.apic),
                Err(_) => lost += 1,
            },
            Entry::Processor(_) => absent += 1,
            Entry::IoApic(_) | Entry::Override(_) => listed.wiring.take(entry),
        })
    });
    if let Err(fault) = read {
        info!("cpus: one; acpi: {fault}");
        return None;
    }
    if absent > 0 {
        info!("cpus: {absent} are listed that are not there");
    }
    if lost > 0 {
        warn!("cpus: there is no memory to list {lost} more");
    }
    Some(listed)
}
