//! What the firmware says in ACPI's tables, as far as Strata asks.
//!
//! Whatever stands in physical memory is read through [`Physical`], byte by byte and with an error where there is nothing:
//! firmware may name any address. A table is taken only if its length can be and its checksum is right; what is wrong with
//! it is said in a [`Fault`]. From there, [`Fadt`] has the registers that turn the machine off and restart it, and
//! [`sleep_type`] reads what to write there out of the byte code, without running it.
//!
//! The crates that read these tables map what the firmware names without asking whether it is there, and take physical
//! addresses for pointers, of which a 32-bit kernel with PAE has too few bits; so this is one of our own, and reads little.
//!
//! What must never come in: unsafe code, a heap, and anything that runs byte code.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod aml;
mod fadt;
mod hpet;
mod lists;
mod madt;
mod pointer;
mod table;
mod wiring;

pub use aml::{SleepType, sleep_type};
pub use fadt::{Fadt, PmTimer, Register, Space};
pub use hpet::hpet;
pub use lists::{Lists, Root, find};
pub use madt::{Entry, IoApic, Madt, Override, Processor, State};
pub use pointer::scan;
pub use table::{Fault, Header};
pub use wiring::{Crossed, MOST, Pins, Wire, Wiring, pin};

/// Physical memory, for reading.
pub trait Physical {
    /// Fills `into` with what lies at `at`.
    ///
    /// # Errors
    /// [`Absent`] if not all of it is memory. `into` may have been written then.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Absent>;
}

/// There is no memory at an address that should have been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Absent;

#[cfg(test)]
mod tests;
