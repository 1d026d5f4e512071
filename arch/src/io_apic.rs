//! The I/O APICs: what brings devices' interrupts to local APICs (82093AA data sheet; later ones differ in the number of pins).
//!
//! Each has two registers in memory: one takes the number of another register, which is then seen through the second.

use sched::{Class, lock};
use spin::Mutex;

use crate::interrupts;

/// Bytes of the two registers, with what lies between.
pub const BYTES: u64 = 0x14;

/// The most pins that one can have.
const MOST_PINS: u32 = 240;

/// The two registers, by their distance from the first in words of four bytes.
const SELECT: usize = 0;
const WINDOW: usize = 4;

/// What is seen through the second: the version, with the number of the last pin in bits 16 to 23; and two for each pin.
const VERSION: u32 = 0x01;
const PINS: u32 = 0x10;

/// In the lower half of a pin's: it is active when low; it interrupts for as long as it is active; it does not interrupt. The
/// vector is in the lowest byte; all else is 0, an interrupt as any other for the one CPU that the upper half names.
const ACTIVE_LOW: u32 = 1 << 13;
const BY_LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// Where the number of the local APIC is in the upper half of a pin's.
const TO: u32 = 24;

/// Held from the choice of a register to its use, with interrupts off.
static CHOICE: Mutex<()> = Mutex::new(());

/// An I/O APIC that was [opened](IoApic::open).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    registers: usize,
    pins: u32,
}

/// How the device at a pin says that it wants to interrupt, and which interrupt that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The pin's number.
    pub number: u32,
    /// Active when low instead of when high.
    pub active_low: bool,
    /// By level instead of by edge.
    pub by_level: bool,
    /// The vector of the interrupt.
    pub vector: u8,
    /// The number of the local APIC that gets it.
    pub to: u8,
}

impl IoApic {
    /// Opens the one whose registers are mapped at `registers`, and silences all of its pins.
    ///
    /// # Errors
    /// What its version is, if it cannot be that of one: nothing is there, or something else.
    ///
    /// # Safety
    /// An I/O APIC, or nothing that minds, is mapped there, uncached and for good: [`BYTES`] of it.
    pub unsafe fn open(registers: usize) -> Result<Self, u32> {
        let apic = Self { registers, pins: 0 };
        let (chosen, version) = apic.chosen(VERSION, |select, window| {
            // SAFETY: the caller's promise; reading has no effect.
            unsafe { (select.read_volatile(), window.read_volatile()) }
        });
        let pins = (version >> 16 & 0xFF) + 1;
        // What is absent reads as all ones, or as 0. Bits 4 to 7 of the choice are not there in the oldest.
        if version == u32::MAX || chosen & 0xF != VERSION || pins > MOST_PINS {
            return Err(version);
        }
        let apic = Self { pins, ..apic };
        (0..pins).for_each(|pin| apic.mask(pin));
        Ok(apic)
    }

    /// How many pins it has.
    pub fn pins(&self) -> u32 {
        self.pins
    }

    /// Lets the interrupts of `pin` through, if there is such a pin.
    pub fn unmask(&self, pin: Pin) {
        if pin.number >= self.pins {
            return;
        }
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let kind = bit(pin.active_low, ACTIVE_LOW) | bit(pin.by_level, BY_LEVEL);
        // The lower half last: it lets them through.
        self.write(PINS + 2 * pin.number + 1, u32::from(pin.to) << TO);
        self.write(PINS + 2 * pin.number, kind | u32::from(pin.vector));
    }

    /// Silences the pin number `pin`.
    pub fn mask(&self, pin: u32) {
        if pin < self.pins {
            self.write(PINS + 2 * pin, MASKED);
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: `open` has found the registers; what is written silences a pin or has it raise an interrupt that has a handler.
        self.chosen(register, |_, window| unsafe { window.write_volatile(value) });
    }

    /// Runs `work` on the two registers with `register` chosen.
    fn chosen<R>(&self, register: u32, work: impl FnOnce(*mut u32, *mut u32) -> R) -> R {
        interrupts::without(|| {
            let _mark = lock::mark(Class::IoApic);
            let _held = CHOICE.lock();
            let registers = self.registers as *mut u32;
            // SAFETY: by the contract of `open` they are mapped; a choice by itself has no effect.
            let (select, window) = unsafe { (registers.add(SELECT), registers.add(WINDOW)) };
            // SAFETY: as above.
            unsafe { select.write_volatile(register) };
            work(select, window)
        })
    }
}
