//! A memory management unit as the manuals draw it (SDM vol. 3A, chapter 4), with literal shifts and masks.
//!
//! It shares no arithmetic with the crate: a shift that both got from one place would be wrong in both. The two
//! types taken from there, [`Rights`] and [`Cache`], are only words for what is found.

use mm::{Cache, Rights};

use super::arena::Arena;
pub use super::mode::Mode;

/// What the CPU is and how its control registers are set, as far as paging is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// The mode that CR4 and EFER select.
    pub mode: Mode,
    /// MAXPHYADDR.
    pub phys_bits: u32,
    /// CR4.PSE.
    pub pse: bool,
    /// CR4.PGE.
    pub pge: bool,
    /// Whether there is a PAT; if so it holds what Strata programs.
    pub pat: bool,
    /// EFER.NXE.
    pub nxe: bool,
    /// Whether CPUID offers 1 GiB pages.
    pub page_1g: bool,
    /// Whether 4 MiB pages have address bits beyond 32 (PSE-36).
    pub pse36: bool,
    /// CR0.WP.
    pub wp: bool,
    /// CR4.SMEP.
    pub smep: bool,
    /// CR4.SMAP.
    pub smap: bool,
    /// EFLAGS.AC.
    pub ac: bool,
}

/// What IA32_PAT holds: entry 6 is write-combining, the others are as at reset.
const PAT_MSR: u64 = 0x0001_0406_0007_0406;

/// What all levels of a walk have let through so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Passed {
    pub write: bool,
    pub user: bool,
    pub exec: bool,
}

/// What one entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// P is 0: nothing else counts.
    Absent,
    /// A bit is set that the CPU reserves: a page fault with RSVD.
    Reserved,
    /// The physical address of the next table.
    Table(u64),
    /// A page: its physical address, its size in bytes and its (PWT, PCD, PAT).
    Page(u64, u64, [bool; 3]),
}

/// An entry that a walk came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub level: u8,
    pub at: u64,
    pub raw: u64,
    /// What was let through above it and by it.
    pub passed: Passed,
    pub word: Word,
}

/// A translation, as a TLB would keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Leaf {
    /// The first linear address of the page.
    pub start: u64,
    /// Its size.
    pub bytes: u64,
    /// The physical address of its first byte.
    pub phys: u64,
    pub passed: Passed,
    pub global: bool,
    pub cache: Cache,
}

/// Why a walk found no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Stop {
    Absent,
    Reserved,
}

/// Who tries what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    pub write: bool,
    pub fetch: bool,
    pub user: bool,
}

/// What the CPU answers instead of a translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// #GP: the address is not canonical.
    NotCanonical,
    /// #PF with this error code: P 1, W/R 2, U/S 4, RSVD 8, I/D 16 (SDM vol. 3A, 4.7).
    Page(u32),
}

/// Everything is let through above the root.
pub const EVERYTHING: Passed = Passed { write: true, user: true, exec: true };

impl Cpu {
    /// How many bits of a physical address can be used: PSE-36 is not.
    pub fn width(&self) -> u32 {
        if self.mode == Mode::Pml2 { 32 } else { self.phys_bits }
    }

    /// The highest level at which an entry may be a page.
    pub fn top_leaf(&self) -> u8 {
        match self.mode {
            Mode::Pml2 => 1 + u8::from(self.pse),
            Mode::Pml3 => 2,
            Mode::Pml4 | Mode::Pml5 => 2 + u8::from(self.page_1g),
        }
    }

    /// What the word `raw` of a table at `level` says to this CPU.
    pub fn read_word(&self, raw: u64, level: u8) -> Word {
        if raw & 1 == 0 {
            return Word::Absent;
        }
        match self.mode {
            Mode::Pml2 => self.read_32_bit(raw, level),
            Mode::Pml3 if level == 3 => self.read_pdpte(raw),
            _ => self.read_64_bit(raw, level),
        }
    }

