//! Zeroing frames: the ways that a CPU has, on one frame and on a block, in the cache and out of it.

use std::arch::asm;

use crate::host::{Mapping, cpu_time};

/// Memory beyond every cache.
const BYTES: usize = 512 << 20;
const FRAME: usize = 4096;
const BLOCK: usize = 2 << 20;

/// What is measured: rows and their figures.
type Figures = Vec<(&'static str, f64)>;

/// What zeroes so many bytes from there on.
pub type Zero = unsafe fn(*mut u8, usize);

/// A contestant's name, and what zeroes `bytes`, a multiple of 64, from an address aligned as much.
pub const CONTESTANTS: [(&str, Zero); 4] =
    [("rep stosb", bytes), ("rep stosq", words), ("movnti", streaming), ("memset of the host", library)];

/// # Safety
/// `at` is the caller's, so many bytes long.
unsafe fn bytes(at: *mut u8, bytes: usize) {
    // SAFETY: by this function's contract.
    unsafe { asm!("rep stosb", inout("rdi") at => _, inout("rcx") bytes => _, in("al") 0u8, options(nostack)) };
}

/// # Safety
/// As [`bytes`].
unsafe fn words(at: *mut u8, bytes: usize) {
    // SAFETY: by this function's contract.
    unsafe { asm!("rep stosq", inout("rdi") at => _, inout("rcx") bytes / 8 => _, in("rax") 0u64, options(nostack)) };
}

/// # Safety
/// As [`bytes`].
unsafe fn streaming(at: *mut u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        // SAFETY: by this function's contract.
        unsafe {
            asm!(
                "movnti [{at}], {zero}", "movnti [{at} + 8], {zero}", "movnti [{at} + 16], {zero}",
                "movnti [{at} + 24], {zero}", "movnti [{at} + 32], {zero}", "movnti [{at} + 40], {zero}",
                "movnti [{at} + 48], {zero}", "movnti [{at} + 56], {zero}",
                at = in(reg) at.add(line), zero = in(reg) 0u64, options(nostack),
            );
        }
    }
    // SAFETY: it orders stores.
    unsafe { asm!("sfence", options(nostack)) };
}

/// # Safety
/// As [`bytes`].
unsafe fn library(at: *mut u8, bytes: usize) {
    // SAFETY: by this function's contract.
    unsafe { std::ptr::write_bytes(at, 0, bytes) };
}

/// Nanoseconds for each 4 KiB.
pub fn measure(zero: Zero) -> Figures {
    let memory = Mapping::new(BYTES, BLOCK);
    // SAFETY: the mapping is that long. Its pages are there before anything is measured.
    unsafe { memory.at().write_bytes(1, BYTES) };
    let each = |size: usize, spread: usize, fill: bool| {
        let count = BYTES / size / 4;
        let start = cpu_time();
        for n in 0..count {
            let at = memory.at().wrapping_add(n * size % spread);
            // SAFETY: within the mapping.
            unsafe { zero(at, size) };
            if fill {
                // As a page table is: a few entries here and there, right after.
                for entry in (0..FRAME).step_by(512) {
                    // SAFETY: within what was zeroed.
                    unsafe {
                        at.add(entry).cast::<u64>().write_volatile(at.add(entry).cast::<u64>().read_volatile() | 1)
                    };
                }
            }
        }
        (cpu_time() - start) as f64 / (count * size / FRAME) as f64
    };
    vec![
        ("frame again", each(FRAME, 64 * FRAME, false)),
        ("frame cold", each(FRAME, BYTES, false)),
        ("frame used", each(FRAME, BYTES, true)),
        ("block cold", each(BLOCK, BYTES, false)),
    ]
}
