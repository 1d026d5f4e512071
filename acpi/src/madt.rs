//! The table of interrupt controllers: which processors there are, and which controller of the I/O side (ACPI
//! Specification 6.5, 5.2.12).

use crate::table::{Fault, Header};
use crate::{Lists, Physical, find};

/// Offsets in the table, in bytes: the local APICs' address, the flags, the first entry.
const ADDRESS: u32 = 36;
const FLAGS: u32 = 40;
const ENTRIES: u32 = 44;

/// In the table's flags: there are 8259s too.
const PC_AT: u32 = 1 << 0;

/// In a processor's flags: it can be used; it cannot yet, but could be put in.
const ENABLED: u32 = 1 << 0;
const ONLINE_CAPABLE: u32 = 1 << 1;

/// What the table says, but for its entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Madt {
    table: Header,
    /// Where every CPU sees its own local APIC.
    pub local: u64,
    /// Whether there are 8259s, which must be silenced when the I/O APIC is used.
    pub pics: bool,
}

/// An entry that Strata knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A processor.
    Processor(Processor),
    /// An I/O APIC.
    IoApic(IoApic),
    /// A line of a bus that is not connected as it would be by itself.
    Override(Override),
}

/// An I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// The number that the firmware gives it.
    pub id: u8,
    /// Where its registers are.
    pub address: u64,
    /// The interrupt number (GSI) of its first pin.
    pub base: u32,
}

/// A line that is not connected as it would be by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Override {
    /// The bus: 0, which is ISA.
    pub bus: u8,
    /// The line.
    pub line: u8,
    /// The interrupt number (GSI) that it has instead.
    pub to: u32,
    /// In bits 0 and 1 when it is active, in bits 2 and 3 how it interrupts.
    pub flags: u16,
}

/// A processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Processor {
    /// The number of its local APIC.
    pub apic: u32,
    /// What may be done with it.
    pub state: State,
}

/// What may be done with a processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It can be started.
    Enabled,
    /// It is not there, but can be put in while the machine runs.
    OnlineCapable,
    /// It is not there.
    Disabled,
}

impl Madt {
    /// The table, out of the list.
    ///
    /// # Errors
    /// What is wrong with the list or the table; [`Fault::Missing`] if there is none. Other tables that are wrong are told
    /// to `complain`.
    pub fn read(memory: &mut dyn Physical, lists: Lists, complain: &mut dyn FnMut(Fault)) -> Result<Self, Fault> {
        let table = find(memory, lists, *b"APIC", complain)?;
        if table.bytes < ENTRIES {
            return Err(Fault::Length(table.signature, table.bytes));
        }
        let mut local = u64::from(u32::from_le_bytes(table.bytes_at(memory, ADDRESS)?));
        let flags = u32::from_le_bytes(table.bytes_at(memory, FLAGS)?);
        walk(&table, memory, &mut |bytes, kind| {
            // The address in all of its 64 bits.
            if kind == 5 {
                local = u64::from_le_bytes(array(bytes, 4));
            }
        })?;
        Ok(Self { table, local, pics: flags & PC_AT != 0 })
    }

    /// Hands over each entry that Strata knows, in the table's order.
    ///
    /// # Errors
    /// [`Fault::Length`] where an entry is shorter than its kind has to be or passes the table's end. Those before it were
    /// handed over.
    pub fn each(&self, memory: &mut dyn Physical, take: &mut dyn FnMut(Entry)) -> Result<(), Fault> {
        walk(&self.table, memory, &mut |bytes, kind| {
            let known = match kind {
                0 => Some(Entry::Processor(Processor { apic: bytes[3].into(), state: state(array(bytes, 4)) })),
                9 => {
                    let apic = u32::from_le_bytes(array(bytes, 4));
                    Some(Entry::Processor(Processor { apic, state: state(array(bytes, 8)) }))
                }
                1 => Some(Entry::IoApic(IoApic {
                    id: bytes[2],
                    address: u32::from_le_bytes(array(bytes, 4)).into(),
                    base: u32::from_le_bytes(array(bytes, 8)),
                })),
                2 => Some(Entry::Override(Override {
                    bus: bytes[2],
                    line: bytes[3],
                    to: u32::from_le_bytes(array(bytes, 4)),
                    flags: u16::from_le_bytes(array(bytes, 8)),
                })),
                _ => None,
            };
            known.into_iter().for_each(&mut *take);
        })
    }
}

fn state(flags: [u8; 4]) -> State {
    match u32::from_le_bytes(flags) {
        flags if flags & ENABLED != 0 => State::Enabled,
        flags if flags & ONLINE_CAPABLE != 0 => State::OnlineCapable,
        _ => State::Disabled,
    }
}

