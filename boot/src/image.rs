//! Where the kernel itself lies: what the linker script says, as numbers.

use core::ops::Range;

use mm::{FrameRun, PageFlags, PageRange, PhysAddr, Section, VirtAddr};

/// How many sections there are.
pub const SECTIONS: usize = 5;

/// Set by image.ld, and by the stub for its stack; only their addresses mean anything.
mod symbol {
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

macro_rules! address {
    ($name:ident) => {
        (&raw const symbol::$name).addr() as u64
    };
}

macro_rules! pages {
    ($start:ident, $end:ident) => {
        PageRange::covering(VirtAddr(address!($start)), VirtAddr(address!($end)))
    };
}

/// The frames that the image was loaded into, the stub included.
pub fn frames() -> FrameRun {
    FrameRun::between(PhysAddr(address!(__image_phys_start)).frame(), PhysAddr(address!(__image_phys_end)).frame())
}

/// The addresses of the kernel's code.
pub fn text() -> Range<usize> {
    address!(__text_start) as usize..address!(__text_end) as usize
}

/// The addresses of everything that is written, stacks included.
pub fn data() -> Range<usize> {
    address!(__data_start) as usize..address!(__data_end) as usize
}

/// The addresses of the stack that the stub has set up.
pub fn stack() -> Range<usize> {
    address!(boot_stack_bottom) as usize..address!(boot_stack_top) as usize
}

/// The page below the kernel's stack, which is not mapped.
pub fn stack_guard() -> PageRange {
    pages!(boot_stack_guard, boot_stack_bottom)
}

/// Text, constants and data, with the rights that each needs, and the guard page below the stack, which has none. The
/// stub is not among them: it is over.
pub fn sections() -> [Section; SECTIONS] {
    [
        section("text", pages!(__text_start, __text_end), Some(PageFlags::TEXT)),
        section("rodata", pages!(__rodata_start, __rodata_end), Some(PageFlags::RODATA)),
        section("data", pages!(__data_start, boot_stack_guard), Some(PageFlags::DATA)),
        section("guard", stack_guard(), None),
        section("data", pages!(boot_stack_bottom, __data_end), Some(PageFlags::DATA)),
    ]
}

fn section(name: &'static str, pages: PageRange, flags: Option<PageFlags>) -> Section {
    Section { name, pages, first: PhysAddr(pages.start.0 - arch::KERNEL_OFFSET).frame(), flags }
}
