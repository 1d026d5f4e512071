//! ACPI's tables: where they are listed, and how they are read.
//!
//! What is in them, and whether it can be believed, is the crate `acpi`'s. It reads memory through [`Reader`], which shows it
//! what the memory map knows of and nothing else, a word at a time through a window that is closed again: firmware may name
//! any address, and none of what it names is mapped for good.

use acpi::{Absent, Physical};
use log::warn;
use mm::{Cache, Kind, PhysAddr, Width};

use crate::Machine;

/// Keeps those lists of tables that can be used. If the loader named none of that kind, it looks for the root pointer where a
/// BIOS has it. The log says what is wrong with each other list.
pub fn find_lists(machine: &mut Machine) {
    let named = machine.boot.acpi;
    let complain = &mut |fault| warn!("acpi: {fault}");
    let mut usable = named.usable(&mut Reader(machine), complain);
    if usable.is_empty() {
        let scanned = acpi::scan(&mut Reader(machine), complain).filter(|scanned| *scanned != named);
        usable = scanned.unwrap_or_default().usable(&mut Reader(machine), complain);
    }
    if usable != named && !named.is_empty() {
        match usable.iter().next() {
            Some(root) => warn!("acpi: {root} is used instead"),
            None => warn!("acpi: no list of tables is left"),
        }
    }
    machine.boot.acpi = usable;
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
