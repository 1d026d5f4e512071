//! Finds out whether a 16550 answers at a port, and sets it up, whatever is typed meanwhile.
//!
//! [`uart_16550`] drives the chip. Its own loopback test is not used: an emulator goes on receiving in loopback, so the test reads
//! a byte that was typed in place of the byte that it sent, and reports that there is no chip. Registers decide instead. Of
//! these nothing that is typed, no modem line and no interrupt changes any:
//!
//! 1. the scratch register keeps what is written to it;
//! 2. in loopback the modem status shows the four bits of the modem control register, in another order
//!    (TL16C550D data sheet, 7.5), as no bus does on which the last value floats.
//!
//! Some emulators leave the second out. For them bytes are sent in loopback, and looked for among all that is received.
//!
//! What is typed during the set-up is [kept](Typed), except what a real chip receives in loopback: it is deaf then, for some
//! microseconds.
#![cfg_attr(not(test), no_std)]

mod port;
#[cfg(test)]
mod tests;

use core::fmt;

pub use port::{Port, Typed};

use port::{LSR_READY, LSR_ROOM};
use uart_16550::backend::Backend;
use uart_16550::spec::registers::{MCR, offsets};
use uart_16550::{Config, InitError, Uart16550};

/// Registers, by their distance from the first.
const DATA: u8 = offsets::DATA as u8;
const MODEM_CONTROL: u8 = offsets::MCR as u8;
const LINE_STATUS: u8 = offsets::LSR as u8;
const MODEM_STATUS: u8 = offsets::MSR as u8;

/// Bits of the modem control register that are always 0 in a 16550, and where the status shows the lines.
const NO_CONTROL: u8 = 0xE0;
const LINES: u8 = 0xF0;

/// What the modem control register is set to in loopback, and what the status of the lines is then: RTS is seen as CTS, DTR as DSR,
/// OUT1 as RI, and OUT2 as DCD.
const LOOPED_LINES: [(MCR, u8); 4] = [
    (MCR::RTS.union(MCR::OUT_2_INT_ENABLE), 0x90),
    (MCR::DTR.union(MCR::OUT_1), 0x60),
    (MCR::empty(), 0x00),
    (MCR::DTR.union(MCR::RTS), 0x30),
];

/// The bytes that are sent in loopback. Two, because one of them may be what is typed all the time.
const LOOPED_BYTES: [u8; 2] = [0xA5, 0x5A];

/// How often each of the two tests is made before it counts as failed.
const TRIES: u32 = 4;

/// How often the line status is read for one byte that was sent in loopback. It takes 87 microseconds at 115200 baud, a read
/// about one.
const LOOKS: u32 = 4096;

/// A chip that was found and set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chip {
    /// It has FIFOs of 16 bytes.
    pub fifos: bool,
    /// What was seen to loop back.
    pub loops: Loops,
    /// There was room for a byte to send at the end. If not, it may be stuck.
    pub room: bool,
}

/// What was seen to loop back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loops {
    /// The modem lines.
    ModemLines,
    /// Bytes, and not the modem lines.
    Bytes,
}

/// Why there is no chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// The scratch register does not keep what is written to it.
    Scratch,
    /// Neither the modem lines nor bytes loop back. The last modem status in loopback, and the line status.
    Loopback {
        /// The modem status.
        modem: u8,
        /// The line status.
        line: u8,
    },
    /// The driver refuses the configuration: there is no divisor for the baud rate.
    Refused,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let fifos = if self.fifos { "with" } else { "without" };
        let loops = match self.loops {
            Loops::ModemLines => "modem lines loop",
            Loops::Bytes => "bytes loop, though its modem lines do not",
        };
        write!(f, "a 16550 {fifos} FIFOs: the scratch register keeps its value, {loops} back")?;
        if self.room { Ok(()) } else { f.write_str("; it takes no bytes yet") }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Absent::Scratch => f.write_str("the scratch register does not keep its value"),
            Absent::Loopback { modem, line } => {
                write!(f, "neither modem lines nor bytes loop back; modem status {modem:#04x}, line status {line:#04x}")
            }
            Absent::Refused => f.write_str("the driver refuses the baud rate"),
        }
    }
}

/// Sets the chip up by `config`, if there is one, and returns what was typed meanwhile. It waits about a second at most, for what
/// was sent before to leave.
///
/// # Errors
/// Why there is no chip.
pub fn find<B: Backend>(uart: &mut Uart16550<Port<B>>, config: Config) -> Result<(Chip, Typed), Absent> {
    uart.backend_mut().begin();
    let found = find_patiently(uart, config);
    let typed = uart.backend_mut().end();
    Ok((found?, typed))
}

fn find_patiently<B: Backend>(uart: &mut Uart16550<Port<B>>, config: Config) -> Result<Chip, Absent> {
    uart.init(config).map_err(|error| match error {
        InitError::DeviceNotPresent => Absent::Scratch,
        _ => Absent::Refused,
    })?;
    let fifos = uart.fifo_enabled();
    let port = uart.backend_mut();
    let control = port.get(MODEM_CONTROL);
    let modem = lines_loop(port);
    let loops = match modem {
        Ok(()) => Some(Loops::ModemLines),
        Err(_) => bytes_loop(port).then_some(Loops::Bytes),
    };
    port.set(MODEM_CONTROL, control);
    // Reading it takes back the report that the lines have changed.
    let _ = port.get(MODEM_STATUS);
    let line = port.get(LINE_STATUS);
    match loops {
        Some(loops) => Ok(Chip { fifos, loops, room: line & LSR_ROOM != 0 }),
        None => Err(Absent::Loopback { modem: modem.err().unwrap_or_default(), line }),
    }
}

/// Tells whether the modem lines loop back; if not, what the modem status was.
fn lines_loop(port: &mut Port<impl Backend>) -> Result<(), u8> {
    let mut seen = 0;
    let mut looped = |(control, lines): (MCR, u8)| {
        let control = (MCR::LOOP_BACK | control).bits();
        port.set(MODEM_CONTROL, control);
        seen = port.get(MODEM_STATUS);
        let kept = port.get(MODEM_CONTROL);
        seen & LINES == lines && kept & !NO_CONTROL == control
    };
    let once = |_| LOOPED_LINES.into_iter().all(&mut looped);
    if (0..TRIES).any(once) { Ok(()) } else { Err(seen) }
}

/// Tells whether bytes loop back, whatever else is received between them.
fn bytes_loop(port: &mut Port<impl Backend>) -> bool {
    port.set(MODEM_CONTROL, MCR::LOOP_BACK.bits());
    let mut once = |byte| {
        // A full receiver would lose what is sent.
        port.drain();
        port.set(DATA, byte);
        (0..LOOKS).any(|_| port.get(LINE_STATUS) & LSR_READY != 0 && port.take_unless(byte))
    };
    LOOPED_BYTES.into_iter().all(|byte| (0..TRIES).any(|_| once(byte)))
}
