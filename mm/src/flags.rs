//! What a mapping permits and how it is cached, in words and not in bits.

bitflags::bitflags! {
    /// What an access through a mapping may do. Reading is always permitted, and "present" is no
    /// right: absence is [`Pte::Absent`](crate::Pte::Absent).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
    pub struct Rights: u8 {
        /// Stores are permitted (R/W set).
        const WRITE = 1 << 0;
        /// Instruction fetches are permitted (NX clear).
        const EXEC = 1 << 1;
        /// Ring 3 is permitted (U/S set).
        const USER = 1 << 2;
        /// The translation outlives a load of CR3 (G set; SDM vol. 3A, 4.10.2.4).
        const GLOBAL = 1 << 3;
    }
}

/// How accesses through a mapping are cached: the four memory types that Strata programs into the PAT
/// (SDM vol. 3A, 12.12). See [`Cache::bits`] for how each is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Cache {
    /// Write-back: RAM.
    #[default]
    WriteBack,
    /// Write-through.
    WriteThrough,
    /// Write-combining: frame buffers. Uncached where the CPU has no PAT.
    WriteCombining,
    /// Strongly uncached: device registers.
    Uncached,
}

/// The PAT that Strata programs (IA32_PAT, MSR 0x277): entries 0 to 5 and 7 as at reset, entry 6 (PAT and
/// PCD set) write-combining instead of UC-.
///
/// Entry 6 and no other, because some CPUs ignore an entry's PAT bit: what remains of it there is PCD
/// alone, entry 2, which is UC-: slower, but never a write-back device.
pub const PAT: u64 = 0x0001_0406_0007_0406;

impl Cache {
    /// (PWT, PCD, PAT) of this kind.
    pub const fn bits(self) -> (bool, bool, bool) {
        match self {
            Cache::WriteBack => (false, false, false),
            Cache::WriteThrough => (true, false, false),
            Cache::WriteCombining => (false, true, true),
            Cache::Uncached => (true, true, false),
        }
    }

    /// The kind that (PWT, PCD, PAT) selects out of [`PAT`]. UC-, which Strata never writes, counts as
    /// uncached.
    #[inline]
    pub const fn from_bits(pwt: bool, pcd: bool, pat: bool) -> Self {
        const KINDS: [Cache; 8] = {
            let (wb, wt, wc, uc) = (Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached);
            [wb, wt, uc, uc, wb, wt, wc, uc]
        };
        KINDS[pwt as usize | (pcd as usize) << 1 | (pat as usize) << 2]
    }
}

/// What a mapping permits and how it is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct PageFlags {
    /// What accesses may do.
    pub rights: Rights,
    /// How they are cached.
    pub cache: Cache,
}

impl PageFlags {
    /// The kernel's code: read and execute.
    pub const TEXT: Self = Self::new(Rights::EXEC.union(Rights::GLOBAL));
    /// The kernel's constants: read.
    pub const RODATA: Self = Self::new(Rights::GLOBAL);
    /// The kernel's data: read and write.
    pub const DATA: Self = Self::new(Rights::WRITE.union(Rights::GLOBAL));
    /// Device registers: read and write, uncached.
    pub const MMIO: Self = Self::DATA.cached(Cache::Uncached);

    /// `rights`, cached write-back.
    pub const fn new(rights: Rights) -> Self {
        Self { rights, cache: Cache::WriteBack }
    }

    /// The same rights, cached as `cache`.
    pub const fn cached(self, cache: Cache) -> Self {
        Self { cache, ..self }
    }
}

const _: () = {
    // What `bits` says must be what `PAT` holds: WB 6, WT 4, WC 1, UC 0 (SDM vol. 3A, table 12-10).
    const fn kind(cache: Cache) -> u64 {
        let (pwt, pcd, pat) = cache.bits();
        PAT >> (8 * (pwt as u32 + 2 * pcd as u32 + 4 * pat as u32)) & 0xFF
    }
    assert!(kind(Cache::WriteBack) == 6 && kind(Cache::WriteThrough) == 4);
    assert!(kind(Cache::WriteCombining) == 1 && kind(Cache::Uncached) == 0);
};
