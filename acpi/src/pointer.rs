//! The root pointer, where a BIOS puts it (ACPI Specification 6.5, 5.2.5).

use crate::table::Fault;
use crate::{Absent, Lists, Physical, Root};

/// The letters that it begins with.
const SIGNATURE: &[u8; 8] = b"RSD PTR ";

/// Its length in bytes before there were 64-bit addresses, and since.
const OLD: usize = 20;
const NEW: usize = 36;

/// Where in the BIOS's data the segment of its extended data area stands, and how much of that area is looked through.
const EXTENDED_DATA: u64 = 0x40E;
const EXTENDED_DATA_BYTES: u64 = 1 << 10;

/// The BIOS's own memory, below 1 MiB.
const BIOS: core::ops::Range<u64> = 0xE_0000..0x10_0000;

/// Looks for the pointer in the first KiB of the BIOS's extended data, then in the 128 KiB below 1 MiB, at multiples of 16.
/// What looks like one and is none is told to `complain`.
pub fn scan(memory: &mut dyn Physical, complain: &mut dyn FnMut(Fault)) -> Option<Lists> {
    let mut segment = [0; 2];
    let extended = match memory.read(EXTENDED_DATA, &mut segment) {
        Ok(()) => u64::from(u16::from_le_bytes(segment)) << 4,
        Err(Absent) => 0,
    };
    // A machine without such data has 0 there, and one that has it has it below the video memory.
    let extended = if (0x400..0xA_0000).contains(&extended) { extended..extended + EXTENDED_DATA_BYTES } else { 0..0 };
    let places = extended.step_by(16).chain(BIOS.step_by(16));
    places.into_iter().find_map(|at| read(memory, at, complain))
}

/// The pointer at `at`, if there is one. Where only the part that is newer than ACPI 1.0 is wrong, the other counts.
fn read(memory: &mut dyn Physical, at: u64, complain: &mut dyn FnMut(Fault)) -> Option<Lists> {
    let mut pointer = [0; NEW];
    memory.read(at, &mut pointer[..SIGNATURE.len()]).ok()?;
    if !pointer.starts_with(SIGNATURE) {
        return None;
    }
    if memory.read(at, &mut pointer[..OLD]).is_err() || sum(&pointer[..OLD]) != 0 {
        complain(Fault::Pointer(at));
        return None;
    }
    if pointer[15] < 2 {
        return lists(&pointer[..OLD]);
    }
    let whole = memory.read(at, &mut pointer).is_ok();
    let bytes = u32::from_le_bytes([pointer[20], pointer[21], pointer[22], pointer[23]]);
    if !whole || bytes as usize != NEW || sum(&pointer) != 0 {
        complain(Fault::Pointer(at));
        return lists(&pointer[..OLD]);
    }
    lists(&pointer)
}

fn lists(pointer: &[u8]) -> Option<Lists> {
    let lists = Lists::in_pointer(pointer);
    (!lists.is_empty()).then_some(lists)
}

impl Lists {
    /// The lists that a root pointer names, the newer first. One of 20 bytes names an RSDT only.
    pub fn in_pointer(pointer: &[u8]) -> Self {
        let xsdt =
            pointer.get(24..32).and_then(|bytes| bytes.first_chunk()).map(|at| Root::Xsdt(u64::from_le_bytes(*at)));
        let rsdt = pointer.get(16..20).and_then(|bytes| bytes.first_chunk());
        xsdt.into_iter().chain(rsdt.map(|at| Root::Rsdt(u32::from_le_bytes(*at).into()))).collect()
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))
}
