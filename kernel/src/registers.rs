//! Registers of devices in memory: whether they can be where firmware says, and mapping them.

use core::fmt;

use mm::{Cache, Kind, MapError, PhysAddr, VirtAddr};

use crate::Machine;

/// Why registers are not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misplaced {
    /// They are said to be at this address, beyond so many bits.
    Beyond(u64, u32),
    /// They are said to be at this address, where there is RAM.
    InRam(u64),
    /// They are said to be at this address, which is not a multiple of this number.
    Unaligned(u64, u64),
    /// They cannot be mapped.
    Unmapped(MapError),
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Misplaced::Beyond(at, bits) => {
                write!(f, "it should be at {at:#x}, beyond the {bits} physical address bits of this CPU")
            }
            Misplaced::InRam(at) => write!(f, "it should be at {at:#x}, where there is RAM"),
            Misplaced::Unaligned(at, unit) => write!(f, "it should be at {at:#x}, which is not a multiple of {unit}"),
            Misplaced::Unmapped(error) => write!(f, "its registers cannot be mapped: {error}"),
        }
    }
}

/// Maps the `bytes` of registers that firmware says are at `at`, a multiple of `unit`, uncached and for good.
///
/// # Errors
/// Why not. Nothing was mapped then.
pub fn map(machine: &mut Machine, name: &'static str, at: u64, bytes: u64, unit: u64) -> Result<VirtAddr, Misplaced> {
    let bits = machine.selection.paging.limits.phys_bits;
    let last = at.checked_add(bytes - 1).filter(|last| last >> bits == 0).ok_or(Misplaced::Beyond(at, bits))?;
    if !at.is_multiple_of(unit) {
        return Err(Misplaced::Unaligned(at, unit));
    }
    let frames = [PhysAddr(at).frame(), PhysAddr(last).frame()];
    if frames.iter().any(|frame| machine.memory_map.kind_of(*frame).is_some_and(|kind| kind != Kind::Reserved)) {
        return Err(Misplaced::InRam(at));
    }
    let memory = &mut machine.memory.lock();
    machine.map.map_device(memory, name, PhysAddr(at), bytes, Cache::Uncached).map_err(Misplaced::Unmapped)
}
