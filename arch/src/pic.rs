//! The two 8259 interrupt controllers: moved out of the exceptions' way, and silent but for the lines that are asked for.

use x86::io::{inb, outb};

use crate::{interrupts, vectors};

/// The first controller's command port and its data port.
const FIRST: (u16, u16) = (0x20, 0x21);

/// The second controller's, which hangs on line 2 of the first.
const SECOND: (u16, u16) = (0xA0, 0xA1);

/// That line.
const CASCADE: u8 = 2;

/// The vectors of lines 0 and 8. The firmware of a PC leaves lines 0 to 7 on vectors 8 to 15, which are exceptions.
const FIRST_VECTOR: u8 = vectors::PICS;
const SECOND_VECTOR: u8 = FIRST_VECTOR + 8;

/// The command that tells a controller that its interrupt was handled, and the one that shows which are being handled.
const END: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0B;

/// Moves lines 0 to 15 to vectors 32 to 47 and masks them all. A machine without the controllers does not mind.
pub fn mask_all() {
    // The four words of initialisation: edge-triggered and cascaded; vector; how the two are wired; 8086 mode.
    let words = [(0x11, 0x11), (FIRST_VECTOR, SECOND_VECTOR), (1 << CASCADE, CASCADE), (1, 1)];
    for (n, (first, second)) in words.into_iter().enumerate() {
        write(if n == 0 { FIRST.0 } else { FIRST.1 }, first);
        write(if n == 0 { SECOND.0 } else { SECOND.1 }, second);
    }
    write(FIRST.1, 0xFF);
    write(SECOND.1, 0xFF);
}

/// Lets interrupts of `line` (0 to 15) through.
pub fn unmask(line: u8) {
    let allow = |port: u16, line: u8| {
        // SAFETY: reading the mask has no effect.
        let mask = unsafe { inb(port) };
        write(port, mask & !(1 << line));
    };
    interrupts::without(|| match line {
        0..8 => allow(FIRST.1, line),
        8..16 => {
            allow(SECOND.1, line - 8);
            allow(FIRST.1, CASCADE);
        }
        _ => {}
    });
}

/// Acknowledges the interrupt of `line` (0 to 15). A masked controller can still raise line 7 or 15, when a signal
/// goes away before it is looked at: such an interrupt is not in service, and the controller wants no answer to it.
pub fn acknowledge(line: u8) {
    let controller = if line < 8 { FIRST } else { SECOND };
    write(controller.0, READ_IN_SERVICE);
    // SAFETY: after the command above the port shows the lines in service; reading it has no effect.
    let real = unsafe { inb(controller.0) } & 1 << (line % 8) != 0;
    if real {
        write(controller.0, END);
    }
    if line >= 8 {
        // The first controller saw its line 2 rise in either case.
        write(FIRST.0, END);
    }
}

/// Writes a port of a controller, and gives an old one the microsecond that it needs.
fn write(port: u16, value: u8) {
    // SAFETY: the ports are the controllers'; masking and moving interrupts does not touch memory, and every vector
    // has a gate. Port 0x80 takes the firmware's progress codes.
    unsafe {
        outb(port, value);
        outb(0x80, 0);
    }
}
