//! Whether this CPU takes interrupts, and waiting for one.

use core::arch::asm;

use crate::timer;

/// EFLAGS.IF.
const IF: usize = 1 << 9;

/// Whether maskable interrupts are taken.
pub fn enabled() -> bool {
    let flags: usize;
    // SAFETY: reads the flags by way of the stack.
    unsafe {
        #[cfg(target_arch = "x86")]
        asm!("pushfd", "pop {}", out(reg) flags, options(preserves_flags));
        #[cfg(target_arch = "x86_64")]
        asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags));
    }
    flags & IF != 0
}

/// Takes no maskable interrupts from here on.
pub fn disable() {
    // SAFETY: later is always early enough for an interrupt.
    unsafe { asm!("cli", options(nostack, preserves_flags)) };
}

/// Takes maskable interrupts from here on.
///
/// # Safety
/// The IDT must be loaded, and nothing that a handler needs may be locked here.
pub unsafe fn enable() {
    // SAFETY: the caller's promise.
    unsafe { asm!("sti", options(nostack, preserves_flags)) };
}

/// Runs `f` with maskable interrupts off, and then leaves them as they were.
pub fn without<R>(f: impl FnOnce() -> R) -> R {
    let on = enabled();
    disable();
    let result = f();
    if on {
        // SAFETY: they were on when this was called, so they may be.
        unsafe { enable() };
    }
    result
}

/// Does nothing until the next interrupt, as cheaply as the CPU can. With interrupts off, or without the timer's, it
/// returns at once: nothing would be sure to wake it.
pub fn wait() {
    if enabled() && timer::beats() {
        // SAFETY: interrupts are on, so the CPU wakes up again.
        unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
    } else {
        core::hint::spin_loop();
    }
}

/// With interrupts off: does nothing until the next one, which is taken, unless it is `over` before. They are off again then.
///
/// # Safety
/// The IDT must be loaded, and nothing that a handler needs may be locked here.
pub(crate) unsafe fn take_one_unless(over: impl FnOnce() -> bool) {
    if !over() {
        // SAFETY: the caller's promise. None is taken before the instruction after STI, so that none is missed.
        unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
    }
}

/// With interrupts off: takes them until one has come, as cheaply as the CPU can wait for it; without the timer's, which is sure to
/// come, for a moment only. They are off again then.
///
/// # Safety
/// The IDT must be loaded, and nothing that a handler needs may be locked here.
pub unsafe fn take_one() {
    // SAFETY: the caller's promise. None is taken before the instruction after STI (SDM vol. 2B, STI), so that none that has come
    // meanwhile is waited for in vain.
    unsafe {
        if timer::beats() {
            asm!("sti", "hlt", "cli", options(nostack));
        } else {
            asm!("sti", "pause", "cli", options(nostack));
        }
    }
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    disable();
    loop {
        // SAFETY: stopping is what is asked for. The loop is for those interrupts that cannot be shut out.
        unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
    }
}
