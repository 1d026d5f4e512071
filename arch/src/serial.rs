//! COM1: 115200 baud, 8 data bits, no parity, one stop bit. What comes in is [`receive`](crate::receive)'s.
//!
//! Nothing here waits for ever. The driver's own loops end when the chip says that it is ready, and a chip that is
//! stuck, or a port with something else behind it, never does; so while the port is set up, what lies below the
//! driver counts, and says "ready" itself when its patience is over. The loopback test then finds out.

use sched::lock::Guard;
use sched::{Class, Lock};
use uart_16550::backend::Backend;
use uart_16550::spec::registers::FifoTriggerLevel;
use uart_16550::{BaudRate, Config, Uart16550};
use x86::io::{inb, outb};

use crate::receive;

/// The first I/O port of COM1.
pub(crate) const COM1: u16 = 0x3F8;

/// The line status register, and the bits in it that the driver waits for: a byte has come, there is room for
/// one, all are gone.
const LINE_STATUS: u8 = 5;
const READY: u8 = 1 << 0 | 1 << 5 | 1 << 6;

/// How often the line status is read in vain while the port is set up. A read takes about a microsecond on real
/// hardware, sixteen bytes take 1.4 ms.
const PATIENCE: u32 = 1 << 20;

/// How often it is read in vain before a chip that worked counts as stuck. That is seconds: an emulator holds bytes
/// back while nobody reads them at the other end, and whoever reads slowly shall not lose any.
const LONG_PATIENCE: u32 = 1 << 24;

/// COM1's eight I/O ports.
struct Ports {
    /// How often the line status may still be read before it is said to be ready; nothing outside of the set-up,
    /// where no loop of the driver is used.
    patience: Option<u32>,
}

impl Backend for Ports {
    unsafe fn read(&mut self, register_offset: u8) -> u8 {
        // SAFETY: the ports belong to whoever holds `PORT`, and reading one can at most take a byte from its buffer.
        let value = unsafe { inb(COM1 + u16::from(register_offset)) };
        if register_offset == LINE_STATUS && self.patience.is_none() {
            receive::note(value);
        }
        match &mut self.patience {
            Some(left) if register_offset == LINE_STATUS => {
                *left = left.saturating_sub(1);
                if *left == 0 { value | READY } else { value }
            }
            _ => value,
        }
    }

    unsafe fn write(&mut self, register_offset: u8, value: u8) {
        // SAFETY: as above; the chip cannot reach memory.
        unsafe { outb(COM1 + u16::from(register_offset), value) };
    }
}

/// COM1 after it was found.
struct Port {
    uart: Uart16550<Ports>,
    /// Whether the chip was once waited for in vain. From then on it is not waited for until it takes bytes again.
    stuck: bool,
}

static PORT: Lock<Option<Port>> = Lock::new(Class::Com1, None);

/// Sets COM1 up and tells whether there is one: it keeps what is written to its scratch register, and in loopback
/// it receives what it sends. Until then, and if there is none, the other functions do nothing.
pub fn init() -> bool {
    // SAFETY: the ports are COM1's on every PC, and this is the only place that makes a driver for them.
    let mut uart = unsafe { Uart16550::new_with_backend(Ports { patience: Some(PATIENCE) }) };
    // The chip is to interrupt when it is half full: there are 700 microseconds until a byte is lost then.
    let fifo_trigger_level = Some(FifoTriggerLevel::Eight);
    let config = Config { baud_rate: BaudRate::Baud115200, fifo_trigger_level, ..Config::DEFAULT };
    let found = uart.init(config).is_ok() && uart.test_loopback().is_ok();
    uart.backend_mut().patience = None;
    if let Some(mut port) = lock() {
        *port = found.then_some(Port { uart, stuck: false });
    }
    if found {
        receive::found();
    }
    found
}

/// Sends `bytes`, a carriage return before every line feed. What a stuck chip does not take is dropped.
pub fn write(bytes: &[u8]) {
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
