//! The four modes. Adding one is adding a file like this: three numbers, an entry type, its assertions.

use crate::entry::{Halves, Wide};
use crate::{Format, Layout, PagingInfo};

/// i686, two levels of 4-byte entries: 32-bit virtual and physical addresses (SDM vol. 3A, 4.3).
pub struct Pml2;

/// i686 with PAE, three levels of 8-byte entries: 32-bit virtual addresses (SDM vol. 3A, 4.4).
pub struct Pml3;

/// amd64, four levels: 48-bit virtual addresses (SDM vol. 3A, 4.5).
pub struct Pml4;

/// amd64 with LA57, five levels: 57-bit virtual addresses (SDM vol. 3A, 4.5).
pub struct Pml5;

impl Format for Pml2 {
    type Entry = u32;
    const INFO: PagingInfo = PagingInfo {
        name: "pml2",
        levels: 2,
        entry_bytes: 4,
        va_bits: 32,
        phys_bits: 32,
        top_leaf: 2,
        no_execute: false,
        root_is_registers: false,
        self_map_slot: 1023,
    };
}

impl Format for Pml3 {
    type Entry = Halves;
    const INFO: PagingInfo = PagingInfo {
        name: "pml3",
        levels: 3,
        entry_bytes: 8,
        va_bits: 32,
        phys_bits: 52,
        top_leaf: 2,
        no_execute: true,
        root_is_registers: true,
        self_map_slot: 511,
    };
}

impl Format for Pml4 {
    type Entry = Wide;
    const INFO: PagingInfo = PagingInfo {
        name: "pml4",
        levels: 4,
        entry_bytes: 8,
        va_bits: 48,
        phys_bits: 52,
        top_leaf: 3,
        no_execute: true,
        root_is_registers: false,
        self_map_slot: 0x1ED,
    };
}

impl Format for Pml5 {
    type Entry = Wide;
    const INFO: PagingInfo = PagingInfo { name: "pml5", levels: 5, va_bits: 57, ..Pml4::INFO };
}

const fn sound<F: Format>() -> bool {
    size_of::<F::Entry>() == F::INFO.entry_bytes as usize
        && align_of::<F::Entry>() == F::INFO.entry_bytes as usize
        && F::INFO.is_sound()
        && Layout::of(&F::INFO).is_sound(&F::INFO)
}

const _: () = assert!(sound::<Pml2>() && sound::<Pml3>() && sound::<Pml4>() && sound::<Pml5>());

const _: () = {
    let (two, three, four, five) = (Pml2::INFO, Pml3::INFO, Pml4::INFO, Pml5::INFO);
    assert!(two.entries(2) == 1024 && two.entries(1) == 1024 && two.shift(2) == 22);
    assert!(three.entries(3) == 4 && three.entries(2) == 512 && three.shift(3) == 30);
    assert!(four.entries(4) == 512 && four.shift(4) == 39 && four.shift(3) == 30);
    assert!(five.entries(5) == 512 && five.shift(5) == 48);
    assert!(two.self_map_base().0 == 0xFFC0_0000 && two.entry_base(2).0 == 0xFFFF_F000);
    assert!(three.self_map_base().0 == 0xFF80_0000 && three.entry_base(2).0 == 0xFFFF_C000);
    assert!(three.entry_base(3).0 == 0xFFFF_FFE0);
    assert!(four.self_map_base().0 == 0xFFFF_F680_0000_0000 && four.entry_base(2).0 == 0xFFFF_F6FB_4000_0000);
    assert!(four.entry_base(3).0 == 0xFFFF_F6FB_7DA0_0000 && four.entry_base(4).0 == 0xFFFF_F6FB_7DBE_D000);
    assert!(five.self_map_base().0 == 0xFFED_0000_0000_0000);
    assert!(four.kernel_half().0 == 0xFFFF_8000_0000_0000 && five.kernel_half().0 == 0xFF00_0000_0000_0000);
    assert!(Layout::of(&four).dynamic.start.0 == 0xFFFF_FF00_0000_0000);
    assert!(Layout::of(&four).image.start.0 == 0xFFFF_FFFF_8000_0000);
    assert!(Layout::of(&three).dynamic.last_byte().0 == three.self_map_base().0 - 1);
};
