//! Names for addresses: the kernel's own symbol table, which the loader leaves in memory.

use core::fmt;

use spin::Once;

/// Bytes of a symbol, and where its fields lie (ELF gABI, "Symbol Table"): name, info, value, size.
#[cfg(target_pointer_width = "32")]
mod symbol {
    pub const BYTES: usize = 16;
    pub const INFO: usize = 12;
    pub const VALUE: usize = 4;
    pub const SIZE: usize = 8;
}
#[cfg(target_pointer_width = "64")]
mod symbol {
    pub const BYTES: usize = 24;
    pub const INFO: usize = 4;
    pub const VALUE: usize = 8;
    pub const SIZE: usize = 16;
}

/// The type of a symbol that names code.
const FUNCTION: u8 = 2;

static SYMBOLS: Once<Symbols> = Once::new();

/// A symbol table and the strings it refers to.
struct Symbols {
    table: &'static [u8],
    strings: &'static [u8],
}

/// Keeps the tables for [`name_of`].
pub fn install(table: &'static [u8], strings: &'static [u8]) {
    SYMBOLS.call_once(|| Symbols { table, strings });
}

/// The function that holds the code at `address`, and how far into it: `boot::boot_main+0x1f`.
pub fn name_of(address: usize) -> impl fmt::Display {
    Place { address, found: SYMBOLS.get().and_then(|symbols| symbols.find(address)) }
}

struct Place {
    address: usize,
    found: Option<(&'static str, usize)>,
}

impl Symbols {
    fn find(&self, address: usize) -> Option<(&'static str, usize)> {
        self.table.chunks_exact(symbol::BYTES).find_map(|raw| {
            let start = word(raw, symbol::VALUE)?;
            let offset = address.checked_sub(start)?;
            if raw[symbol::INFO] & 0xF != FUNCTION || offset >= word(raw, symbol::SIZE)? {
                return None;
            }
            let name = u32::from_le_bytes(raw.first_chunk().copied()?) as usize;
            let name = self.strings.get(name..)?.split(|byte| *byte == 0).next()?;
            // The loader has had it: what is no name of ours must not get to a terminal.
            let name =
                core::str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))?;
            Some((name, offset))
        })
    }
}

fn word(raw: &[u8], at: usize) -> Option<usize> {
    let bytes = raw.get(at..at + size_of::<usize>())?;
    Some(usize::from_le_bytes(bytes.try_into().ok()?))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.found {
            // Without the hash at its end: nobody reads it.
            Some((name, offset)) => write!(f, "{:#}+{offset:#x}", rustc_demangle::demangle(name)),
            None => write!(f, "no symbol for {:#x}", self.address),
        }
    }
}
