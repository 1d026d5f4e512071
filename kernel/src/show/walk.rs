//! `walk`: one address, level by level.

use core::fmt::{self, Write};

use mm::{Access, Controls, Memory, PAGE_SIZE, PagingInfo, Pte, VirtAddr};

use super::page_size;
use crate::console::Console;
use crate::{Machine, Registers};

/// Prints each entry on the way to `address` in the live tables, and where the way ends.
pub fn walk(console: &mut Console, machine: &Machine, address: VirtAddr) -> fmt::Result {
    let tables = machine.map.tables();
    let info = &tables.paging().routines.info;
    if !info.is_canonical(address) {
        return not_canonical(console, info, address);
    }
    let memory = machine.memory.lock();
    let mut told = Ok(());
    let mut end = None;
    tables.path(&memory, address, &mut |step| {
        let index = info.index(address, step.level);
        told = told.and(writeln!(console, "{step} [{index}]"));
        end = Some(step);
    });
    told?;
    match (tables.query(&memory, address), end) {
        (Some(leaf), _) => {
            let offset = address.0 - leaf.start.0;
            let size = page_size(info, leaf.level);
            let what = machine.map.name_of(address);
            writeln!(
                console,
                "{address:#x} -> {:#x}: {}, {size} page ({what})",
                leaf.frame.start().0 + offset,
                leaf.flags
            )?;
            permitted(console, machine, &memory, address)
        }
        (None, Some(step)) if step.pte == Pte::Absent => {
            let span = info.pages(step.level) * PAGE_SIZE;
            let start = address.0 & !(span - 1);
            writeln!(
                console,
                "{address:#x} is not mapped, nor is anything from {start:#x} to {:#x}",
                start + (span - 1)
            )
        }
        _ => writeln!(console, "{address:#x} is not mapped"),
    }
}

/// Says who could do what there, with the control registers as they are: `kernel: read, write; ring 3: nothing`.
fn permitted(console: &mut Console, machine: &Machine, memory: &Memory, address: VirtAddr) -> fmt::Result {
    let Registers { cr0, cr4, efer, .. } = machine.platform.registers();
    let controls = Controls::of(machine.features, cr0, cr4, efer);
    for (who, user) in [("kernel: ", false), ("; ring 3: ", true)] {
        let permits = |access: &Access| machine.map.tables().verdict(memory, address, *access, &controls).is_ok();
        let mut permitted = Access::ALL.into_iter().filter(|access| access.user == user && permits(access)).peekable();
        write!(console, "{who}{}", if permitted.peek().is_none() { "nothing" } else { "" })?;
        for (count, access) in permitted.enumerate() {
            write!(console, "{}{}", if count > 0 { ", " } else { "" }, access.kind)?;
        }
    }
    writeln!(console)
}

fn not_canonical(console: &mut Console, info: &PagingInfo, address: VirtAddr) -> fmt::Result {
    let (name, bits) = (info.name, info.va_bits);
    if bits == 32 {
        return writeln!(console, "{address:#x} lies beyond the {bits} bits of a virtual address in {name}");
    }
    let top = bits - 1;
    writeln!(console, "{address:#x} is not canonical: in {name} bits 63 to {bits} are copies of bit {top}")
}
