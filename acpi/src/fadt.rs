//! The fixed description table: the registers that every ACPI machine has (ACPI Specification 6.5, 5.2.9).

use crate::Physical;
use crate::table::{Fault, Root, find};

/// Where a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// In memory.
    Memory,
    /// Among the I/O ports.
    Port,
    /// In PCI configuration space, of which the address says where.
    PciConfig,
}

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Where it is.
    pub space: Space,
    /// Its address there.
    pub address: u64,
}

/// What the table says, as far as it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fadt {
    /// The register that restarts the machine, and what to write there.
    pub reset: Option<(Register, u8)>,
    /// The registers that turn the machine off; most machines have one.
    pub control: [Option<Register>; 2],
    /// The port that hands the machine over from the firmware, and what to write there; nothing on a machine that the
    /// firmware never had.
    pub enable: Option<(u16, u8)>,
    /// Where the byte code lies.
    pub dsdt: u64,
}

/// Offsets in the table, in bytes.
mod offset {
    pub const DSDT: u32 = 40;
    pub const SMI_COMMAND: u32 = 48;
    pub const ACPI_ENABLE: u32 = 52;
    pub const PM1A_CONTROL: u32 = 64;
    pub const PM1B_CONTROL: u32 = 68;
    pub const FLAGS: u32 = 112;
    pub const RESET_REGISTER: u32 = 116;
    pub const RESET_VALUE: u32 = 128;
    pub const X_DSDT: u32 = 140;
    pub const X_PM1A_CONTROL: u32 = 172;
    pub const X_PM1B_CONTROL: u32 = 184;
}

/// In the flags: there is a reset register.
const RESET_SUPPORTED: u32 = 1 << 10;

impl Fadt {
    /// The table, out of the list.
    ///
    /// # Errors
    /// What is wrong with the list or the table.
    pub fn read(memory: &mut dyn Physical, root: Root, complain: &mut dyn FnMut(Fault)) -> Result<Self, Fault> {
        let table = find(memory, root, *b"FACP", complain)?;
        let word = |memory: &mut dyn Physical, at| table.bytes_at(memory, at).map(u32::from_le_bytes);
        let control = |memory: &mut dyn Physical, old, new| -> Result<Option<Register>, Fault> {
            Ok(match generic(&table.bytes_at(memory, new)?) {
                Some(register) => Some(register),
                None => match word(memory, old)? {
                    0 => None,
                    port => Some(Register { space: Space::Port, address: u64::from(port) }),
                },
            })
        };
        let flags = word(memory, offset::FLAGS)?;
        let [value] = table.bytes_at(memory, offset::RESET_VALUE)?;
        let reset = generic(&table.bytes_at(memory, offset::RESET_REGISTER)?);
        let [enable] = table.bytes_at(memory, offset::ACPI_ENABLE)?;
        let command = word(memory, offset::SMI_COMMAND)?;
        let dsdt = match u64::from_le_bytes(table.bytes_at(memory, offset::X_DSDT)?) {
            0 => u64::from(word(memory, offset::DSDT)?),
            dsdt => dsdt,
        };
        Ok(Self {
            reset: reset.filter(|_| flags & RESET_SUPPORTED != 0).map(|register| (register, value)),
            control: [
                control(memory, offset::PM1A_CONTROL, offset::X_PM1A_CONTROL)?,
                control(memory, offset::PM1B_CONTROL, offset::X_PM1B_CONTROL)?,
            ],
            enable: u16::try_from(command).ok().filter(|port| *port != 0 && enable != 0).map(|port| (port, enable)),
            dsdt,
        })
    }
}

/// A generic address (ACPI Specification 6.5, 5.2.3.2): its space in the first byte, the address in the last eight. One at
/// address 0 is none, and one in a space of another kind is of no use.
fn generic(bytes: &[u8; 12]) -> Option<Register> {
    let mut address = [0; 8];
    address.copy_from_slice(&bytes[4..]);
    let address = u64::from_le_bytes(address);
    let space = match bytes[0] {
        0 => Space::Memory,
        1 => Space::Port,
        2 => Space::PciConfig,
        _ => return None,
    };
    (address != 0).then_some(Register { space, address })
}
