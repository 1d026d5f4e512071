//! An entry is a codec: a word on one side, what it says on the other.
//!
//! One law holds for every format, level and value that the level can hold:
//! `decode(encode(pte, level), level) == pte`. The bits are those of SDM vol. 3A, tables 4-4 to 4-20.

use crate::{Cache, Entry, Frame, Level, PAGE_SHIFT, PageFlags, PagingInfo, Rights};

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pte {
    /// Nothing is mapped here.
    Absent,
    /// The table of the next level lies in this frame; accesses through it may do no more than the rights say.
    Table(Frame, Rights),
    /// A page begins at this frame.
    Leaf(Frame, PageFlags),
}

/// Bit positions of an entry, the same in all four formats.
pub(crate) mod bit {
    pub const PRESENT: u64 = 1 << 0;
    pub const WRITE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const PWT: u64 = 1 << 3;
    pub const PCD: u64 = 1 << 4;
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    /// Above level 1: this is a leaf.
    pub const PAGE_SIZE: u64 = 1 << 7;
    pub const GLOBAL: u64 = 1 << 8;
    /// Software's own, in an entry that names a table of level 1: every page below is mapped. Where it is clear, some may
    /// not be.
    pub const FULL: u64 = 1 << 9;
    pub const NO_EXECUTE: u64 = 1 << 63;

    /// The PAT bit changes its place: 7 says "leaf" above level 1, so there it is 12.
    pub const fn pat(level: crate::Level) -> u64 {
        if level == 1 { 1 << 7 } else { 1 << 12 }
    }
}

const fn when(set: bool, bits: u64) -> u64 {
    if set { bits } else { 0 }
}

/// The bits of a leaf at `level` that pick `cache`: looked up, because a jump could be foretold only where all pages are
/// alike.
#[inline]
const fn cache_bits(cache: Cache, level: crate::Level) -> u64 {
    const fn all(level: crate::Level) -> [u64; 4] {
        let kinds = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached];
        let mut words = [0; 4];
        let mut n = 0;
        while n < 4 {
            let (pwt, pcd, pat) = kinds[n].bits();
            words[kinds[n] as usize] = when(pwt, bit::PWT) | when(pcd, bit::PCD) | when(pat, bit::pat(level));
            n += 1;
        }
        words
    }
    const SMALL: [u64; 4] = all(1);
    const LARGE: [u64; 4] = all(2);
    if level == 1 { SMALL[cache as usize] } else { LARGE[cache as usize] }
}

/// See [`Format::leaf_bits`].
#[inline]
const fn leaf_bits(info: &PagingInfo, flags: PageFlags, level: Level) -> u64 {
    let rights = flags.rights;
    bit::PRESENT
        | cache_bits(flags.cache, level)
        | when(rights.contains(Rights::WRITE), bit::WRITE)
        | when(rights.contains(Rights::USER), bit::USER)
        | when(!rights.contains(Rights::USER), bit::ACCESSED | bit::DIRTY)
        | when(level > 1, bit::PAGE_SIZE)
        | when(rights.contains(Rights::GLOBAL), bit::GLOBAL)
        | when(info.no_execute && !rights.contains(Rights::EXEC), bit::NO_EXECUTE)
}

/// All but the address of a leaf in the user half, for all flags: looked up, because it is worked out for every single page.
pub(crate) struct UserBits([u64; 64]);

impl UserBits {
    /// The words for `level`.
    pub const fn new(info: &PagingInfo, level: Level) -> Self {
        let mut words = [0; 64];
        let mut n = 0;
        while n < words.len() {
            let cache = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached][n >> 4];
            let rights = Rights::from_bits_truncate(n as u8 & 15).difference(Rights::GLOBAL);
            words[n] = leaf_bits(info, PageFlags { rights, cache }, level);
            n += 1;
        }
        Self(words)
    }

    /// The word for `flags`.
    #[inline(always)]
    pub const fn get(&self, flags: PageFlags) -> u64 {
        self.0[(flags.rights.bits() as usize & 15) | (flags.cache as usize) << 4]
    }
}

