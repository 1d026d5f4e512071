//! Words on COM1, which GRUB has set up.

use core::arch::asm;
use core::fmt;

const PORT: u16 = 0x3F8;

/// The port.
pub struct Com1;

impl fmt::Write for Com1 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // The transmitter takes a byte once bit 5 of the line status register is set.
            let mut status = 0u8;
            while status & 1 << 5 == 0 {
                // SAFETY: reading the status has no effect on memory.
                unsafe { asm!("in al, dx", in("dx") PORT + 5, out("al") status, options(nomem, nostack)) };
            }
            // SAFETY: writing a byte has none either.
            unsafe { asm!("out dx, al", in("dx") PORT, in("al") byte, options(nomem, nostack)) };
        }
        Ok(())
    }
}
