//! The end: a report, and then a halt.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use arch::trap::{self, Frame};
use arch::{interrupts, mode, power, screen, serial};

use mm::VirtAddr;

use crate::{backtrace, image, memory, symbols};

/// What isa-debug-exit is told.
const FAILED: u32 = 0x11;

/// The vector of a double fault.
const DOUBLE_FAULT: u8 = 8;

/// The vector of a page fault, and the bits of its error code (SDM vol. 3A, 4.7).
const PAGE_FAULT: u8 = 14;
const PROTECTION: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const RESERVED: u64 = 1 << 3;
const FETCH: u64 = 1 << 4;

static REPORTING: AtomicBool = AtomicBool::new(false);

/// Has every exception end in a report.
pub fn install() {
    trap::set_handler(|frame| report(format_args!("{}", Cause(frame)), None, Some(frame)));
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    report(format_args!("{}", info.message()), info.location(), None)
}

fn report(message: fmt::Arguments, location: Option<&core::panic::Location>, frame: Option<&Frame>) -> ! {
    interrupts::disable();
    let out = &mut Consoles;
    if REPORTING.swap(true, Ordering::SeqCst) {
        // Something in the report itself failed. What is printed now must need as little as possible.
        let _ = writeln!(out, "\npanic: inside the report of a panic: {message}");
        end();
    }
    // SAFETY: interrupts are off and this function does not return, so whoever held a console is not coming back.
    unsafe {
        serial::seize();
        screen::seize();
    }
    let _ = tell(out, message, location, frame);
    end()
}

fn tell(
    out: &mut Consoles,
    message: fmt::Arguments,
    location: Option<&core::panic::Location>,
    frame: Option<&Frame>,
) -> fmt::Result {
    writeln!(out, "\npanic: {message}")?;
    if let Some(location) = location {
        writeln!(out, "  at {location}")?;
    }
    let pointer = match frame {
        Some(frame) => {
            let at = frame.instruction() as usize;
            writeln!(out, "  at {at:#x} {}", symbols::name_of(at))?;
            write!(out, "{frame}")?;
            if frame.vector() == PAGE_FAULT {
                walk(out, VirtAddr(frame.fault_address()))?;
            }
            frame.frame_pointer() as usize
        }
        None => backtrace::here(),
    };
    writeln!(out, "called from:")?;
    // SAFETY: the kernel's data, in which its stacks lie, is always mapped.
    unsafe { backtrace::print(out, pointer, image::data()) }
}

/// Prints the way to `address` in the live tables.
fn walk(out: &mut Consoles, address: VirtAddr) -> fmt::Result {
    // Before there is a memory, the stub's tables are live, and there is nothing to learn from them.
    let Some(memory) = memory::installed() else { return Ok(()) };
    let memory = memory.try_lock().unwrap_or_else(|| {
        // SAFETY: whoever holds the lock is not coming back (see `report`). What it guards may be half changed; the
        // walk reads entries through the window and depends on nothing else.
        unsafe { memory.force_unlock() };
        memory.lock()
    });
    let live = mode::current();
    let routines = if live.xpa { mm::FAMILY.xpa } else { mm::FAMILY.base };
    writeln!(out, "the way to {address:#x} in {}:", routines.info.name)?;
    let mut told = Ok(());
    (routines.path)(&memory, live.root, address, &mut |step| told = told.and(writeln!(out, "  {step}")));
    told
}

fn end() -> ! {
    power::debug_exit(FAILED);
    interrupts::halt()
}

/// What an exception was about, in words.
struct Cause<'a>(&'a Frame);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let frame = self.0;
        let address = VirtAddr(frame.fault_address());
        if frame.vector() == DOUBLE_FAULT && image::stack_guard().contains(address) {
            // The page fault itself could not be delivered: there was no stack left to deliver it on.
            return write!(f, "stack overflow: {address:#x} lies in the guard page below the kernel's stack");
        }
        if frame.vector() != PAGE_FAULT {
            return write!(f, "{}, error code {:#x}", trap::name(frame.vector()), frame.error());
        }
        let error = frame.error();
        let who = if error & USER != 0 { "a program" } else { "the kernel" };
        let what = match error {
            error if error & FETCH != 0 => "executed",
            error if error & WRITE != 0 => "wrote to",
            _ => "read",
        };
        // Reserved bits before presence: some emulators clear P when they report them.
        let why = match error {
            error if error & RESERVED != 0 => "an entry on the way has a reserved bit set",
            error if error & PROTECTION != 0 => "it has no right to",
            _ => "nothing is mapped there",
        };
        write!(f, "page fault: {who} {what} {address:#x}, but {why} (error code {error:#x})")
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
