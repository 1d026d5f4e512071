//! The walker, in all four formats: a program of bytes against a model, an independent MMU and adversarial caches.

use mm::Features;

use crate::bytes::Bytes;
use crate::machine::{FULL, MODES, program};

/// Bytes of a program: as many steps as take a few milliseconds.
const MOST: usize = 1 + 6 * 64;

/// The widths of physical addresses that CPUs have.
const WIDTHS: [u32; 8] = [52, 52, 46, 40, 39, 36, 36, 32];

/// Three bytes say which CPU it is; then follow the program's, see `mm/tests/machine/program`.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (mode, width, lacks) = (bytes.byte(), bytes.byte(), bytes.byte());
    let mode = MODES[usize::from(mode) % MODES.len()];
    let program = &bytes.0[..bytes.0.len().min(MOST)];
    program::run(mode, &features(WIDTHS[usize::from(width) % WIDTHS.len()], lacks), program);
}

/// A CPU that has everything but what `lacks` says.
fn features(phys_bits: u32, lacks: u8) -> Features {
    let has = |bit: u8| lacks >> bit & 1 == 0;
    Features { pse: has(0), pge: has(1), pat: has(2), nx: has(3), page_1g: has(4), pse36: has(5), phys_bits, ..FULL }
}
