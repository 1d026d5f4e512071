//! The end: a report, and then a halt.
//!
//! COM1 gets all of the report. On the screen it is one page, because nobody scrolls any more: it is cleared first, and what
//! does not fit is left out at the end. So what matters most comes first: what happened and where, on what
//! ([`identity`](crate::identity)), the registers, the walk of the address, and the calls from the innermost, a line each.

use core::fmt::{self, Write};
use core::ops::Range;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use arch::trap::{self, Frame};
use arch::{cpus, interrupts, mode, percpu, power, screen, serial};

use kernel::{Memories, threads};
use mm::{PAGE_SIZE, PagingRoutines, Stack, VirtAddr};
use sched::order;

use crate::{backtrace, early, identity, image, memory, symbols};

/// What isa-debug-exit is told.
const FAILED: u32 = 0x11;

/// The vectors of exceptions of which more can be said than their name.
const DOUBLE_FAULT: u8 = 8;
const STACK_FAULT: u8 = 12;
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;

/// The bits of a page fault's error code (SDM vol. 3A, 4.7).
const PROTECTION: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const RESERVED: u64 = 1 << 3;
const FETCH: u64 = 1 << 4;

/// How many reports were begun. None comes to its end but the last.
static REPORTS: AtomicU32 = AtomicU32::new(0);

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
    // One report, however many CPUs have something to tell: it does not return on the others.
    let running = cpus::stop::others_stop();
    order::ignore();
    let out = &mut Consoles;
    // SAFETY: interrupts are off, the other CPUs stopped and this function does not return, so whoever held a console is not
    // coming back.
    unsafe {
        serial::seize();
        screen::seize();
    }
    // Each failure of the report leaves less of it: what is printed then must need less than what failed.
    let _ = match REPORTS.fetch_add(1, Ordering::SeqCst) {
        0 => {
            early::show_failure(crate::BOOT_INFO.get());
            tell_page(out, message, location, frame).and_then(|()| match running {
                0 => Ok(()),
                count => writeln!(out, "{count} other CPUs did not stop"),
            })
        }
        1 => {
            screen::end_page();
            screen::write(b"\x1b[m\x1b[?7h");
            tell_little(out, message, location, frame)
        }
        _ => {
            serial::write(b"\npanic: and again\n");
            Ok(())
        }
    };
    end()
}

/// Tells all of it, on the screen as one page: a photo of it has to do for whoever has no serial line.
fn tell_page(
    out: &mut Consoles,
    message: fmt::Arguments,
    location: Option<&core::panic::Location>,
    frame: Option<&Frame>,
) -> fmt::Result {
    serial::write(b"\n");
    screen::begin_page();
    let told = tell(out, message, location, frame);
    if screen::end_page() {
        screen::write(b"\x1b[?7h\r\x1b[K(the rest is on COM1)");
    }
    told
}

/// What failed in a report, and where.
fn tell_little(
    out: &mut Consoles,
    message: fmt::Arguments,
    location: Option<&core::panic::Location>,
    frame: Option<&Frame>,
) -> fmt::Result {
    writeln!(out, "\npanic: inside the report of a panic: {message}")?;
    match (location, frame) {
        (Some(location), _) => writeln!(out, "  at {location}"),
        (None, Some(frame)) => writeln!(out, "  at {:#x}", frame.instruction()),
        (None, None) => Ok(()),
    }
}

fn tell(
    out: &mut Consoles,
    message: fmt::Arguments,
    location: Option<&core::panic::Location>,
    frame: Option<&Frame>,
) -> fmt::Result {
    screen::write(b"\x1b[91m");
    writeln!(out, "panic: {message}")?;
    screen::write(b"\x1b[m");
    if cpus::all().nth(1).is_some() {
        writeln!(out, "  on CPU {}", percpu::index())?;
    }
    if let Some(location) = location {
        writeln!(out, "  at {location}")?;
    }
    let thread = threads::running();
    let pointer = match frame {
        Some(frame) => {
            let at = frame.instruction() as usize;
            writeln!(out, "  at {at:#x} {}", symbols::name_of(at))?;
            name(out, thread.as_ref())?;
            identity::tell(out, live().info.name)?;
            write!(out, "{frame}")?;
            if matches!(frame.vector(), PAGE_FAULT | DOUBLE_FAULT) {
                walk(out, VirtAddr(frame.fault_address()))?;
            }
            frame.frame_pointer() as usize
        }
        None => {
            name(out, thread.as_ref())?;
            identity::tell(out, live().info.name)?;
            backtrace::here()
        }
    };
    // A line a call: names may be long, and there is not much room for calls.
    screen::write(b"\x1b[?7l");
    writeln!(out, "called from:")?;
    // A thread's stack is mapped as long as there is the thread; the first one's, and those of exceptions, lie in the kernel's data.
    let on_stack = thread.map(|thread| thread.stack).filter(|stack| stack.contains(&pointer));
    let within = on_stack.unwrap_or_else(image::data);
    if let Some(frame) = frame.filter(|frame| !image::text().contains(&(frame.instruction() as usize))) {
        // The way went astray, and there is no function there that has a frame: who went is what the call has pushed.
        // SAFETY: as below.
        unsafe { backtrace::print_top(out, frame.stack() as usize, within.clone()) }?;
    }
    // SAFETY: the thread runs, so its stack is mapped; the kernel's data always is.
    unsafe { backtrace::print(out, pointer, within) }
}

