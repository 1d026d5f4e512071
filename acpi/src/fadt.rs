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
    /// The counter that runs at 3.579545 MHz, if the table says that there is one.
    pub pm_timer: Option<PmTimer>,
}

/// Where the power management timer is said to be (ACPI Specification 6.5, 4.8.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    /// Its register; none if its address is 0.
    pub register: Option<Register>,
    /// The register's length in bytes, which is 4 on every machine that has one.
    pub bytes: u8,
}

/// Offsets in the table, in bytes.
mod offset {
    pub const DSDT: u32 = 40;
    pub const SMI_COMMAND: u32 = 48;
    pub const ACPI_ENABLE: u32 = 52;
    pub const PM1A_CONTROL: u32 = 64;
    pub const PM1B_CONTROL: u32 = 68;
    pub const PM_TIMER: u32 = 76;
    pub const PM_TIMER_BYTES: u32 = 91;
    pub const FLAGS: u32 = 112;
    pub const RESET_REGISTER: u32 = 116;
    pub const RESET_VALUE: u32 = 128;
    pub const X_DSDT: u32 = 140;
    pub const X_PM1A_CONTROL: u32 = 172;
    pub const X_PM1B_CONTROL: u32 = 184;
    pub const X_PM_TIMER: u32 = 208;
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
        let register = |memory: &mut dyn Physical, old, new| -> Result<Option<Register>, Fault> {
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
        let [timer_bytes] = table.bytes_at(memory, offset::PM_TIMER_BYTES)?;
        let timer = register(memory, offset::PM_TIMER, offset::X_PM_TIMER)?;
        let [enable] = table.bytes_at(memory, offset::ACPI_ENABLE)?;
        let command = word(memory, offset::SMI_COMMAND)?;
        let dsdt = match u64::from_le_bytes(table.bytes_at(memory, offset::X_DSDT)?) {
            0 => u64::from(word(memory, offset::DSDT)?),
            dsdt => dsdt,
        };
        Ok(Self {
            reset: reset.filter(|_| flags & RESET_SUPPORTED != 0).map(|register| (register, value)),
            control: [
                register(memory, offset::PM1A_CONTROL, offset::X_PM1A_CONTROL)?,
                register(memory, offset::PM1B_CONTROL, offset::X_PM1B_CONTROL)?,
            ],
            enable: u16::try_from(command).ok().filter(|port| *port != 0 && enable != 0).map(|port| (port, enable)),
            dsdt,
            pm_timer: (timer_bytes != 0).then_some(PmTimer { register: timer, bytes: timer_bytes }),
        })
    }
}

/// A generic address (ACPI Specification 6.5, 5.2.3.2): its space in the first byte, the address in the last eight. One at
/// address 0 is none, and one in a space of another kind is of no use.
pub(crate) fn generic(bytes: &[u8; 12]) -> Option<Register> {
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
