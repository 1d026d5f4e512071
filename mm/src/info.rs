//! The shape of a paging mode, and the arithmetic on it.
//!
//! Three numbers make a shape: how many levels, how many bytes an entry, how many bits a virtual
//! address. All else follows, and is asserted at the end of this file.

use crate::{MapError, PAGE_SHIFT, PageRange, VirtAddr};

/// 1 = the table whose entries map 4 KiB, counted upwards as the manuals do.
pub type Level = u8;

/// The constants of one paging mode. It serves the walker at compile time and the kernel at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagingInfo {
    /// `pml2`, `pml3`, `pml4` or `pml5`.
    pub name: &'static str,
    /// How many levels the tables have.
    pub levels: Level,
    /// Bytes in an entry, 4 or 8.
    pub entry_bytes: u32,
    /// Bits of a virtual address that are translated, page offset included.
    pub va_bits: u32,
    /// Bits of a physical address that an entry can hold. The CPU may have fewer: see [`Limits`](crate::Limits).
    pub phys_bits: u32,
    /// The highest level at which an entry can be a leaf.
    pub top_leaf: Level,
    /// Whether entries have an NX bit.
    pub no_execute: bool,
    /// Whether the CPU copies the root's entries into registers when CR3 is loaded, and reserves their
    /// rights bits: PAE's page-directory-pointer table (SDM vol. 3A, 4.4.1).
    pub root_is_registers: bool,
    /// Where the self-map lies, counted from address 0 in units of its own span.
    pub self_map_slot: u64,
}

impl PagingInfo {
    /// Bits of a virtual address that index one table: 10 or 9.
    pub const fn index_bits(&self) -> u32 {
        PAGE_SHIFT - self.entry_bytes.trailing_zeros()
    }

    /// log2 of the bytes that one entry of a table at `level` covers.
    pub const fn shift(&self, level: Level) -> u32 {
        PAGE_SHIFT + (level as u32 - 1) * self.index_bits()
    }

    /// How many 4 KiB pages one entry of a table at `level` covers.
    pub const fn pages(&self, level: Level) -> u64 {
        1 << (self.shift(level) - PAGE_SHIFT)
    }

    /// Entries in a table at `level`. PAE's four-entry root is no special case: 32 - 30 bits are left for it.
    pub const fn entries(&self, level: Level) -> usize {
        if level == self.levels { 1 << (self.va_bits - self.shift(level)) } else { 1 << self.index_bits() }
    }

    /// The index of the entry for `va` in its table at `level`.
    pub const fn index(&self, va: VirtAddr, level: Level) -> usize {
        (self.masked(va) >> self.shift(level)) as usize & (self.entries(level) - 1)
    }

    /// Only the bits of `va` that are translated.
    pub const fn masked(&self, va: VirtAddr) -> u64 {
        va.0 & self.va_mask()
    }

    const fn va_mask(&self) -> u64 {
        u64::MAX >> (64 - self.va_bits)
    }

    /// The address whose translated bits are those of `bits`: sign-extended on amd64, as it is on i686.
    pub const fn canonicalise(&self, bits: u64) -> VirtAddr {
        if self.va_bits == 32 {
            return VirtAddr(bits & self.va_mask());
        }
        let unused = 64 - self.va_bits;
        VirtAddr(((bits << unused) as i64 >> unused) as u64)
    }

    /// Whether `va` is an address that this mode can translate.
    pub const fn is_canonical(&self, va: VirtAddr) -> bool {
        self.canonicalise(va.0).0 == va.0
    }

    /// How many 4 KiB pages the address space has, both halves together.
    pub const fn page_count(&self) -> u64 {
        1 << (self.va_bits - PAGE_SHIFT)
    }

    /// The number of the page that holds `va`, counted without the canonical hole.
    pub const fn page_number(&self, va: VirtAddr) -> u64 {
        self.masked(va) >> PAGE_SHIFT
    }

    /// The first byte of page `number`.
    pub const fn page_address(&self, number: u64) -> VirtAddr {
        self.canonicalise(number << PAGE_SHIFT)
    }

    /// The first address of the kernel half: 0xC0000000 on i686, the upper half on amd64.
    pub const fn kernel_half(&self) -> VirtAddr {
        if self.va_bits == 32 { VirtAddr(0xC000_0000) } else { self.canonicalise(1 << (self.va_bits - 1)) }
    }

