//! What it is all for.
#![no_std]
#![forbid(unsafe_code)]

mod machine;
mod platform;

pub use machine::{BootFacts, Machine};
pub use platform::{CpuFacts, Platform, Registers};
