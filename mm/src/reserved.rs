//! Which bits of a present entry the CPU wants to be 0.

use crate::{Level, Limits, PagingInfo};

/// U/S of every entry: ring 3 may use what the entry leads to.
pub const USER_BIT: u64 = 1 << 2;

/// The bits from `low` up to but not including `high`.
const fn bits(low: u32, high: u32) -> u64 {
    if low >= high { 0 } else { (u64::MAX >> (64 - (high - low))) << low }
}

/// The bits of a present entry at `level` that say where it points and lie beyond the CPU's physical width.
pub const fn beyond_width(info: &PagingInfo, limits: &Limits) -> u64 {
    if info.entry_bytes == 4 { 0 } else { bits(limits.phys_bits, 52) }
}

/// The other bits of a present entry at `level` that are reserved, for a leaf or for an entry that names a table
/// (SDM vol. 3A, 4.3 to 4.5).
pub const fn reserved(info: &PagingInfo, limits: &Limits, level: Level, leaf: bool) -> u64 {
    let large = leaf && level > 1;
    let pat = if leaf && !limits.pat { crate::format::bit::pat(level) } else { 0 };
    if info.entry_bytes == 4 {
        // PSE-36 is not used, so the bits that it gives a meaning count as reserved too.
        return pat | if large { bits(13, 22) } else { 0 };
    }
    if info.root_is_registers && level == info.levels {
        // Bit 5 is reserved too, but TCG writes it when it walks, as if it were an accessed bit; a CPU that minds it
        // refuses the root when it is loaded, so that it cannot go unnoticed.
        return bits(1, 3) | bits(6, 9) | bits(52, 64);
    }
    let no_execute = if limits.no_execute { 0 } else { 1 << 63 };
    let ignored = if info.levels == 3 { bits(52, 63) } else { 0 };
    let size = if level >= 4 { 1 << 7 } else { 0 };
    let low = if large { bits(13, 12 + 9 * (level as u32 - 1)) } else { 0 };
    no_execute | ignored | size | low | pat
}

#[cfg(test)]
mod tests {
    use super::{beyond_width, reserved};
    use crate::{Features, Limits, amd64, i686};

    #[test]
    fn the_bits_are_those_of_the_manual() {
        let all =
            Features { pae: true, nx: true, page_1g: true, pse: true, pat: true, phys_bits: 40, ..Features::default() };
        let old = Features { nx: false, ..all };
        let no_pat = Features { pat: false, ..all };
        let limits = |info, features| Limits::new(info, features);
        let (two, three, four) = (&i686::PML2.info, &i686::PML3.info, &amd64::PML4.info);
        assert_eq!(reserved(two, &limits(two, &all), 2, true), 0x003F_E000);
        assert_eq!(reserved(two, &limits(two, &all), 1, true), 0);
        assert_eq!(reserved(three, &limits(three, &all), 3, false), 0xFFF0_0000_0000_01C6);
        assert_eq!(reserved(three, &limits(three, &all), 1, true), 0x7FF0_0000_0000_0000);
        assert_eq!(reserved(three, &limits(three, &old), 1, true), 0xFFF0_0000_0000_0000);
        assert_eq!(reserved(four, &limits(four, &all), 2, true), 0x001F_E000);
        assert_eq!(reserved(four, &limits(four, &all), 3, true), 0x3FFF_E000);
        assert_eq!(reserved(four, &limits(four, &all), 4, false), 0x80);
        assert_eq!(reserved(four, &limits(four, &old), 1, true), 1 << 63);
        assert_eq!(reserved(two, &limits(two, &no_pat), 1, true), 0x80);
        assert_eq!(reserved(two, &limits(two, &no_pat), 2, false), 0);
        assert_eq!(reserved(four, &limits(four, &no_pat), 2, true), 0x001F_F000);
        assert_eq!(beyond_width(four, &limits(four, &all)), 0x000F_FF00_0000_0000);
    }
}
