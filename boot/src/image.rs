//! The kernel's own image: where the linker put its parts, and where the loader put them.

use core::ops::Range;

use arch::KERNEL_OFFSET;
use mm::{PageFlags, PageRange, PhysAddr, Section, VirtAddr};
use spin::Once;

// Set by image.ld; only their addresses mean anything.
unsafe extern "C" {
    static __image_phys_start: u8;
    static __image_phys_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
}

/// The physical memory that the image takes, the stub included.
pub fn physical() -> Range<PhysAddr> {
    let at = |symbol: *const u8| PhysAddr(symbol as u64);
    at(&raw const __image_phys_start)..at(&raw const __image_phys_end)
}

/// The addresses of everything that is written, stacks included.
pub fn data() -> Range<usize> {
    (&raw const __data_start) as usize..(&raw const __data_end) as usize
}

/// The sections, with the rights that each needs.
pub fn sections() -> &'static [Section] {
    static SECTIONS: Once<[Section; 3]> = Once::new();
    SECTIONS.call_once(|| {
        [
            section("text", &raw const __text_start, &raw const __text_end, PageFlags::TEXT),
            section("rodata", &raw const __rodata_start, &raw const __rodata_end, PageFlags::RODATA),
            section("data", &raw const __data_start, &raw const __data_end, PageFlags::DATA),
        ]
    })
}

fn section(name: &'static str, start: *const u8, end: *const u8, flags: PageFlags) -> Section {
    let (start, end) = (VirtAddr(start as u64), VirtAddr(end as u64));
    let first = PhysAddr(start.0 - KERNEL_OFFSET).frame();
    Section { name, pages: PageRange::covering(start, end), first, flags }
}
