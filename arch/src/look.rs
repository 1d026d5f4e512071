//! A look at a word where perhaps nothing is mapped: the page fault that this may end in is an answer.
//!
//! Any CPU may look at any time: what is known of a look under way is the instruction at which it faults.

use core::arch::global_asm;

use mm::VirtAddr;

use crate::trap::Frame;

#[cfg(target_arch = "x86_64")]
global_asm!(
    "    .text",
    "# fn look_word(at: usize, into: *mut usize) -> usize: whether there was a word.",
    ".type look_word, @function",
    "look_word:",
    "look_read:",
    "    mov (%rdi), %rax",
    "    mov %rax, (%rsi)",
    "    mov $1, %eax",
    "    ret",
    "look_failed:",
    "    xor %eax, %eax",
    "    ret",
    ".size look_word, . - look_word",
    options(att_syntax)
);
#[cfg(target_arch = "x86")]
global_asm!(
    "    .text",
    "# fn look_word(at: usize, into: *mut usize) -> usize: whether there was a word.",
    ".type look_word, @function",
    "look_word:",
    "    mov 4(%esp), %eax",
    "    mov 8(%esp), %ecx",
    "look_read:",
    "    mov (%eax), %eax",
    "    mov %eax, (%ecx)",
    "    mov $1, %eax",
    "    ret",
    "look_failed:",
    "    xor %eax, %eax",
    "    ret",
    ".size look_word, . - look_word",
    options(att_syntax)
);

unsafe extern "C" {
    fn look_word(at: usize, into: *mut usize) -> usize;
    static look_read: u8;
    static look_failed: u8;
}

const PAGE_FAULT: u8 = 14;

/// Takes the page fault of a look; tells whether it was one.
pub(crate) fn caught(frame: &mut Frame) -> bool {
    let looking = frame.vector() == PAGE_FAULT && frame.instruction() == (&raw const look_read).addr() as u64;
    if looking {
        frame.resume_at((&raw const look_failed).addr() as u64);
    }
    looking
}

/// The word at `at`, as this CPU translates it now; `None` if that ends in a page fault.
///
/// # Safety
/// `at` is canonical, aligned, and no device's register, where reading does something.
pub unsafe fn word(at: VirtAddr) -> Option<usize> {
    let mut word = 0;
    // SAFETY: the caller's promise; a fault leads to the function's other end, and nothing was pushed before.
    (unsafe { look_word(at.0 as usize, &raw mut word) } != 0).then_some(word)
}
