//! The memory map, from regions as raw as a loader can hand them over.

use mm::{Kind, MemoryMap, PhysAddr, Region};

use crate::bytes::Bytes;
use crate::layers::Layers;

const KINDS: [Kind; 9] = [
    Kind::Usable,
    Kind::Metadata,
    Kind::Image,
    Kind::Module,
    Kind::BootInfo,
    Kind::AcpiReclaimable,
    Kind::AcpiNvs,
    Kind::Reserved,
    Kind::Bad,
];

/// Regions in a program.
const MOST: usize = 300;

/// The first byte says how much storage the map has: with its top bit set, enough for all that comes. Then ten bytes make
/// a step: insert, reserve, claim, overrule or cut, a kind, and two numbers with a factor each.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let size = bytes.byte();
    let enough = size & 0x80 != 0;
    let steps = (bytes.0.len() / 10).min(MOST);
    let places =
        if enough { 2 * steps + MemoryMap::LEAST_STORAGE } else { MemoryMap::LEAST_STORAGE + usize::from(size) };
    let mut storage = vec![Region::default(); places];
    let mut map = MemoryMap::new(&mut storage);
    let mut layers = Layers::new();
    for _ in 0..steps {
        step(&mut bytes, &mut map, &mut layers, enough);
        if enough { layers.agree(&map) } else { layers.contain(&map) }
    }
}

fn step(bytes: &mut Bytes, map: &mut MemoryMap, layers: &mut Layers, enough: bool) {
    let what = bytes.byte();
    let factors = bytes.byte();
    let kind = KINDS[usize::from(what >> 4) % KINDS.len()];
    let start = number(bytes.word(), factors & 15);
    let length = number(bytes.word(), factors >> 4);
    match what % 16 {
        0..=9 => {
            map.insert(PhysAddr(start), length, kind);
            layers.insert(start, length, kind);
        }
        10 | 11 => {
            map.reserve(PhysAddr(start), PhysAddr(length), kind);
            layers.insert(start, length.saturating_sub(start), kind);
        }
        // A claim finds nothing of RAM that was forgotten, and whoever lists it anew makes it usable: RAM comes first.
        12 | 13 if enough && kind.is_ram() && kind != Kind::Usable => {
            let (got, outside) = (map.claim(PhysAddr(start), length, kind), layers.claim(start, length, kind));
            assert!(
                !enough || got == outside,
                "{kind:?} claimed {length:#x} bytes from {start:#x}: {got} and not {outside}"
            );
        }
        14 if kind != Kind::Usable => {
            let end = start.saturating_add(length);
            let (got, outside) =
                (map.overrule(PhysAddr(start), PhysAddr(end), kind), layers.overrule(start, end, kind));
            assert!(!enough || got == outside, "{start:#x}-{end:#x} overruled: {got} and not {outside}");
        }
        15 => {
            let bits = start as u32;
            let (got, cut) = (map.cut_at(bits), layers.cut_at(bits));
            assert!(!enough || got == cut, "a cut at {bits} bits: {got} and not {cut}");
        }
        _ => {}
    }
}

/// Four bytes as a number of 64 bits: few pages from 0, anything anywhere, or the distance to the last number.
fn number(word: u64, factor: u8) -> u64 {
    match factor {
        0..=3 => (word & 0x3F) << 12,
        4 | 5 => word & 0x3_FFFF,
        6 => word << 12,
        7 => word << 21,
        8 => word << 32,
        9 => (1 << 52) - (word & 0xFFFF),
        10 => !word,
        11 => !(word << 12),
        12 => u64::from(word as u8).rotate_right(8),
        _ => word,
    }
}
