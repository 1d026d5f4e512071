//! What happens when the CPU interrupts the kernel.
//!
//! Every vector ends here. The 32 exceptions go to one handler, the kernel's; the others come from devices. Those of the
//! timer, the keyboard and COM1 are served; nothing else is switched on, and what comes all the same is counted.
//!
//! # Whose stack
//!
//! Interrupts and exceptions run on the stack of the code that they interrupt, the page fault too. It needs none of its
//! own: all of a kernel stack is mapped for good, so that an exception inside the handler nests as a call would, and
//! where the stack is at its end (the guard page below it) the CPU cannot deliver the page fault and raises a double
//! fault instead. On a stack of its own, which begins anew each time, a page fault inside the handler would overwrite the
//! first one's frame.
//!
//! Double fault, NMI and machine check do have stacks of their own ([`OWN_STACK`]), because they come whatever the
//! current stack is worth: by the interrupt stack table on x86_64, by task gates on i686. None of the three goes on, so that
//! their stacks are never begun anew either.
//!
//! On the way out of a device's interrupt the CPU may leave the interrupted thread for another ([`preempt`]): what is left to be done
//! of the interrupt lies on that thread's stack, and is done when the thread runs again.

use core::fmt::{self, Write};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

pub use crate::machine::frame::Frame;

use crate::vectors::{self, EXCEPTIONS, Way};
use crate::{apic, cpus, interrupts, lines, local_timer, look, pic, preempt, probe, screen, serial};

/// Those on which the CPU pushes an error code (SDM vol. 3A, table 6-1; AMD APM vol. 2, 8.2 for 29 and 30).
pub(crate) const ERROR_CODES: u32 =
    1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// The interrupt that is not maskable.
const NMI: u8 = 2;

/// Double fault: the one of those with a stack of their own that has an error code.
pub(crate) const DOUBLE_FAULT: u8 = 8;

/// The exceptions that have a stack of their own, because the current one may be unfit or be what is wrong: NMI, double
/// fault, machine check.
pub(crate) const OWN_STACK: [u8; 3] = [NMI, DOUBLE_FAULT, 18];

/// What the exceptions are called, by vector.
const NAMES: [&str; EXCEPTIONS as usize] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "no coprocessor",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "exception 15",
    "floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection",
    "exception 22",
    "exception 23",
    "exception 24",
    "exception 25",
    "exception 26",
    "exception 27",
    "hypervisor injection",
    "VMM communication",
    "security exception",
    "exception 31",
];

/// Who handles exceptions.
pub type Handler = fn(&mut Frame);

static HANDLER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Has all exceptions handled by `handler` from here on. Where it returns, the interrupted code goes on with the
/// registers as they are in the frame then; a double fault, an NMI and a machine check never go on.
pub fn set_handler(handler: Handler) {
    HANDLER.store(handler as *mut (), Ordering::Release);
}

/// What the exception `vector` is called; `interrupt` if it is none.
pub fn name(vector: u8) -> &'static str {
    NAMES.get(usize::from(vector)).copied().unwrap_or("interrupt")
}

/// Where all entries meet.
pub(crate) fn dispatch(frame: &mut Frame) {
    let vector = frame.vector();
    match vectors::way(vector) {
        Way::Exception => {}
        Way::Pics(line) => {
            lines::interrupt(line);
            pic::acknowledge(line);
            return preempt::leave();
        }
        Way::IoApic(line) => {
            lines::interrupt(line);
            apic::acknowledge();
            return preempt::leave();
        }
        Way::Local => return local(vector),
    }
    if vector == NMI {
        cpus::stop::nmi();
    }
    if look::caught(frame) || probe::caught(frame) {
        return;
    }
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        // Nothing above is ready yet: say what is known on whatever console there is.
        let _ = write!(Consoles, "{}\n{frame}", name(vector));
        interrupts::halt();
    }
    // SAFETY: what is not null was stored by `set_handler` and is a `Handler`.
    let handler: Handler = unsafe { mem::transmute(handler) };
    handler(frame);
    if OWN_STACK.contains(&vector) {
        // What the CPU says of the interrupted code then need not be exact (SDM vol. 3A, 6.15).
        interrupts::halt();
    }
}

/// What the local APIC interrupts for by itself, or another CPU by it.
fn local(vector: u8) {
    match vector {
        vectors::REQUEST => cpus::interrupt(),
        vectors::TIMER => {
            apic::acknowledge();
            local_timer::interrupt();
            preempt::tick();
            preempt::leave();
        }
        vectors::SPURIOUS => {}
        _ => apic::acknowledge(),
    }
}

/// Every console there is.
struct Consoles;

impl fmt::Write for Consoles {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::write(text.as_bytes());
        screen::write(text.as_bytes());
        Ok(())
    }
}
