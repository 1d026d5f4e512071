//! Before Rust: the multiboot2 header and the code that runs without paging, at its physical address.
//!
//! It does as little as it can. What the loader said is copied to where nothing will overwrite it, static tables for
//! the base mode are filled, paging goes on, and [`boot_main`](crate::boot_main) is called in the high half, on a
//! stack of 128 KiB. A machine that cannot be started is told why on COM1, and on the VGA text screen or by a coloured block
//! in the framebuffer.
//!
//! The first tables map, at identity and where the aperture will be, 64 MiB on i686 and 4 GiB on x86_64.

use core::arch::global_asm;

/// Bytes of the boot information's copy. GRUB's is a few KiB; a memory map of a thousand entries takes 24.
pub const INFO_ROOM: usize = 128 * 1024;

#[cfg(target_arch = "x86")]
global_asm!(
    include_str!("stub/header.s"),
    include_str!("stub/handover.s"),
    include_str!("stub/refuse.s"),
    include_str!("stub/i686.s"),
    INFO_ROOM = const INFO_ROOM,
    SPARE = const crate::early::TABLES,
    KERNEL_OFFSET = const arch::KERNEL_OFFSET,
);

#[cfg(target_arch = "x86_64")]
global_asm!(
    include_str!("stub/header.s"),
    include_str!("stub/handover.s"),
    include_str!("stub/refuse.s"),
    include_str!("stub/x86_64.s"),
    INFO_ROOM = const INFO_ROOM,
    KERNEL_OFFSET = const arch::KERNEL_OFFSET,
);
