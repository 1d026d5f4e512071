//! The plan of the 256 vectors: who interrupts by which.
//!
//! | vectors | whose they are | ends with |
//! |---|---|---|
//! | 0 to 31 | exceptions | nothing |
//! | 32 to 47 | lines 0 to 15 of the ISA bus, by way of the 8259s | a command to the 8259s |
//! | 48 to 63 | lines 0 to 15 of the ISA bus, by way of I/O APICs | a write to the local APIC |
//! | 0xEF | the local APIC's timer | a write to the local APIC |
//! | 0xF0 | requests of other CPUs | a write to the local APIC |
//! | 0xFF | the local APIC, which has nothing any more to interrupt for | nothing |
//!
//! A line has one vector by each way, so the vector alone says which controller waits for the end of the interrupt, also where an
//! interrupt was on its way while the lines went from the one to the other. The local APIC lets those with a higher upper digit
//! through first (SDM vol. 3A, 11.8.3): requests, for which other CPUs wait, then the timer, then devices.

/// The vectors that the architecture has kept for exceptions end here.
pub const EXCEPTIONS: u8 = 32;

/// Line 0 by way of the 8259s, and by way of an I/O APIC.
pub const PICS: u8 = 32;
pub const IO_APICS: u8 = PICS + LINES;

/// The timer of the local APIC.
pub const TIMER: u8 = 0xEF;

/// A request of another CPU.
pub const REQUEST: u8 = 0xF0;

/// What the local APIC raises when the interrupt that it meant to raise has gone away. Older ones have the lower four bits set
/// whatever is written (SDM vol. 3A, 11.9).
pub const SPURIOUS: u8 = 0xFF;

/// How many lines the ISA bus has.
pub const LINES: u8 = 16;

/// The way that an interrupt has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It is an exception.
    Exception,
    /// This line, by way of the 8259s.
    Pics(u8),
    /// This line, by way of an I/O APIC.
    IoApic(u8),
    /// The local APIC itself, or another CPU.
    Local,
}

/// The way that the interrupt `vector` has come.
pub const fn way(vector: u8) -> Way {
    match vector {
        ..EXCEPTIONS => Way::Exception,
        PICS..IO_APICS => Way::Pics(vector - PICS),
        IO_APICS..IO_APICS_END => Way::IoApic(vector - IO_APICS),
        _ => Way::Local,
    }
}

const IO_APICS_END: u8 = IO_APICS + LINES;