/// Says which thread it was. The first one goes without saying.
fn name(out: &mut Consoles, thread: Option<&sched::Report>) -> fmt::Result {
    match thread.filter(|thread| thread.id.index() > 0) {
        Some(thread) => writeln!(out, "  in thread {} ({})", thread.id.index(), thread.name),
        None => Ok(()),
    }
}

/// Prints the way to `address` in the live tables.
fn walk(out: &mut Consoles, address: VirtAddr) -> fmt::Result {
    // Before there is a memory, the stub's tables are live, and there is nothing to learn from them.
    let Some(memory) = memory::installed().map(Memories::own_lock) else { return Ok(()) };
    let memory = memory.try_lock().unwrap_or_else(|| {
        // SAFETY: whoever holds the lock is not coming back (see `report`). What it guards may be half changed; the
        // walk reads entries through the window and depends on nothing else.
        unsafe { memory.raw().force_unlock() };
        memory.disown();
        memory.lock()
    });
    let routines = live();
    writeln!(out, "the way to {address:#x} in {}:", routines.info.name)?;
    let mut told = Ok(());
    (routines.path)(&memory, mode::current().root, address, &mut |step| told = told.and(writeln!(out, "  {step}")));
    told
}

/// The live mode.
fn live() -> &'static PagingRoutines {
    if mode::current().xpa { mm::FAMILY.xpa } else { mm::FAMILY.base }
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
        let error = frame.error();
        match frame.vector() {
            PAGE_FAULT => {}
            DOUBLE_FAULT if image::stack_guard().contains(address) => {
                // The page fault itself could not be delivered: there was no stack left to deliver it on.
                return write!(f, "stack overflow: {address:#x} lies in the guard page below the kernel's stack");
            }
            DOUBLE_FAULT
                if let Some(thread) = threads::running().filter(|thread| guard(thread).contains(&address.0)) =>
            {
                let (number, name) = (thread.id.index(), thread.name);
                write!(
                    f,
                    "stack overflow: {address:#x} lies in the guard pages below the stack of thread {number} ({name})"
                )?;
                return Ok(());
            }
            DOUBLE_FAULT => {
                write!(f, "double fault, error code {error:#x}: an exception could not be delivered; ")?;
                return write!(f, "the last page fault was about {address:#x}");
            }
            vector => {
                write!(f, "{}, error code {error:#x}", trap::name(vector))?;
                // With an error code it is about a segment.
                let maybe_address = matches!(vector, STACK_FAULT | GENERAL_PROTECTION) && error == 0;
                return if maybe_address { not_canonical(f, frame) } else { Ok(()) };
            }
        }
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

/// The addresses below the stack of `thread` at which nothing is mapped.
fn guard(thread: &sched::Report) -> Range<u64> {
    let start = thread.stack.start as u64;
    start.saturating_sub(Stack::GUARD_PAGES * PAGE_SIZE)..start
}

/// Names the registers that hold no canonical address: the CPU does not tell which address it complains about, nor keep
/// it. What was never meant to be one is named with the others.
fn not_canonical(f: &mut fmt::Formatter, frame: &Frame) -> fmt::Result {
    let info = &live().info;
    let mut between = "";
    for (name, value) in frame.general().into_iter().filter(|(_, value)| !info.is_canonical(VirtAddr(*value))) {
        if between.is_empty() {
            write!(f, ": not canonical in {}:", info.name)?;
        }
        write!(f, "{between} {name} {value:#x}")?;
        between = ",";
    }
    Ok(())
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
