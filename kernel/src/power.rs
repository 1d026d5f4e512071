//! Turning the machine off and restarting it, as the firmware says that it is done.
//!
//! What ACPI's tables say is read only when it is wanted. Whatever is wrong with them is logged, and the ways that need no
//! tables are left.

use core::fmt;

use acpi::{Absent, Fadt, Fault, Physical, Register, Root, SleepType, Space};
use log::{info, warn};
use mm::{Cache, Kind, PhysAddr, Width};

use crate::{Machine, Reset, Sleep};

/// Restarts the machine: by the register that ACPI names, if there is one, then in the ways that every PC has.
pub fn restart(machine: &mut Machine) -> ! {
    let reset = match read_fadt(machine) {
        Ok(fadt) => fadt.reset.and_then(|(register, value)| match reset(register, value) {
            Some(reset) => {
                info!("acpi: restarting by {reset:x?}");
                Some(reset)
            }
            None => {
                warn!("acpi: the reset register, at {register:?}, is not where Strata writes");
                None
            }
        }),
        Err(trouble) => {
            info!("acpi: {trouble}; restarting without");
            None
        }
    };
    machine.platform.reboot(reset)
}

/// Turns the machine off: by the registers that ACPI names, with the value from the byte code, then as emulators have it.
/// Returns if it is still on.
pub fn off(machine: &mut Machine) {
    let sleep = match read_sleep(machine) {
        Ok(sleep) => Some(sleep),
        Err(trouble) => {
            info!("acpi: {trouble}; turning off without");
            None
        }
    };
    machine.platform.power_off(sleep);
}

/// Why ACPI does not help.
enum Trouble {
    /// Nobody said where the tables are, and they are not where a BIOS has them.
    NoRoot,
    /// Something is wrong with a table.
    Table(Fault),
    /// The byte code does not say what to write.
    NoSleepType,
    /// There is no register to write to, or it is not an I/O port.
    NoRegister,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Table(fault)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Trouble::NoRoot => f.write_str("no tables"),
            Trouble::Table(fault) => fault.fmt(f),
            Trouble::NoSleepType => f.write_str("the DSDT does not say how to turn the machine off"),
            Trouble::NoRegister => f.write_str("the FADT names no I/O port to turn the machine off by"),
        }
    }
}

/// Where ACPI's tables are listed, as the loader says, or where a BIOS has them.
pub fn root(machine: &mut Machine) -> Option<Root> {
    machine.boot.acpi.or_else(|| acpi::scan(&mut Reader(machine)))
}

fn read_fadt(machine: &mut Machine) -> Result<Fadt, Trouble> {
    let root = root(machine).ok_or(Trouble::NoRoot)?;
    let memory = &mut Reader(machine);
    Ok(Fadt::read(memory, root, &mut |fault| warn!("acpi: {fault}"))?)
}

fn read_sleep(machine: &mut Machine) -> Result<Sleep, Trouble> {
    let fadt = read_fadt(machine)?;
    let SleepType(types) = acpi::sleep_type(&mut Reader(machine), fadt.dsdt)?.ok_or(Trouble::NoSleepType)?;
    let control = fadt.control.map(|register| port(register?));
    if control[0].is_none() {
        return Err(Trouble::NoRegister);
    }
    let sleep = Sleep { enable: fadt.enable, control, types };
    info!("acpi: off is type {types:?} in the ports {control:x?}");
    Ok(sleep)
}

fn port(register: Register) -> Option<u16> {
    if register.space == Space::Port { u16::try_from(register.address).ok() } else { None }
}

fn reset(register: Register, value: u8) -> Option<Reset> {
    match register.space {
        Space::Port => port(register).map(|port| Reset::Port { port, value }),
        // Device, function and offset on bus 0, 16 bits each (ACPI Specification 6.5, 4.8.3.6).
        Space::PciConfig => {
            let part = |shift: u32| (register.address >> shift) as u16;
            let (device, function, offset) = (u8::try_from(part(32)), u8::try_from(part(16)), u8::try_from(part(0)));
            Some(Reset::Pci { device: device.ok()?, function: function.ok()?, offset: offset.ok()?, value })
        }
        Space::Memory => None,
    }
}

/// Physical memory as the memory map has it.
pub struct Reader<'a>(pub &'a mut Machine);

impl Physical for Reader<'_> {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Absent> {
        const WORD: u64 = Width::Four.bytes();
        let machine = &mut *self.0;
        let memory = &mut machine.memory.lock();
        let mut done = 0;
        while done < into.len() {
            let address = at.checked_add(done as u64).ok_or(Absent)?;
            let word_at = PhysAddr(address & !(WORD - 1));
            let cache = match machine.memory_map.kind_of(word_at.frame()) {
                None | Some(Kind::Bad) => return Err(Absent),
                // The firmware's own, perhaps a ROM.
                Some(Kind::Reserved) => Cache::Uncached,
                Some(_) => Cache::WriteBack,
            };
            let word = machine.map.peek(memory, machine.platform.mmu(), word_at, cache, Width::Four);
            let bytes = (word.map_err(|_| Absent)? as u32).to_le_bytes();
            let from = (address - word_at.0) as usize;
            let count = (bytes.len() - from).min(into.len() - done);
            into[done..done + count].copy_from_slice(&bytes[from..from + count]);
            done += count;
        }
        Ok(())
    }
}
