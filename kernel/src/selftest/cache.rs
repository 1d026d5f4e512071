//! How memory and devices are cached.

use mm::{Cache, MapError, MapRequest, PageFlags, PageRange, PhysAddr, Rights, VirtAddr};

use super::{Named, Outcome, Verdict, expect};
use crate::Machine;

/// A device cannot be mapped write-back (that none is, the audit says), and write-combining is what the CPU makes of it.
pub fn devices(machine: &mut Machine) -> Verdict {
    let mmu = machine.platform.mmu();
    let memory = &mut machine.memory.lock();
    let refused = machine.map.map_device(memory, "test", PhysAddr(0xB8000), 4096, Cache::WriteBack);
    expect(refused == Err(MapError::NotOffered), "a device is not mapped write-back")?;

    let here = PageRange::new(VirtAddr(0x4000_0000), 1);
    let combining = PageFlags::new(Rights::WRITE).cached(Cache::WriteCombining);
    let request = MapRequest { range: here, first: PhysAddr(0xB8000).frame(), flags: combining };
    machine.map.map_user(memory, &request).named("map")?;
    let cache = machine.map.tables().query(memory, here.start).map(|leaf| leaf.flags.cache);
    machine.map.unmap_user(memory, here, None).named("unmap")?.flush(memory, mmu);
    machine.map.trim_user(memory).named("trim")?.flush(memory, mmu);
    let expected = if machine.features.pat { Cache::WriteCombining } else { Cache::Uncached };
    expect(cache == Some(expected), "write-combining is uncached where the CPU has no PAT, and itself where it has")?;
    Ok(Outcome::Passed)
}
