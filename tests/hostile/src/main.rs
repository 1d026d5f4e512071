//! A tiny loader that hands the kernel boot information as no loader should write it.
//!
//! GRUB loads this with the kernel's file as a module: `multiboot2 /boot/hostile.elf CASE [OPTION...]`. It keeps what GRUB
//! said of memory, loads the kernel by its program headers as GRUB would, builds a block of boot information that is spoilt
//! as the CASE says (see `cases`), and jumps to the kernel with it. What comes of it is checked in `tests/boot`.
#![no_std]
#![no_main]

mod acpi;
mod block;
mod card;
mod cases;
mod com1;
mod control;
mod elf;
mod given;

use core::arch::global_asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use com1::Com1;
use given::Given;

/// What a multiboot2 loader leaves in eax (Multiboot2 Specification 2.0, 3.3).
pub const MAGIC: u32 = 0x36D7_6289;

global_asm!(
    // The header (3.1.1): its length is 48 bytes, and all of it sums up to 0. Its tags: a screen of any kind may be handed
    // over, and the end.
    ".section .header, \"a\", @progbits",
    ".balign 8",
    ".long 0xE85250D6, 0, 48, 0x100000000 - (0xE85250D6 + 48)",
    ".short 5, 1",
    ".long 20, 0, 0, 0, 0",
    ".short 0, 0",
    ".long 8",
    ".section .text.start, \"ax\", @progbits",
    ".globl start",
    "start:",
    "cli",
    "cld",
    "mov esp, offset stack + 0x10000",
    "push ebx",
    "push eax",
    "call main",
    ".globl handover",
    "handover:",
    "mov eax, [esp + 4]",
    "mov ebx, [esp + 8]",
    "mov ecx, [esp + 12]",
    "jmp ecx",
    ".section .bss.stack, \"aw\", @nobits",
    ".balign 16",
    "stack: .skip 0x10000",
);

unsafe extern "C" {
    /// Jumps to `entry` with `magic` in eax and `info` in ebx, as a loader does.
    fn handover(magic: u32, info: *const u8, entry: u32) -> !;
}

/// Where GRUB leads to.
///
/// # Safety
/// Called once, with what GRUB left in eax and ebx.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(magic: u32, info: *const u8) -> ! {
    if magic != MAGIC {
        give_up(format_args!("not started by GRUB's command multiboot2"));
    }
    // SAFETY: the information is GRUB's own, and nothing has been written over it yet.
    let Some(given) = (unsafe { Given::read(info) }) else {
        give_up(format_args!("GRUB gave no command line, no memory map or no module"));
    };
    let (case, _) = given.words();
    let Some(&(_, build)) = cases::CASES.iter().find(|(name, _)| *name == case) else {
        give_up(format_args!("there is no case '{case}'"));
    };
    let _ = writeln!(Com1, "hostile: {case}");
    let block = block::empty();
    let magic = build(block, given);
    // SAFETY: all that GRUB left behind has been copied, and this image lies above what the kernel takes.
    match unsafe { elf::load(given.kernel) } {
        // SAFETY: the kernel lies where it wants to lie, and never comes back.
        Some(entry) => unsafe { handover(magic, block.start(), entry) },
        None => give_up(format_args!("the module is no kernel")),
    }
}

fn give_up(why: core::fmt::Arguments) -> ! {
    let _ = writeln!(Com1, "hostile: {why}");
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    give_up(format_args!("{info}"))
}
