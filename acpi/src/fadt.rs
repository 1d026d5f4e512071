//! The fixed description table: the registers that every ACPI machine has (ACPI Specification 6.5, 5.2.9).

use core::fmt;

use crate::table::Fault;
use crate::{Lists, Physical, find};

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

impl Register {
    /// Its port, if it is one: 1 to 0xffff.
    pub fn port(self) -> Option<u16> {
        let port = u16::try_from(self.address).ok().filter(|_| self.space == Space::Port)?;
        (port != 0).then_some(port)
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let space = match self.space {
            Space::Memory => "memory address",
            Space::Port => "port",
            Space::PciConfig => "PCI configuration address",
        };
        write!(f, "{space} {:#x}", self.address)
    }
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
    /// Where the byte code lies: as the 64-bit field says, then as the 32-bit one says.
    pub dsdt: [u64; 2],
    /// The counter that runs at 3.579545 MHz, if the table says that there is one.
    pub pm_timer: Option<PmTimer>,
}

/// Where the power management timer is said to be (ACPI Specification 6.5, 4.8.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    /// Its register: as the 64-bit field says, then as the 32-bit one says if that is another. `None` if an address is 0.
    pub registers: [Option<Register>; 2],
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
    /// Reads the table. What is wrong with lists, other tables and fields of this one goes to `complain`.
    ///
    /// # Errors
    /// What is wrong with the lists or the table.
    pub fn read(memory: &mut dyn Physical, lists: Lists, complain: &mut dyn FnMut(Fault)) -> Result<Self, Fault> {
        let table = find(memory, lists, *b"FACP", complain)?;
        let word = |memory: &mut dyn Physical, at| table.bytes_at(memory, at).map(u32::from_le_bytes);
        // The newer field and the older one, which is a port.
        let both = |memory: &mut dyn Physical, old, new| -> Result<[Option<Register>; 2], Fault> {
            let port = word(memory, old)?;
            let old = (port != 0).then_some(Register { space: Space::Port, address: port.into() });
            Ok([generic(&table.bytes_at(memory, new)?), old])
        };
        let flags = word(memory, offset::FLAGS)?;
        let [value] = table.bytes_at(memory, offset::RESET_VALUE)?;
        let reset = generic(&table.bytes_at(memory, offset::RESET_REGISTER)?);
        let [timer_bytes] = table.bytes_at(memory, offset::PM_TIMER_BYTES)?;
        let [new, old] = both(memory, offset::PM_TIMER, offset::X_PM_TIMER)?;
        let timer = PmTimer { registers: [new, old.filter(|_| old != new)], bytes: timer_bytes };
        let [enable] = table.bytes_at(memory, offset::ACPI_ENABLE)?;
        let command = word(memory, offset::SMI_COMMAND)?;
        let first = both(memory, offset::PM1A_CONTROL, offset::X_PM1A_CONTROL)?;
        let second = both(memory, offset::PM1B_CONTROL, offset::X_PM1B_CONTROL)?;
        Ok(Self {
            reset: reset.filter(|_| flags & RESET_SUPPORTED != 0).map(|register| (register, value)),
            control: [choose("PM1a_CNT_BLK", first, complain), choose("PM1b_CNT_BLK", second, complain)],
            enable: u16::try_from(command).ok().filter(|port| *port != 0 && enable != 0).map(|port| (port, enable)),
            dsdt: [u64::from_le_bytes(table.bytes_at(memory, offset::X_DSDT)?), word(memory, offset::DSDT)?.into()],
            pm_timer: (timer_bytes != 0).then_some(timer),
        })
    }
}

/// Chooses between the newer and the older field for a register at which nothing can be tried: the newer, unless it is no
/// port and the older is one.
fn choose(field: &'static str, fields: [Option<Register>; 2], complain: &mut dyn FnMut(Fault)) -> Option<Register> {
    let [Some(new), Some(old)] = fields else { return fields[0].or(fields[1]) };
    match (new.port(), old.port()) {
        (None, Some(_)) => {
            complain(Fault::Register(field, new));
            return Some(old);
        }
        (Some(one), Some(other)) if one != other => complain(Fault::Differ(field, new, old)),
        _ => {}
    }
    Some(new)
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