/// One paging mode as the manual draws it. Pure arithmetic: no memory, no CPU.
pub trait Format: 'static {
    /// The word that the tables hold.
    type Entry: Entry;

    /// The shape.
    const INFO: PagingInfo;

    /// The bits of an entry that hold a frame's address.
    const ADDRESS: u64 = (u64::MAX >> (64 - Self::INFO.phys_bits)) & !(crate::PAGE_SIZE - 1);

    /// The word for `pte` at `level`.
    #[inline]
    fn encode(pte: Pte, level: Level) -> u64 {
        match pte {
            Pte::Absent => 0,
            Pte::Table(frame, rights) => frame.0 << PAGE_SHIFT | Self::table_bits(rights, level),
            Pte::Leaf(frame, flags) => frame.0 << PAGE_SHIFT | Self::leaf_bits(flags, level),
        }
    }

    /// All but the address of an entry that names a table.
    #[inline]
    fn table_bits(rights: Rights, level: Level) -> u64 {
        if Self::root_registers(level) {
            // R/W, U/S and A are reserved in PAE's root: the CPU would refuse to load it.
            return bit::PRESENT;
        }
        bit::PRESENT
            | bit::ACCESSED
            | when(rights.contains(Rights::WRITE), bit::WRITE)
            | when(rights.contains(Rights::USER), bit::USER)
            | when(Self::INFO.no_execute && !rights.contains(Rights::EXEC), bit::NO_EXECUTE)
    }

    /// All but the address of a leaf.
    ///
    /// The kernel's own pages are never paged out, so they are born accessed and dirty, which spares the CPU a
    /// locked write to the table when it first uses them.
    #[inline]
    fn leaf_bits(flags: PageFlags, level: Level) -> u64 {
        leaf_bits(&Self::INFO, flags, level)
    }

    /// What the word `raw` says at `level`.
    #[inline]
    fn decode(raw: u64, level: Level) -> Pte {
        if raw & bit::PRESENT == 0 {
            return Pte::Absent;
        }
        if !Self::is_leaf(raw, level) {
            return Pte::Table(Frame((raw & Self::ADDRESS) >> PAGE_SHIFT), Self::table_rights(raw, level));
        }
        Pte::Leaf(Self::leaf_frame(raw, level), Self::leaf_flags(raw, level))
    }

    /// Whether `raw`, which is present, is a leaf at `level`.
    #[inline]
    fn is_leaf(raw: u64, level: Level) -> bool {
        level == 1 || level <= Self::INFO.top_leaf && raw & bit::PAGE_SIZE != 0
    }

    /// Whether `raw` is a leaf at `level` and present.
    #[inline(always)]
    fn is_present_leaf(raw: u64, level: Level) -> bool {
        let both = if level == 1 { bit::PRESENT } else { bit::PRESENT | bit::PAGE_SIZE };
        level <= Self::INFO.top_leaf && raw & both == both
    }

    /// The first frame of the leaf `raw`.
    #[inline]
    fn leaf_frame(raw: u64, level: Level) -> Frame {
        // Below a large page's own bits lie the PAT bit and reserved ones (or PSE-36's, which are not used).
        Frame((raw & Self::ADDRESS) >> PAGE_SHIFT & !(Self::INFO.pages(level) - 1))
    }

    /// What the leaf `raw` permits by itself.
    #[inline]
    fn leaf_flags(raw: u64, level: Level) -> PageFlags {
        let mut rights = word_rights(raw);
        rights.set(Rights::GLOBAL, raw & bit::GLOBAL != 0);
        let cache = Cache::from_bits(raw & bit::PWT != 0, raw & bit::PCD != 0, raw & bit::pat(level) != 0);
        PageFlags { rights, cache }
    }

    /// What the table entry `raw` lets through. PAE's root entries let everything through.
    fn table_rights(raw: u64, level: Level) -> Rights {
        if Self::root_registers(level) { Rights::WRITE | Rights::EXEC | Rights::USER } else { word_rights(raw) }
    }

    /// Whether entries at `level` are PAE's root entries.
    #[inline]
    fn root_registers(level: Level) -> bool {
        Self::INFO.root_is_registers && level == Self::INFO.levels
    }
}

#[inline]
fn word_rights(raw: u64) -> Rights {
    let mut rights = Rights::empty();
    rights.set(Rights::WRITE, raw & bit::WRITE != 0);
    rights.set(Rights::USER, raw & bit::USER != 0);
    rights.set(Rights::EXEC, raw & bit::NO_EXECUTE == 0);
    rights
}
