//! From a PS/2 keyboard's scancodes to what a terminal would send.
//!
//! Scancodes go in one at a time, as the controller hands them over: set 1, to which every controller translates. Bytes come
//! out: a letter in UTF-8, a control code, or an ANSI sequence for a key that has no letter (ECMA-48, 5.4; Home, End and Delete
//! as a VT220 sends them). So whoever reads need not know whether somebody sits at the machine or at a serial line.
//!
//! What a key means is the crate `pc-keyboard`'s to know, with all the [layouts](Layout) that it has. Here stand their names,
//! and what becomes of scancodes that make no sense: they are dropped, and take nothing with them.
//!
//! What must never come in: unsafe code, a heap, and the controller's ports.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod layout;
mod translator;

pub use layout::{Layout, NAMES};
pub use translator::{Bytes, Translator};

#[cfg(test)]
mod tests;
