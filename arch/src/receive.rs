//! What comes in on COM1, kept until it is asked for.
//!
//! The chip has room for 16 bytes, and at 115200 baud the next comes every 87 microseconds; whatever the kernel is busy with
//! takes longer. So once [`listen`] was called, the chip interrupts, and its bytes move to a ring of 16 KiB. When even that is
//! full, the chip keeps what it has and takes RTS back, which stops a sender that heeds it (an emulator does by itself). What
//! is lost all the same the chip reports, and [`overruns`] counts.
//!
//! The chip's sending half is [`serial`](crate::serial)'s. The two share its ports and nothing else.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sched::{Class, lock};
use spin::Mutex;
use x86::io::{inb, outb};

use crate::ring::Ring;
use crate::serial::COM1;
use crate::{interrupts, lines, preempt};

/// How many bytes are kept: as many as come in a second and a half.
const ROOM: usize = 16 * 1024;

/// COM1's line of the ISA bus.
pub(crate) const LINE: u8 = 4;

/// The chip's registers, by their distance from its first port, and what is used of them: a byte that has come; which
/// interrupts it raises; RTS among the modem's lines; whether a byte has come, and whether one was lost.
const DATA: u16 = 0;
const INTERRUPTS: u16 = 1;
const ON_DATA: u8 = 1 << 0;
const MODEM: u16 = 4;
const RTS: u8 = 1 << 1;
const LINE_STATUS: u16 = 5;
const READY: u8 = 1 << 0;
const OVERRUN: u8 = 1 << 1;

struct Receiver {
    bytes: Ring<ROOM>,
    /// Whether there is a chip.
    present: bool,
    /// Whether it interrupts when bytes have come.
    interrupts: bool,
    /// Whether bytes are left in it because there is no room.
    held: bool,
    /// How many bytes are still to be taken that came before the chip lost some, if it has.
    whole: Option<usize>,
}

/// Locked with interrupts off only, so that the interrupt finds it free.
static RECEIVER: Mutex<Receiver> =
    Mutex::new(Receiver { bytes: Ring::new(), present: false, interrupts: false, held: false, whole: None });

/// Whether the chip has reported an overrun of which nobody has taken note yet.
static REPORTED: AtomicBool = AtomicBool::new(false);

static OVERRUNS: AtomicU32 = AtomicU32::new(0);

/// Notes that there is a chip, set up and silent, and that `typed` came before.
pub(crate) fn found(typed: &[u8]) {
    with(|receiver| {
        typed.iter().for_each(|byte| receiver.bytes.push(*byte));
        receiver.present = true;
    });
}

/// Takes what has come, if the chip does not interrupt yet. Does nothing where this CPU may hold the receiver, as in a panic.
pub(crate) fn poll() {
    interrupts::without(|| {
        let Some(mut receiver) = RECEIVER.try_lock() else { return };
        if !receiver.interrupts {
            receiver.fetch();
        }
    });
}

/// Has the chip interrupt when bytes have come, from when interrupts are on.
pub fn listen() {
    // First: an I/O APIC takes no note of a line that has risen before.
    lines::unmask(LINE);
    with(|receiver| {
        if receiver.present {
            receiver.interrupts = true;
            receiver.flow(true);
        }
    });
}

/// The next byte that was received, if there is one. Does not wait.
pub fn read() -> Option<u8> {
    with(|receiver| {
        if receiver.bytes.len() == 0 {
            // Before `listen`, and on a machine on which no interrupt comes through.
            receiver.fetch();
        }
        receiver.count_overrun();
        let byte = receiver.bytes.pop();
        if receiver.held && receiver.bytes.len() <= ROOM / 2 {
            receiver.held = false;
            receiver.flow(true);
            receiver.fetch();
        }
        byte
    })
}

/// In how many places bytes are missing among those that were taken so far: the chip reported that it had to drop some.
pub fn overruns() -> u32 {
    OVERRUNS.load(Ordering::Relaxed)
}

/// Takes note of a line status that was read: reading it clears the report of an overrun.
pub(crate) fn note(status: u8) {
    // All ones is what a port without a chip reads as.
    if status & OVERRUN != 0 && status != 0xFF {
        REPORTED.store(true, Ordering::Relaxed);
    }
}

/// What the chip's interrupt asks for.
pub(crate) fn interrupt() {
    with(Receiver::fetch);
    preempt::input();
}

fn with<R>(work: impl FnOnce(&mut Receiver) -> R) -> R {
    interrupts::without(|| {
        let _mark = lock::mark(Class::Receiver);
        work(&mut RECEIVER.lock())
    })
}

impl Receiver {
    /// Counts an overrun when the bytes are taken that came before it, and not when it is reported.
    fn count_overrun(&mut self) {
        if REPORTED.swap(false, Ordering::Relaxed) && self.whole.is_none() {
            self.whole = Some(self.bytes.len());
        }
        self.whole = match self.whole {
            Some(0) => {
                OVERRUNS.fetch_add(1, Ordering::Relaxed);
                None
            }
            Some(bytes) => Some(bytes - usize::from(self.bytes.len() > 0)),
            None => None,
        };
    }

    /// Moves what the chip has to the ring.
    fn fetch(&mut self) {
        while self.present && !self.held {
            // SAFETY: the chip's line status; what reading it clears is noted.
            let status = unsafe { inb(COM1 + LINE_STATUS) };
            note(status);
            if status & READY == 0 {
                return;
            }
            if self.bytes.is_full() {
                self.held = true;
                self.flow(false);
                return;
            }
            // SAFETY: takes a byte that is there.
            self.bytes.push(unsafe { inb(COM1 + DATA) });
        }
    }

    /// Lets bytes come, or asks the sender to wait.
    fn flow(&self, on: bool) {
        // SAFETY: the chip's registers, which the driver for the other half does not write after it has set them up. An
        // interrupt that they lead to has a handler.
        unsafe {
            let modem = inb(COM1 + MODEM);
            outb(COM1 + MODEM, if on { modem | RTS } else { modem & !RTS });
            outb(COM1 + INTERRUPTS, if on && self.interrupts { ON_DATA } else { 0 });
        }
    }
}