    /// SDM vol. 3A, tables 4-4 to 4-6.
    fn read_32_bit(&self, raw: u64, level: u8) -> Word {
        let (pwt, pcd) = (raw & 0x08 != 0, raw & 0x10 != 0);
        if level == 2 && self.pse && raw & 0x80 != 0 {
            // PSE-36: bits 20:13 are bits 39:32 of the address, as far as the CPU has them; 21 is reserved.
            let have = if self.pse36 { self.phys_bits.min(40) - 32 } else { 0 };
            let reserved = 0x003F_E000 & !(((1 << have) - 1) << 13);
            if raw & reserved != 0 || !self.pat && raw & 0x1000 != 0 {
                return Word::Reserved;
            }
            let phys = raw & 0xFFC0_0000 | (raw >> 13 & 0xFF) << 32;
            return Word::Page(phys, 0x40_0000, [pwt, pcd, raw & 0x1000 != 0]);
        }
        if level == 2 {
            return Word::Table(raw & 0xFFFF_F000);
        }
        if !self.pat && raw & 0x80 != 0 {
            return Word::Reserved;
        }
        Word::Page(raw & 0xFFFF_F000, 0x1000, [pwt, pcd, raw & 0x80 != 0])
    }

    /// SDM vol. 3A, table 4-8: bits 2:1, 8:5 and all above the physical width are reserved.
    fn read_pdpte(&self, raw: u64) -> Word {
        let beyond = !0 << self.phys_bits;
        if raw & (0x1E6 | beyond) != 0 { Word::Reserved } else { Word::Table(raw & 0x000F_FFFF_FFFF_F000) }
    }

    /// SDM vol. 3A, tables 4-9 to 4-11 and 4-14 to 4-20.
    fn read_64_bit(&self, raw: u64, level: u8) -> Word {
        // PAE reserves everything between the physical width and NX; with 4 and 5 levels 62:52 are ignored.
        let top = if self.mode == Mode::Pml3 { 63 } else { 52 };
        let mut reserved = (1u64 << top) - (1u64 << self.phys_bits);
        if !self.nxe {
            reserved |= 0x8000_0000_0000_0000;
        }
        let large = level > 1 && raw & 0x80 != 0;
        let address = raw & 0x000F_FFFF_FFFF_F000;
        let (pwt, pcd) = (raw & 0x08 != 0, raw & 0x10 != 0);
        let (word, more) = match (level, large) {
            (1, _) => (Word::Page(address, 0x1000, [pwt, pcd, raw & 0x80 != 0]), if self.pat { 0 } else { 0x80 }),
            (2, true) => {
                let pat = if self.pat { 0 } else { 0x1000 };
                (Word::Page(address & !0x1F_FFFF, 0x20_0000, [pwt, pcd, raw & 0x1000 != 0]), 0x1F_E000 | pat)
            }
            (3, true) => {
                let pat = if self.pat { 0 } else { 0x1000 };
                let none = if self.page_1g { 0 } else { 0x80 };
                let word = Word::Page(address & !0x3FFF_FFFF, 0x4000_0000, [pwt, pcd, raw & 0x1000 != 0]);
                (word, 0x3FFF_E000 | pat | none)
            }
            // No CPU has pages of 512 GiB: bit 7 must be 0 in the entries of levels 4 and 5.
            _ => (Word::Table(address), if level >= 4 { 0x80 } else { 0 }),
        };
        if raw & (reserved | more) != 0 { Word::Reserved } else { word }
    }

    /// What an entry lets through by itself.
    fn lets_through(&self, raw: u64, level: u8) -> Passed {
        if self.mode == Mode::Pml3 && level == 3 {
            return EVERYTHING;
        }
        let exec = self.mode == Mode::Pml2 || raw & 0x8000_0000_0000_0000 == 0;
        Passed { write: raw & 2 != 0, user: raw & 4 != 0, exec }
    }

    /// The memory type that an entry selects: out of the PAT, or by PCD and PWT alone on a CPU without one.
    fn memory_type(&self, [pwt, pcd, pat]: [bool; 3]) -> Cache {
        let pat = pat && self.pat;
        let number = u32::from(pwt) | u32::from(pcd) << 1 | u32::from(pat) << 2;
        match PAT_MSR >> (8 * number) & 7 {
            6 => Cache::WriteBack,
            4 => Cache::WriteThrough,
            1 => Cache::WriteCombining,
            _ => Cache::Uncached,
        }
    }

    /// The entry at `level` for `va` in the table at physical address `table`.
    pub fn entry(&self, memory: &Arena, table: u64, level: u8, va: u64, above: Passed) -> Entry {
        let bytes = self.mode.entry_bytes();
        let at = table + self.mode.index(va, level) * bytes;
        let raw = memory.read(at, bytes as usize);
        self.meet(level, at, raw, above)
    }

