//! What a CPU offers, and what it takes away from a format.

use crate::format::bit;
use crate::{Cache, Level, PageFlags, PagingInfo, Rights};

/// The features that concern paging, as CPUID reports them. Filled in by whoever may ask the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// 4 MiB pages in pml2.
    pub pse: bool,
    /// Physical address extension: pml3.
    pub pae: bool,
    /// Global pages.
    pub pge: bool,
    /// The page attribute table.
    pub pat: bool,
    /// No-execute.
    pub nx: bool,
    /// 1 GiB pages.
    pub page_1g: bool,
    /// 57-bit virtual addresses: pml5.
    pub la57: bool,
    /// 4 MiB pages beyond 4 GiB, the upper address bits in bits 20 to 13 of their entries. Strata never uses it, but where
    /// there is none those bits are reserved.
    pub pse36: bool,
    /// Physical address bits, from CPUID 0x80000008, else 36 with PAE and 32 without.
    pub phys_bits: u32,
}

impl Features {
    /// Whether a CPU with these can run on tables that are made for `other`, in a mode that both have: nothing that their entries
    /// may use is missing.
    pub const fn covers(&self, other: &Self) -> bool {
        (self.pse || !other.pse)
            && (self.pge || !other.pge)
            && (self.pat || !other.pat)
            && (self.nx || !other.nx)
            && (self.page_1g || !other.page_1g)
            && self.phys_bits >= other.phys_bits
    }
}

/// What this CPU takes away from a format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bits of a physical address: the lesser of the CPU's and the format's.
    pub phys_bits: u32,
    /// The highest level at which a leaf may lie.
    pub top_leaf: Level,
    /// Whether the NX bit may be set. Without it every readable page can be executed.
    pub no_execute: bool,
    /// Whether the G bit may be set.
    pub global: bool,
    /// Whether the PAT bit may be set.
    pub pat: bool,
    /// The first frame that the CPU cannot reach, and every bit that a leaf may have set as far as NX is concerned: kept
    /// ready because they are asked for with every page.
    frame_end: u64,
    leaf_bits: u64,
}

impl Limits {
    /// What is left of the format `info` on a CPU with `features`.
    ///
    /// In pml2, PSE-36 is not used: a frame beyond 4 GiB is refused, in a 4 MiB page as in a 4 KiB one.
    pub fn new(info: &PagingInfo, features: &Features) -> Self {
        let top_leaf = match info.levels {
            2 if !features.pse => 1,
            4 | 5 if !features.page_1g => 2,
            _ => info.top_leaf,
        };
        let phys_bits = features.phys_bits.min(info.phys_bits);
        let no_execute = info.no_execute && features.nx;
        Self {
            phys_bits,
            top_leaf,
            no_execute,
            global: features.pge,
            pat: features.pat,
            frame_end: 1 << phys_bits.saturating_sub(crate::PAGE_SHIFT),
            leaf_bits: if no_execute { u64::MAX } else { !bit::NO_EXECUTE },
        }
    }

    /// The first frame that the CPU cannot reach.
    #[inline]
    pub const fn frame_end(&self) -> u64 {
        self.frame_end
    }

    /// Every bit that a leaf may have set, as far as NX is concerned.
    #[inline]
    pub(crate) const fn leaf_bits(&self) -> u64 {
        self.leaf_bits
    }

    /// What a mapping asked for with `flags` will permit on this CPU: executable where there is no NX, not
    /// global where there are no global pages, uncached for write-combining where there is no PAT.
    #[inline]
    pub fn effective(&self, flags: PageFlags) -> PageFlags {
        let mut effective = flags;
        effective.rights.set(Rights::EXEC, flags.rights.contains(Rights::EXEC) || !self.no_execute);
        effective.rights.set(Rights::GLOBAL, flags.rights.contains(Rights::GLOBAL) && self.global);
        let no_combining = flags.cache == Cache::WriteCombining && !self.pat;
        effective.cache = if no_combining { Cache::Uncached } else { flags.cache };
        effective
    }
}
