//! The prompt: the kernel itself, started on a simulated machine, and somebody who types any bytes at all.
//!
//! What is checked is what a person would see: the screen, kept as a terminal would keep it, has to show the line that the
//! kernel then acts upon.

mod host;
mod terminal;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::bytes::Bytes;
use crate::machine::MODES;
use host::{Board, End, HOST, TURN};

/// Bytes that are typed.
const MOST: usize = 2000;

/// The first byte says which mode, the second whether it is the keyboard; the rest is typed.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let mode = MODES[bytes.below(MODES.len())];
    let is_keyboard = bytes.byte() & 1 != 0;
    let _turn = TURN.lock().unwrap_or_else(|ended| ended.into_inner());
    HOST.sit_down(&bytes.0[..bytes.0.len().min(MOST)], is_keyboard);
    let (board, machine) = Board::new(mode);
    let Err(end) = catch_unwind(AssertUnwindSafe(move || kernel::start(machine)));
    if !end.is::<End>() {
        resume_unwind(end);
    }
    drop(board);
}
