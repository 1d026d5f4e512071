//! Which words are planted. Their addresses are put in elsewhere.

use mm::{Features, Level, PagingInfo};

/// Bits 12 to 51: where an entry points.
pub const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

const PRESENT: u32 = 0;
const WRITE: u32 = 1;
const USER: u32 = 2;
const ACCESSED: u32 = 5;
const DIRTY: u32 = 6;
/// PS above level 1, PAT at it.
const SIZE: u32 = 7;
/// PAT of a large page.
const LARGE_PAT: u32 = 12;
const NO_EXECUTE: u32 = 63;

/// What lets everything through.
const OPEN: u64 = 1 << PRESENT | 1 << WRITE | 1 << USER | 1 << ACCESSED | 1 << DIRTY;

/// The bits that may count at `level`; where there are fewer, one stands twice.
fn counting(info: &PagingInfo, level: Level) -> [u32; 8] {
    let last = if info.entry_bytes == 8 { NO_EXECUTE } else { PRESENT };
    let pat = if level > 1 && level <= info.top_leaf { LARGE_PAT } else { PRESENT };
    [PRESENT, WRITE, USER, ACCESSED, DIRTY, SIZE, pat, last]
}

/// Every combination of the bits that count.
pub fn combinations(info: &PagingInfo, level: Level) -> impl Iterator<Item = u64> {
    let bits = counting(info, level);
    // A bit that stands twice is taken the first time only.
    let again =
        (0..bits.len()).filter(move |at| bits[..*at].contains(&bits[*at])).fold(0, |mask, at| mask | 1u64 << at);
    (0..1u64 << bits.len()).filter(move |set| set & again == 0).map(move |set| {
        bits.iter().enumerate().filter(|(at, _)| set >> at & 1 != 0).fold(0, |word, (_, bit)| word | 1 << bit)
    })
}

/// The bits that may be reserved at `level`: those between the PAT bit and a large page's address, those beyond the
/// physical width, and all above the address.
fn reserved(info: &PagingInfo, features: &Features, level: Level, large: bool) -> impl Iterator<Item = u32> + use<> {
    let low = if large { 13..info.shift(level) } else { 0..0 };
    let high = if info.entry_bytes == 8 { features.phys_bits.min(52)..63 } else { 0..0 };
    low.chain(high)
}

/// Whether bit 7 at `level` can make a page, and not only a wrong entry.
const fn can_be_large(info: &PagingInfo, level: Level) -> bool {
    level > 1 && level <= info.top_leaf
}

/// An open entry with each of the bits that may be reserved.
pub fn with_reserved_bits(info: &PagingInfo, features: &Features, level: Level) -> impl Iterator<Item = u64> + use<> {
    let table = reserved(info, features, level, false).map(|bit| OPEN | 1 << bit);
    let large = can_be_large(info, level).then(|| reserved(info, features, level, true));
    table.chain(large.into_iter().flatten().map(|bit| OPEN | 1 << SIZE | 1 << bit))
}

/// Words that look random and are the same on every run.
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    /// A word for `level`: present mostly, with a reserved bit now and then, and open enough for the levels below to
    /// come into play.
    pub fn word(&mut self, info: &PagingInfo, features: &Features, level: Level) -> u64 {
        let bits = counting(info, level);
        let chosen = self.next();
        let mut word = bits
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 != 0)
            .fold(0, |word, (_, bit)| word | 1u64 << bit);
        let dice = self.next();
        if dice & 0xF != 0 {
            word |= 1 << PRESENT;
        }
        if level > 1 && dice >> 4 & 3 != 0 {
            word &= !(1 << SIZE);
        }
        if dice >> 6 & 3 == 0 {
            word |= 1 << WRITE | 1 << USER;
        }
        if dice >> 11 & 1 == 0 {
            // Reserved where there is no NX, or it is off: then nothing else would be seen.
            word &= !(1 << NO_EXECUTE);
        }
        if dice >> 8 & 7 == 0 {
            let large = can_be_large(info, level) && word >> SIZE & 1 != 0;
            let count = reserved(info, features, level, large).count() as u64;
            if count > 0
                && let Some(bit) = reserved(info, features, level, large).nth((dice >> 12) as usize % count as usize)
            {
                word |= 1 << bit;
            }
        }
        word
    }
}