    /// The entry with the word `raw`, wherever it was read.
    pub fn meet(&self, level: u8, at: u64, raw: u64, above: Passed) -> Entry {
        let own = self.lets_through(raw, level);
        let passed =
            Passed { write: above.write && own.write, user: above.user && own.user, exec: above.exec && own.exec };
        Entry { level, at, raw, passed, word: self.read_word(raw, level) }
    }

    /// The translation that the leaf `entry` gives for `va`.
    pub fn leaf(&self, entry: &Entry, va: u64) -> Leaf {
        let Word::Page(phys, bytes, kind) = entry.word else { panic!("not a leaf: {entry:?}") };
        Leaf {
            start: va & !(bytes - 1),
            bytes,
            phys,
            passed: entry.passed,
            global: self.pge && entry.raw & 0x100 != 0,
            cache: self.memory_type(kind),
        }
    }

    /// Goes on from the table at `level` at physical address `table`, telling of every entry on the way.
    pub fn walk(
        &self,
        memory: &Arena,
        (mut table, level): (u64, u8),
        va: u64,
        above: Passed,
        each: &mut dyn FnMut(&Entry),
    ) -> Result<Leaf, Stop> {
        let mut passed = above;
        for level in (1..=level).rev() {
            let entry = self.entry(memory, table, level, va, passed);
            each(&entry);
            passed = entry.passed;
            match entry.word {
                Word::Absent => return Err(Stop::Absent),
                Word::Reserved => return Err(Stop::Reserved),
                Word::Page(..) => return Ok(self.leaf(&entry, va)),
                Word::Table(next) => table = next,
            }
        }
        unreachable!("level 1 holds only pages")
    }

    /// What the CPU does about an access to `va` through tables whose root is at `cr3` (SDM vol. 3A, 4.6 and 4.7).
    pub fn translate(&self, memory: &Arena, cr3: u64, va: u64, access: Access) -> Result<(u64, Leaf), Fault> {
        if !self.mode.is_canonical(va) {
            return Err(Fault::NotCanonical);
        }
        let found = self.walk(memory, (cr3, self.mode.levels()), va, EVERYTHING, &mut |_| {});
        self.verdict(found, va, access)
    }

    /// What the CPU makes of a walk's end.
    pub fn verdict(&self, found: Result<Leaf, Stop>, va: u64, access: Access) -> Result<(u64, Leaf), Fault> {
        let mut code = u32::from(access.write) << 1 | u32::from(access.user) << 2;
        if access.fetch && (self.nxe && self.mode != Mode::Pml2 || self.smep) {
            code |= 16;
        }
        let leaf = match found {
            Err(Stop::Absent) => return Err(Fault::Page(code)),
            Err(Stop::Reserved) => return Err(Fault::Page(code | 9)),
            Ok(leaf) => leaf,
        };
        if self.permits(&leaf.passed, access) {
            Ok((leaf.phys + (va & (leaf.bytes - 1)), leaf))
        } else {
            Err(Fault::Page(code | 1))
        }
    }

    /// Access rights, paragraph by paragraph (SDM vol. 3A, 4.6.1). A user-mode address is one to which every level gives
    /// the user bit.
    fn permits(&self, passed: &Passed, access: Access) -> bool {
        let executable = !self.nxe || self.mode == Mode::Pml2 || passed.exec;
        match (access.user, passed.user) {
            (true, false) => false,
            (true, true) => (!access.write || passed.write) && (!access.fetch || executable),
            (false, _) if access.fetch => executable && !(passed.user && self.smep),
            // Data of a user page: with SMAP only where AC says so.
            (false, true) if self.smap && !self.ac => false,
            (false, _) => !access.write || passed.write || !self.wp,
        }
    }
}

impl Leaf {
    /// The frame that maps the 4 KiB page of `va`.
    pub fn frame(&self, va: u64) -> u64 {
        (self.phys + (va & (self.bytes - 1))) >> 12
    }

    /// What it permits, in the crate's words.
    pub fn rights(&self) -> Rights {
        let mut rights = Rights::empty();
        rights.set(Rights::WRITE, self.passed.write);
        rights.set(Rights::USER, self.passed.user);
        rights.set(Rights::EXEC, self.passed.exec);
        rights.set(Rights::GLOBAL, self.global);
        rights
    }
}
