//! Where the kernel itself lies: what the linker script says, as numbers.

use core::ops::Range;

use mm::{FrameRun, PageFlags, PageRange, PhysAddr, Section, VirtAddr};

/// Addresses that the linker (or the stub, for the stack) made up. Only the addresses mean anything.
mod symbols {
    unsafe extern "C" {
        pub static __image_phys_start: u8;
        pub static __image_phys_end: u8;
        pub static __text_start: u8;
        pub static __text_end: u8;
        pub static __rodata_start: u8;
        pub static __rodata_end: u8;
        pub static __data_start: u8;
        pub static __data_end: u8;
        pub static boot_stack_guard: u8;
        pub static boot_stack_bottom: u8;
        pub static boot_stack_top: u8;
    }
}

/// The address that a symbol stands for.
macro_rules! address {
    ($name:ident) => {
        (&raw const symbols::$name).addr() as u64
    };
}

/// The bytes from one symbol to another.
macro_rules! pages {
    ($start:ident, $end:ident) => {
        PageRange::covering(VirtAddr(address!($start)), VirtAddr(address!($end)))
    };
}

/// Text, constants and data, each with the rights it needs. The stub is in none of them: it is over.
pub fn sections() -> [Section; 3] {
    let section = |name, pages: PageRange, flags| {
        let first = PhysAddr(pages.start.0 - arch::KERNEL_OFFSET).frame();
        Section { name, pages, first, flags }
    };
    [
        section("text", pages!(__text_start, __text_end), PageFlags::TEXT),
        section("rodata", pages!(__rodata_start, __rodata_end), PageFlags::RODATA),
        section("data", pages!(__data_start, __data_end), PageFlags::DATA),
    ]
}

/// The frames that the image was loaded into, stub and uninitialised data included.
pub fn frames() -> FrameRun {
    FrameRun::between(PhysAddr(address!(__image_phys_start)).frame(), PhysAddr(address!(__image_phys_end)).frame())
}

/// The image's data, uninitialised data and stacks included, as addresses.
pub fn data() -> Range<usize> {
    address!(__data_start) as usize..address!(__data_end) as usize
}

/// The stack that the stub set up.
pub fn stack() -> PageRange {
    pages!(boot_stack_bottom, boot_stack_top)
}

/// The page below that stack, which belongs to nobody: to be left unmapped.
pub fn stack_guard() -> PageRange {
    pages!(boot_stack_guard, boot_stack_bottom)
}
