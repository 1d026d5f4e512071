//! Who called whom, by frame pointers: every function of the kernel keeps one (`frame-pointer: always`).

use core::fmt::{self, Write};

use crate::symbols;

/// More calls than this are not printed: a damaged chain may be a ring.
const DEEPEST: usize = 32;

/// The frame pointer of whoever calls this.
#[inline(always)]
pub fn here() -> usize {
    arch::cpu::frame_pointer()
}

/// Prints the word on top of the stack at `stack`, if it is `within` the memory in which stacks lie, as the place that
/// a call came from.
///
/// # Safety
/// `within` is mapped and readable.
pub unsafe fn print_top(out: &mut dyn Write, stack: usize, within: core::ops::Range<usize>) -> fmt::Result {
    let whole = stack.checked_add(size_of::<usize>()).is_some_and(|end| end <= within.end);
    if stack < within.start || !whole || !stack.is_multiple_of(align_of::<usize>()) {
        return Ok(());
    }
    // SAFETY: aligned and inside `within`, which is readable by this function's contract.
    let ret = unsafe { (stack as *const usize).read_volatile() };
    writeln!(out, "      {ret:#x} {}", symbols::name_of(ret.wrapping_sub(1)))
}

/// Prints the calls that led to the frame whose frame pointer is `frame`, `within` being the memory in which
/// stacks lie. A chain that leaves it, or does not go upwards, ends there.
///
/// # Safety
/// `within` is mapped and readable.
pub unsafe fn print(out: &mut dyn Write, mut frame: usize, within: core::ops::Range<usize>) -> fmt::Result {
    for depth in 0..DEEPEST {
        let whole = frame.checked_add(2 * size_of::<usize>()).is_some_and(|end| end <= within.end);
        if frame < within.start || !whole || !frame.is_multiple_of(align_of::<usize>()) {
            return Ok(());
        }
        // SAFETY: aligned and inside `within`, which is readable by this function's contract.
        let [caller, ret] = unsafe { (frame as *const [usize; 2]).read_volatile() };
        if ret == 0 {
            return Ok(());
        }
        // The return address is the instruction after the call, which may belong to the next function.
        writeln!(out, "  {depth:2}: {ret:#x} {}", symbols::name_of(ret - 1))?;
        if caller <= frame {
            return Ok(());
        }
        frame = caller;
    }
    writeln!(out, "  (deeper calls are not shown)")
}