/// The longest entry that is read: what of it matters fits.
const ENTRY: usize = 16;

/// How long an entry has to be for its kind to be read.
const fn least(kind: u8) -> u8 {
    match kind {
        0 => 8,
        1 | 5 => 12,
        2 => 10,
        9 => 16,
        _ => 2,
    }
}

/// Goes through the entries; each is handed over with its kind.
fn walk(table: &Header, memory: &mut dyn Physical, take: &mut dyn FnMut(&[u8; ENTRY], u8)) -> Result<(), Fault> {
    let wrong = Fault::Length(table.signature, table.bytes);
    let mut at = ENTRIES;
    while at < table.bytes {
        let entry: [u8; ENTRY] = table.bytes_at(memory, at)?;
        let [kind, bytes, ..] = entry;
        if bytes < least(kind) || u32::from(bytes) > table.bytes - at {
            return Err(wrong);
        }
        take(&entry, kind);
        at += u32::from(bytes);
    }
    Ok(())
}

/// `N` bytes from `offset` on.
fn array<const N: usize>(bytes: &[u8; ENTRY], offset: usize) -> [u8; N] {
    core::array::from_fn(|at| bytes[offset + at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;
    use crate::tests::{Memory, table};

    /// A machine whose table has these entries.
    fn machine(entries: &[&[u8]]) -> Memory {
        let mut content = vec![0, 0, 0xE0, 0xFE, 1, 0, 0, 0];
        content.extend(entries.concat());
        Memory(vec![(0x8000, table(b"RSDT", &0x9000u32.to_le_bytes())), (0x9000, table(b"APIC", &content))])
    }

    fn read(memory: &mut Memory) -> (Result<Madt, Fault>, Vec<Entry>) {
        let madt = Madt::read(memory, [Root::Rsdt(0x8000)].into_iter().collect(), &mut |_| ());
        let mut entries = Vec::new();
        if let Ok(madt) = &madt {
            madt.each(memory, &mut |entry| entries.push(entry)).expect("the same entries as before");
        }
        (madt, entries)
    }

    const CPU: [u8; 8] = [0, 8, 1, 7, 1, 0, 0, 0];

    #[test]
    fn entries_of_every_kind() {
        let mut memory = machine(&[
            &CPU,
            &[0, 8, 2, 9, 0, 0, 0, 0],
            &[0, 8, 3, 10, 2, 0, 0, 0],
            &[9, 16, 0, 0, 0x00, 0x01, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0],
            &[1, 12, 5, 0, 0, 0, 0xC0, 0xFE, 24, 0, 0, 0],
            &[2, 10, 0, 9, 20, 0, 0, 0, 0xF, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[4, 6, 0xFF, 0, 0, 1],
            &[0x80, 3, 0],
        ]);
        let cpu = |apic, state| Entry::Processor(Processor { apic, state });
        let (madt, entries) = read(&mut memory);
        let madt = madt.expect("a good table");
        assert_eq!((madt.local, madt.pics), (0xFEE0_0000, true));
        assert_eq!(
            entries,
            [
                cpu(7, State::Enabled),
                cpu(9, State::Disabled),
                cpu(10, State::OnlineCapable),
                cpu(256, State::Enabled),
                Entry::IoApic(IoApic { id: 5, address: 0xFEC0_0000, base: 24 }),
                Entry::Override(Override { bus: 0, line: 9, to: 20, flags: 0xF }),
                Entry::Override(Override { bus: 0, line: 0, to: 2, flags: 0 }),
            ]
        );
    }

    #[test]
    fn a_64_bit_address_counts_more() {
        let mut memory = machine(&[&CPU, &[5, 12, 0, 0, 0, 0, 0xE0, 0xFE, 1, 0, 0, 0]]);
        assert_eq!(read(&mut memory).0.map(|madt| madt.local), Ok(0x1_FEE0_0000));
    }

    #[test]
    fn entries_that_cannot_be_are_refused() {
        for wrong in
            [&[0u8, 0][..], &[0, 1, 2], &[0, 7, 1, 7, 1, 0, 0], &[0, 8, 1, 7, 1], &[9, 8, 0, 0, 1, 0, 0, 0], &[3]]
        {
            let mut memory = machine(&[&CPU, wrong]);
            let bytes = 44 + 8 + wrong.len() as u32;
            assert_eq!(read(&mut memory).0, Err(Fault::Length(*b"APIC", bytes)), "{wrong:?}");
        }
        let mut memory =
            Memory(vec![(0x8000, table(b"RSDT", &0x9000u32.to_le_bytes())), (0x9000, table(b"APIC", &[0, 0, 0xE0]))]);
        assert_eq!(read(&mut memory).0, Err(Fault::Length(*b"APIC", 39)));
    }
}
