//! ACPI's tables as no firmware should write them, in memory that the map keeps for them.

use core::slice;

use crate::block::Block;
use crate::given::Area;

/// Where they are: at a multiple of a page, each in a page of its own.
pub const AT: u64 = 48 << 20;
const PAGE: u64 = 1 << 12;

/// The memory that is kept for them, as tables that the kernel may read (Multiboot2 Specification 2.0, 3.6.8).
pub const KEPT: Area = Area(AT, 16 * PAGE, 3);

/// Bytes of a table's header, and where its length and its checksum are (ACPI Specification 6.5, 5.2.6).
const HEADER: usize = 36;
const LENGTH: usize = 4;
const CHECKSUM: usize = 9;

/// Writes a table into the page number `page`, with a checksum that is right, and tells its address. Each part of the content
/// is at an offset in the table.
pub fn table(page: u64, name: &[u8; 4], length: usize, parts: &[(usize, &[u8])]) -> u64 {
    table_with(page, name, length, |bytes| parts.iter().for_each(|(offset, part)| put(bytes, *offset, part)))
}

/// The same with a content that `fill` writes, in as many pages as it takes from `page` on.
fn table_with(page: u64, name: &[u8; 4], length: usize, fill: impl FnOnce(&mut [u8])) -> u64 {
    let at = AT + page * PAGE;
    // SAFETY: nothing lies from 48 MiB on, neither of this image nor of the kernel's, and paging is off. Each call has pages
    // of its own.
    let bytes = unsafe { slice::from_raw_parts_mut(at as usize as *mut u8, length.next_multiple_of(PAGE as usize)) };
    bytes.fill(0);
    bytes[..4].copy_from_slice(name);
    put(bytes, LENGTH, &(length as u32).to_le_bytes());
    fill(&mut bytes[..length]);
    bytes[CHECKSUM] = 0u8.wrapping_sub(sum(&bytes[..length]));
    at
}

/// The list of these tables, in page 0.
pub fn list(tables: &[u64]) -> u64 {
    let mut content = [0; 64];
    for (slot, table) in content.chunks_mut(8).zip(tables) {
        slot.copy_from_slice(&table.to_le_bytes());
    }
    let length = HEADER + tables.len() * 8;
    table(0, b"XSDT", length, &[(HEADER, &content[..tables.len() * 8])])
}

/// The list of these tables with 32-bit addresses, in page 3.
pub fn old_list(tables: &[u64]) -> u64 {
    let mut content = [0; 32];
    for (slot, table) in content.chunks_mut(4).zip(tables) {
        slot.copy_from_slice(&(*table as u32).to_le_bytes());
    }
    let length = HEADER + tables.len() * 4;
    table(3, b"RSDT", length, &[(HEADER, &content[..tables.len() * 4])])
}

/// Makes the checksum of the table at `at` wrong.
pub fn spoil(at: u64) -> u64 {
    // SAFETY: as in `table`.
    unsafe { *(at as usize as *mut u8).add(CHECKSUM) ^= 1 };
    at
}

/// The table of interrupt controllers with one CPU and these entries, in page 1 (ACPI Specification 6.5, 5.2.12).
pub fn controllers(entries: &[&[u8]]) -> u64 {
    const ENTRIES: usize = 44;
    let mut content = [0; 256];
    content[..4].copy_from_slice(&0xFEE0_0000u32.to_le_bytes());
    put(&mut content, 4, &[1]);
    let mut end = ENTRIES - HEADER;
    for entry in [&[0, 8, 0, 0, 1, 0, 0, 0][..]].iter().chain(entries) {
        put(&mut content, end, entry);
        end += entry.len();
    }
    table(1, b"APIC", HEADER + end, &[(HEADER, &content[..end])])
}

/// The table of interrupt controllers with `count` CPUs, whose APICs have the numbers from 0 on, in the pages from 1 on (ACPI
/// Specification 6.5, 5.2.12.12).
pub fn processors(count: usize) -> u64 {
    const ENTRIES: usize = 44;
    const ENTRY: usize = 16;
    table_with(1, b"APIC", ENTRIES + count * ENTRY, |bytes| {
        put(bytes, HEADER, &0xFEE0_0000u32.to_le_bytes());
        for (number, entry) in bytes[ENTRIES..].chunks_exact_mut(ENTRY).enumerate() {
            entry[..2].copy_from_slice(&[9, ENTRY as u8]);
            put(entry, 4, &(number as u32).to_le_bytes());
            // Enabled.
            put(entry, 8, &[1]);
            put(entry, 12, &(number as u32).to_le_bytes());
        }
    })
}

/// An entry of that table: the I/O APIC number `id` at `address`, whose first pin has the GSI `base`.
pub fn io_apic(id: u8, address: u32, base: u32) -> [u8; 12] {
    let mut entry = [1, 12, id, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    put(&mut entry, 4, &address.to_le_bytes());
    put(&mut entry, 8, &base.to_le_bytes());
    entry
}

/// And another: `line` of the ISA bus has the GSI `gsi`, and these flags.
pub fn wire(line: u8, gsi: u32, flags: u8) -> [u8; 10] {
    let mut entry = [2, 10, 0, line, 0, 0, 0, 0, flags, 0];
    put(&mut entry, 4, &gsi.to_le_bytes());
    entry
}

/// Says that the list has so many bytes.
pub fn lie_of_length(list: u64, length: u32) -> u64 {
    // SAFETY: as in `table`.
    unsafe { (list as usize as *mut u8).add(LENGTH).cast::<u32>().write_unaligned(length) };
    list
}

/// The root pointer of ACPI 2.0 to a list and an older one, the checksum of its first part wrong by `error`.
pub fn pointer(block: &mut Block, list: u64, old_list: u64, error: u8) -> &mut Block {
    let mut bytes = [0; 36];
    bytes[..8].copy_from_slice(b"RSD PTR ");
    bytes[15] = 2;
    put(&mut bytes, 16, &(old_list as u32).to_le_bytes());
    put(&mut bytes, 20, &36u32.to_le_bytes());
    put(&mut bytes, 24, &list.to_le_bytes());
    bytes[8] = error.wrapping_sub(sum(&bytes[..20]));
    bytes[32] = 0u8.wrapping_sub(sum(&bytes));
    block.tag(15, &bytes)
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))
}
