//! COM1: 115200 baud, 8 data bits, no parity, one stop bit. What comes in is [`receive`](crate::receive)'s.
//!
//! The crate [`serial`](::serial) decides whether there is a chip. Nothing here waits for ever: a chip that takes no bytes counts as
//! stuck after some seconds, and is not waited for until it takes some again.

pub use ::serial::Absent;
use ::serial::{Chip, Port as Registers};
use sched::lock::Guard;
use sched::{Class, Lock};
use uart_16550::backend::Backend;
use uart_16550::spec::registers::FifoTriggerLevel;
use uart_16550::{BaudRate, Config, Uart16550};
use x86::io::{inb, outb};

use crate::receive;

/// The first I/O port of COM1.
pub(crate) const COM1: u16 = 0x3F8;

/// The line status register.
const LINE_STATUS: u8 = 5;

/// Number of reads of the line status after which a chip that worked counts as stuck. That is seconds: an emulator holds bytes
/// back while its output is not read, and a slow reader shall not lose any.
const LONG_PATIENCE: u32 = 1 << 24;

/// COM1's eight I/O ports.
struct Ports;

impl Backend for Ports {
    unsafe fn read(&mut self, register_offset: u8) -> u8 {
        // SAFETY: the ports belong to the holder of `PORT`, and reading one can at most take a byte from its buffer.
        let value = unsafe { inb(COM1 + u16::from(register_offset)) };
        if register_offset == LINE_STATUS {
            receive::note(value);
        }
        value
    }

    unsafe fn write(&mut self, register_offset: u8, value: u8) {
        // SAFETY: as above; the chip cannot reach memory.
        unsafe { outb(COM1 + u16::from(register_offset), value) };
    }
}

/// COM1 after it was found.
struct Port {
    uart: Uart16550<Registers<Ports>>,
    /// The chip was once waited for in vain. It is not waited for again until it takes bytes.
    stuck: bool,
}

static PORT: Lock<Option<Port>> = Lock::new(Class::Com1, None);

/// What was found at COM1's ports when they were set up.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The chip.
    pub chip: Chip,
    /// Number of bytes that were typed before and are kept.
    pub typed: usize,
    /// Number of bytes that were typed before and are lost.
    pub dropped: u32,
}

/// Sets COM1 up, if there is one, and keeps what was typed before. Until then, and if there is none, the other functions do
/// nothing.
///
/// # Errors
/// Why there is none.
pub fn init() -> Result<Found, Absent> {
    // SAFETY: the ports are COM1's on every PC, and this is the only place that makes a driver for them.
    let mut uart = unsafe { Uart16550::new_with_backend(Registers::new(Ports)) };
    // The chip is to interrupt when it is half full: there are 700 microseconds until a byte is lost then.
    let fifo_trigger_level = Some(FifoTriggerLevel::Eight);
    let config = Config { baud_rate: BaudRate::Baud115200, fifo_trigger_level, ..Config::DEFAULT };
    let (chip, typed) = ::serial::find(&mut uart, config)?;
    if let Some(mut port) = lock() {
        *port = Some(Port { uart, stuck: !chip.room });
    }
    receive::found(typed.bytes());
    Ok(Found { chip, typed: typed.bytes().len(), dropped: typed.dropped() })
}

/// Sends `bytes`, a carriage return before every line feed. What a stuck chip does not take is dropped.
pub fn write(bytes: &[u8]) {
    send(bytes);
    // Before the chip interrupts it would lose what comes beside its sixteen bytes.
    receive::poll();
}

fn send(bytes: &[u8]) {
    let Some(mut port) = lock() else { return };
    let Some(port) = port.as_mut() else { return };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                port.send(text);
                port.send(b"\r\n");
            }
            None => port.send(line),
        }
    }
}

/// Takes the port away from whoever has it, so that a panic inside [`write()`] can still be reported.
///
/// # Safety
/// Whoever had it must not go on.
pub unsafe fn seize() {
    // SAFETY: the caller's promise: the guard that exists is never used again.
    unsafe { PORT.raw().force_unlock() };
    PORT.disown();
}

/// The port, unless somebody on this CPU has it: he will not go on before this does.
fn lock() -> Option<Guard<'static, Option<Port>>> {
    PORT.lock_unless_held_here()
}

impl Port {
    fn send(&mut self, mut bytes: &[u8]) {
        let mut looks = 0;
        while !bytes.is_empty() {
            let sent = self.uart.send_bytes(bytes);
            bytes = &bytes[sent..];
            if sent > 0 {
                self.stuck = false;
                looks = 0;
            } else if self.stuck || looks >= LONG_PATIENCE {
                self.stuck = true;
                return;
            } else {
                looks += 1;
                core::hint::spin_loop();
            }
        }
    }
}
