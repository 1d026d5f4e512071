//! Boot information as any bytes at all, and what becomes of it: a memory map, texts, a screen, complaints.

use std::fmt::Write;

use boot::BootInfo;
use mm::{Kind, MemoryMap, Region};

use crate::layers::Layers;

/// Bytes in front of the information: what follows it when it is read the first time, and the second.
const MOST: usize = 1 << 17;

/// The bytes are the information, as it would lie in memory: its first word is its size. They are read twice with
/// different bytes behind them, which must not show.
pub fn run(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST)];
    let says = bytes.first_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
    let first = hear(bytes, says, 0xA5);
    let second = hear(bytes, says, 0x5A);
    assert_eq!(first, second, "what lies behind the boot information shows");
}

/// Reads the information in a place with room for it, all that is beyond its end being `behind`.
fn hear(bytes: &[u8], says: usize, behind: u8) -> String {
    let mut words = vec![u64::from_ne_bytes([behind; 8]); bytes.len().div_ceil(8) + 1];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [behind; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    // SAFETY: the words are initialised, borrowed as a whole, and bytes have no alignment.
    let place = unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), bytes.len() / 8 * 8 + 8) };
    if let Some(beyond) = place.get_mut(says..) {
        beyond.fill(behind);
    }
    tell(&BootInfo::read(place, says))
}

/// Calls everything there is to call, checks the memory map against the naive one, and prints it all.
fn tell(info: &BootInfo) -> String {
    let mut told = String::new();
    let mut layers = Layers::new();
    info.memory().for_each(|(start, bytes, kind)| layers.insert(start.0, bytes, kind));
    let modules: Vec<_> = info.modules().collect();
    let loaded: Vec<_> = info.loaded_sections().collect();
    let claimed = modules.iter().map(|module| layers.claim(module.start.0, module.bytes, Kind::Module));
    let outside = claimed.fold(0, u64::saturating_add);
    let claimed = loaded.iter().map(|part| layers.claim(part.start.0, part.bytes, Kind::BootInfo));
    let outside = claimed.fold(outside, u64::saturating_add);

    let regions = info.memory().count() + modules.len() + loaded.len();
    let mut storage = vec![Region::default(); 2 * regions + MemoryMap::LEAST_STORAGE];
    let mut map = MemoryMap::new(&mut storage);
    assert_eq!(info.describe(&mut map), outside, "bytes claimed where there is no RAM");
    layers.agree(&map);
    let mut few = [Region::default(); 16];
    let mut small = MemoryMap::new(&mut few);
    info.describe(&mut small);
    layers.contain(&small);

    let texts = (info.command_line(), info.loader());
    let rest = (info.framebuffer(), info.acpi_lists(), info.symbols());
    let regions: Vec<Region> = map.iter().copied().collect();
    let wrote = write!(told, "{texts:?} {modules:?} {loaded:?} {rest:?} {regions:?} {}", info.complaints().more());
    assert!(wrote.is_ok());
    for complaint in info.complaints().iter() {
        told.push('\n');
        told.push_str(&complaint.to_string());
    }
    told
}
