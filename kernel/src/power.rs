//! Turning the machine off and restarting it, as the firmware says that it is done.
//!
//! What ACPI's tables say is read only when it is wanted. Whatever is wrong with them is logged, and the ways that need no
//! tables are left.

use core::fmt;

use acpi::{Fadt, Fault, Register, SleepType, Space};
use log::{info, warn};

use crate::tables::Reader;
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

fn read_fadt(machine: &mut Machine) -> Result<Fadt, Trouble> {
    let lists = machine.boot.acpi;
    if lists.is_empty() {
        return Err(Trouble::NoRoot);
    }
    Ok(Fadt::read(&mut Reader(machine), lists, &mut |fault| warn!("acpi: {fault}"))?)
}

fn read_sleep(machine: &mut Machine) -> Result<Sleep, Trouble> {
    let fadt = read_fadt(machine)?;
    let read = acpi::sleep_type(&mut Reader(machine), fadt.dsdt, &mut |fault| warn!("acpi: {fault}"));
    let SleepType(types) = read?.ok_or(Trouble::NoSleepType)?;
    let control = fadt.control.map(|register| register?.port());
    if control[0].is_none() {
        return Err(Trouble::NoRegister);
    }
    let sleep = Sleep { enable: fadt.enable, control, types };
    info!("acpi: off is type {types:?} in the ports {control:x?}");
    Ok(sleep)
}

fn reset(register: Register, value: u8) -> Option<Reset> {
    match register.space {
        Space::Port => register.port().map(|port| Reset::Port { port, value }),
        // Device, function and offset on bus 0, 16 bits each (ACPI Specification 6.5, 4.8.3.6).
        Space::PciConfig => {
            let part = |shift: u32| (register.address >> shift) as u16;
            let (device, function, offset) = (u8::try_from(part(32)), u8::try_from(part(16)), u8::try_from(part(0)));
            Some(Reset::Pci { device: device.ok()?, function: function.ok()?, offset: offset.ok()?, value })
        }
        Space::Memory => None,
    }
}