    /// The address after the user half.
    pub(crate) const fn user_end(&self) -> u64 {
        self.masked(self.kernel_half())
    }

    /// Says what is wrong with a range, if anything: empty, misaligned, wrapping, not canonical, in both
    /// halves, or in the self-map.
    ///
    /// # Errors
    /// Each of the conditions named, by its own [`MapError`].
    pub const fn check(&self, range: PageRange) -> Result<(), MapError> {
        if range.pages == 0 {
            return Err(MapError::Empty);
        }
        if !range.start.is_page_aligned() {
            return Err(MapError::Misaligned);
        }
        if !self.is_canonical(range.start) {
            return Err(MapError::NotCanonical);
        }
        // Counted with the canonical hole: a range is consecutive bytes, wherever they are.
        let address_bits = if self.va_bits == 32 { 32 } else { 64 };
        if range.pages > (1 << (address_bits - PAGE_SHIFT)) - (range.start.0 >> PAGE_SHIFT) {
            return Err(MapError::Wraps);
        }
        let last = range.last_byte();
        if !self.is_canonical(last) {
            return Err(MapError::NotCanonical);
        }
        if range.start.0 < self.kernel_half().0 && last.0 >= self.kernel_half().0 {
            return Err(MapError::CrossesHole);
        }
        let first = self.page_number(range.start);
        let own = self.page_number(self.self_map_base());
        if first < own + self.self_map_pages() && own < first + range.pages {
            return Err(MapError::SelfMap);
        }
        Ok(())
    }
}

/// The self-map: the live tables seen as one array of entries, through the recursive slot.
impl PagingInfo {
    /// Bytes of virtual memory that the self-map takes: one entry for each page of the address space.
    pub const fn self_map_span(&self) -> u64 {
        self.page_count() * self.entry_bytes as u64
    }

    /// The same in 4 KiB pages.
    pub const fn self_map_pages(&self) -> u64 {
        self.self_map_span() >> PAGE_SHIFT
    }

    /// The address of the first level-1 entry.
    pub const fn self_map_base(&self) -> VirtAddr {
        self.canonicalise(self.self_map_slot * self.self_map_span())
    }

    /// Whether `va` lies in the self-map.
    pub const fn in_self_map(&self, va: VirtAddr) -> bool {
        self.masked(va).wrapping_sub(self.masked(self.self_map_base())) < self.self_map_span()
    }

    /// The address of the first entry of `level`: where the self-map shows the entries that map the
    /// entries of the level below. The lower bases derive from the upper by the same arithmetic.
    pub const fn entry_base(&self, level: Level) -> VirtAddr {
        let mut base = self.self_map_base();
        let mut at = 1;
        while at < level {
            base = self.entry_address(base, 1);
            at += 1;
        }
        base
    }

    /// The virtual address of the entry at `level` on the way to `va`.
    ///
    /// In pml3 the entries of level 3 are registers to the CPU; what is found at their address is the
    /// directory entry of the self-map that names the same directory, rights bits included.
    pub const fn entry_address(&self, va: VirtAddr, level: Level) -> VirtAddr {
        let base = if level == 1 { self.self_map_base() } else { self.entry_base(level) };
        let number = self.masked(va) >> self.shift(level);
        self.canonicalise(self.masked(base) + number * self.entry_bytes as u64)
    }

    /// Holds for every shape that the walker can walk; asserted for each format at compile time.
    pub(crate) const fn is_sound(&self) -> bool {
        let base = self.self_map_base();
        let span = self.self_map_span();
        // The base is aligned to its own span, the span does not pass the end of the address space, and
        // the highest entry base still lies inside.
        self.masked(base).is_multiple_of(span)
            && self.masked(base) + (span - 1) <= self.va_mask()
            && self.is_canonical(base)
            && self.in_self_map(self.entry_base(self.levels))
            && self.page_number(base) >= self.page_number(self.kernel_half())
            && self.shift(self.levels) < self.va_bits
            && self.va_bits <= self.shift(self.levels) + self.index_bits()
            && self.top_leaf < self.levels + (self.levels == 2) as u8
            && self.phys_bits <= 52
    }
}
