//! The four paging modes: what the manuals draw, and where Strata's self-map lies, in literals.

/// A paging mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mode {
    /// 32-bit paging (SDM vol. 3A, 4.3).
    Pml2,
    /// PAE paging (4.4).
    Pml3,
    /// 4-level paging (4.5).
    Pml4,
    /// 5-level paging (4.5).
    Pml5,
}

impl Mode {
    /// How many levels.
    pub fn levels(self) -> u8 {
        match self {
            Mode::Pml2 => 2,
            Mode::Pml3 => 3,
            Mode::Pml4 => 4,
            Mode::Pml5 => 5,
        }
    }

    /// Bytes in an entry.
    pub fn entry_bytes(self) -> u64 {
        if self == Mode::Pml2 { 4 } else { 8 }
    }

    /// log2 of what an entry at `level` covers.
    pub fn shift(self, level: u8) -> u32 {
        match (self, level) {
            (_, 1) => 12,
            (Mode::Pml2, 2) => 22,
            (_, 2) => 21,
            (_, 3) => 30,
            (_, 4) => 39,
            (_, 5) => 48,
            _ => panic!("no level {level} in {self:?}"),
        }
    }

    /// Entries in a table at `level`.
    pub fn entries(self, level: u8) -> u64 {
        match (self, level) {
            (Mode::Pml2, _) => 1024,
            (Mode::Pml3, 3) => 4,
            _ => 512,
        }
    }

    /// Which entry of its table at `level` translates `va`.
    pub fn index(self, va: u64, level: u8) -> u64 {
        match (self, level) {
            (Mode::Pml2, 1) => va >> 12 & 0x3FF,
            (Mode::Pml2, _) => va >> 22 & 0x3FF,
            (Mode::Pml3, 3) => va >> 30 & 3,
            (_, 1) => va >> 12 & 0x1FF,
            (_, 2) => va >> 21 & 0x1FF,
            (_, 3) => va >> 30 & 0x1FF,
            (_, 4) => va >> 39 & 0x1FF,
            _ => va >> 48 & 0x1FF,
        }
    }

    /// Whether the CPU can use `va` as an address at all.
    pub fn is_canonical(self, va: u64) -> bool {
        match self {
            Mode::Pml2 | Mode::Pml3 => va <= 0xFFFF_FFFF,
            Mode::Pml4 => va <= 0x0000_7FFF_FFFF_FFFF || va >= 0xFFFF_8000_0000_0000,
            Mode::Pml5 => va <= 0x00FF_FFFF_FFFF_FFFF || va >= 0xFF00_0000_0000_0000,
        }
    }

    /// The address whose translated bits are `bits`.
    pub fn extend(self, bits: u64) -> u64 {
        match self {
            Mode::Pml4 if bits & 0x0000_8000_0000_0000 != 0 => bits | 0xFFFF_0000_0000_0000,
            Mode::Pml5 if bits & 0x0100_0000_0000_0000 != 0 => bits | 0xFE00_0000_0000_0000,
            _ => bits,
        }
    }

    /// The first address of the kernel's half.
    pub fn kernel_half(self) -> u64 {
        match self {
            Mode::Pml2 | Mode::Pml3 => 0xC000_0000,
            Mode::Pml4 => 0xFFFF_8000_0000_0000,
            Mode::Pml5 => 0xFF00_0000_0000_0000,
        }
    }

    /// The first and the last address of the self-map.
    pub fn self_map(self) -> (u64, u64) {
        match self {
            Mode::Pml2 => (0xFFC0_0000, 0xFFFF_FFFF),
            Mode::Pml3 => (0xFF80_0000, 0xFFFF_FFFF),
            Mode::Pml4 => (0xFFFF_F680_0000_0000, 0xFFFF_F6FF_FFFF_FFFF),
            Mode::Pml5 => (0xFFED_0000_0000_0000, 0xFFED_FFFF_FFFF_FFFF),
        }
    }

    /// Where the self-map shows the entry at `level` on the way to `va`: the formulas of one mode each, written out.
    pub fn entry_address(self, va: u64, level: u8) -> u64 {
        match (self, level) {
            (Mode::Pml2, 1) => 0xFFC0_0000 + (va >> 12 & 0xF_FFFF) * 4,
            (Mode::Pml2, _) => 0xFFFF_F000 + (va >> 22 & 0x3FF) * 4,
            (Mode::Pml3, 1) => 0xFF80_0000 + (va >> 12 & 0xF_FFFF) * 8,
            (Mode::Pml3, 2) => 0xFFFF_C000 + (va >> 21 & 0x7FF) * 8,
            (Mode::Pml3, _) => 0xFFFF_FFE0 + (va >> 30 & 3) * 8,
            (Mode::Pml4, 1) => 0xFFFF_F680_0000_0000 + (va >> 12 & 0xF_FFFF_FFFF) * 8,
            (Mode::Pml4, 2) => 0xFFFF_F6FB_4000_0000 + (va >> 21 & 0x7FF_FFFF) * 8,
            (Mode::Pml4, 3) => 0xFFFF_F6FB_7DA0_0000 + (va >> 30 & 0x3_FFFF) * 8,
            (Mode::Pml4, _) => 0xFFFF_F6FB_7DBE_D000 + (va >> 39 & 0x1FF) * 8,
            (Mode::Pml5, 1) => 0xFFED_0000_0000_0000 + (va >> 12 & 0x1FFF_FFFF_FFFF) * 8,
            (Mode::Pml5, 2) => 0xFFED_F680_0000_0000 + (va >> 21 & 0xF_FFFF_FFFF) * 8,
            (Mode::Pml5, 3) => 0xFFED_F6FB_4000_0000 + (va >> 30 & 0x7FF_FFFF) * 8,
            (Mode::Pml5, 4) => 0xFFED_F6FB_7DA0_0000 + (va >> 39 & 0x3_FFFF) * 8,
            (Mode::Pml5, _) => 0xFFED_F6FB_7DBE_D000 + (va >> 48 & 0x1FF) * 8,
        }
    }
}
