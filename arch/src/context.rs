//! What a thread goes on with: its stack, and on top of it the registers that a function has to preserve.
//!
//! A thread leaves its CPU by calling [`switch`], which to it is a function like any other that returns later. What else is in
//! registers then is on its stack already: put there by the compiler around the call, or by the entry of the interrupt on whose
//! way out the thread is left. There is no floating-point state: the kernel is built without such instructions.

use core::arch::global_asm;

#[cfg(target_arch = "x86")]
global_asm!(include_str!("i686/context.s"), options(att_syntax));
#[cfg(target_arch = "x86_64")]
global_asm!(include_str!("x86_64/context.s"), options(att_syntax));

unsafe extern "C" {
    fn context_switch(save: *mut usize, to: usize);
    fn context_begin();
    fn context_hold(seed: usize) -> usize;
}

/// What lies at a context, from its lowest address on: registers, and the address at which it goes on.
#[cfg(target_arch = "x86")]
const WORDS: usize = 5;
/// What lies at a context, from its lowest address on: registers, and the address at which it goes on.
#[cfg(target_arch = "x86_64")]
const WORDS: usize = 7;

/// Where among them (E/R)BX is, and where the address.
const B: usize = WORDS - 3;
const ADDRESS: usize = WORDS - 1;

/// Lays the first context of a thread at the end of its stack: it begins with `begin`, with interrupts off. Its backtraces end
/// there.
///
/// # Safety
/// The memory below `top` is the thread's stack, mapped and nobody else's. `top` is a multiple of 16.
pub unsafe fn prepare(top: usize, begin: extern "C" fn() -> !) -> usize {
    let mut words = [0; WORDS];
    words[B] = begin as *const () as usize;
    words[ADDRESS] = context_begin as *const () as usize;
    let context = top - size_of_val(&words);
    // SAFETY: by this function's contract it is ours; a context is smaller than a page, and aligned like its words.
    unsafe { (context as *mut [usize; WORDS]).write(words) };
    context
}

/// Goes on with the context `to`, and returns when somebody goes on with the one that is left in `save` now.
///
/// # Safety
/// Interrupts are off. `to` was made by [`prepare`] or left by this, nobody else goes on with it, and its stack is still mapped.
/// `save` can be written.
pub unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: the caller's promise.
    unsafe { context_switch(save, to) };
}

/// Holds numbers made of `seed` in every register, and a pattern in the flags, for some milliseconds, and returns how many were
/// lost by then.
pub fn hold(seed: usize) -> usize {
    // SAFETY: it preserves what a function must, and leaves the flags as they were.
    unsafe { context_hold(seed) }
}
