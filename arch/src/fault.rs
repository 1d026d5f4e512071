//! Doing on purpose what the CPU does not allow, so that the report of it can be seen.
//!
//! None of these changes anything that somebody relies on; where the CPU lets one pass, it returns. Each is a function
//! of its own, so that its name stands in the report, and does its deed in `asm!`: to the compiler it would be undefined.

use core::arch::asm;
use core::hint::black_box;

/// A `ret` among the data.
static mut DATA: u8 = 0xC3;

/// Reads a byte at `address`.
#[inline(never)]
pub fn read(address: usize) {
    // SAFETY: what is read is dropped, and a fault ends in a report.
    unsafe { asm!("mov {}, [{}]", out(reg_byte) _, in(reg) address, options(nostack, readonly)) };
}

/// Writes to the kernel's text, what is there already.
#[inline(never)]
pub fn write_text() {
    let code = write_text as *const () as usize;
    // SAFETY: the byte stays what it is.
    unsafe { asm!("or byte ptr [{}], 0", in(reg) code, options(nostack)) };
}

/// Executes a byte of the kernel's data, which is an instruction that returns. On a CPU without NX it does.
#[inline(never)]
pub fn execute_data() {
    // SAFETY: the byte is a near return without operands, in both architectures.
    unsafe { asm!("call {}", in(reg) &raw const DATA, clobber_abi("C")) };
}

/// Calls itself until the stack is full and its guard page is written to.
pub fn overflow_stack() {
    black_box(deeper(0));
}

/// Each call takes less of the stack than the guard page has, so that none steps over it.
#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: usize) -> usize {
    // Something is left to do after the call, so that it stays one.
    black_box(deeper(black_box(depth + 1))) + 1
}

/// Divides by zero.
#[inline(never)]
pub fn divide() {
    // SAFETY: registers only.
    unsafe { asm!("div {:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _, options(nomem, nostack)) };
}

/// Executes the instruction that is sure to be none.
#[inline(never)]
pub fn invalid_opcode() {
    // SAFETY: never executed, only tried.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Writes to a stack that is not there. The page fault has to be delivered on the same stack, so it cannot be, and
/// becomes a double fault.
#[inline(never)]
pub fn double_fault() -> ! {
    // SAFETY: page 0 is never mapped, so nothing is written; nothing comes afterwards that would need the stack.
    unsafe {
        #[cfg(target_arch = "x86")]
        asm!("mov esp, 16", "push eax", "ud2", options(noreturn));
        #[cfg(target_arch = "x86_64")]
        asm!("mov esp, 16", "push rax", "ud2", options(noreturn));
    }
}
