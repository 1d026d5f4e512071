//! What the loader said: boot information and command line, read with suspicion.
//!
//! This is the part of `boot` that runs on the host too, where it is tested. The rest, which needs the bare machine,
//! is the binary beside it.
#![cfg_attr(not(test), no_std)]

mod complaint;
mod info;
mod options;
#[cfg(test)]
mod tests;
mod vet;

pub use complaint::{Complaint, Complaints};
pub use info::{BootInfo, Extent, Framebuffer, MadeOf, Module, SymbolTable};
pub use options::{Misuse, Options};
