//! The graphics card of QEMU and Bochs, as far as is needed for a screen that GRUB does not set up.

use core::arch::asm;

/// The ports of its index and its data (Bochs VBE display interface).
const INDEX: u16 = 0x1CE;
const DATA: u16 = 0x1CF;

/// The ports of the palette (VGA): the first colour that is written, and the colours, six bits each.
const PALETTE: u16 = 0x3C8;
const COLORS: u16 = 0x3C9;

/// Sets a mode of `width` by `height` pixels of 8 bits, which are indices of `colors`: red, green and blue, 8 bits each.
pub fn show_indices(width: u16, height: u16, colors: &[u8]) {
    // Off; the sides; 8 bits a pixel; on, and linear. Then every colour from the first.
    for (register, value) in [(4, 0), (1, width), (2, height), (3, 8), (4, 0x41)] {
        word(INDEX, register);
        word(DATA, value);
    }
    byte(PALETTE, 0);
    colors.iter().for_each(|value| byte(COLORS, value >> 2));
}

fn word(port: u16, value: u16) {
    // SAFETY: ports of the card, which nobody else uses while this loader runs.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags)) };
}

fn byte(port: u16, value: u8) {
    // SAFETY: as above.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}
