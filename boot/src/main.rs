//! The way through the house.
//!
//! ```text
//! GRUB -> stub -> boot_main: BootInfo -> MemoryMap -> Memory -> select -> KernelMap -> enter -> kernel::start
//! ```
//!
//! Each step takes what the one before it made, so that the order cannot be got wrong. What the loader said is read in
//! the library beside this binary; what the CPU can do is in `arch`, paging and memory in `mm`, and everything that
//! comes afterwards in `kernel`. Here they meet, and nowhere else.
#![no_std]
#![no_main]

extern crate alloc;

mod backtrace;
mod cpus;
mod display;
mod early;
mod heap;
mod identity;
mod image;
mod memory;
mod panic;
mod platform;
mod stub;
mod symbols;
mod threads;

use arch::keyboard::Found;
use arch::{clock, cpu, descriptors, keyboard, mode, preempt, screen, serial};
use boot::{BootInfo, Extent, Options};
use kernel::{BootFacts, Clock, Lines, Machine};
use log::{debug, error, info, warn};
use mm::{FrameRun, KernelMap, Kind, Layout, MapError, Memory, MemoryMap, PhysAddr, Section, Selection, Window};
use spin::Once;

use platform::PC;

/// What the stub has mapped at the start of the aperture: RAM that can be reached before the final tables are built.
#[cfg(target_arch = "x86")]
const BOOT_WINDOW: u64 = 64 << 20;
/// What the stub has mapped at the start of the aperture: RAM that can be reached before the final tables are built.
#[cfg(target_arch = "x86_64")]
const BOOT_WINDOW: u64 = 4 << 30;

#[cfg(target_arch = "x86")]
const ARCH: &str = "i686";
#[cfg(target_arch = "x86_64")]
const ARCH: &str = "x86_64";

static BOOT_INFO: Once<BootInfo<'static>> = Once::new();

/// Where the stub leads to: in the high half, on the stub's tables and stack.
///
/// # Safety
/// Called once, by the stub, with the copy of the boot information and the size that it says it has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boot_main(_magic: u32, info: *mut u8, info_bytes: usize) -> ! {
    clock::begin();
    preempt::prepare();
    let com1 = serial::init();
    // SAFETY: by this function's contract nobody else has the copy.
    let bytes = unsafe { core::slice::from_raw_parts_mut(info, stub::INFO_ROOM) };
    let said = BOOT_INFO.call_once(|| BootInfo::read(bytes, info_bytes));
    early::show_letters(said);
    // SAFETY: called once, in ring 0, on the stub's flat segments.
    unsafe { descriptors::load() };
    panic::install();
    threads::install();
    kernel::log::init(&PC);
    info!("Strata {} for {ARCH}, loaded by {}", env!("CARGO_PKG_VERSION"), said.loader().escape_debug());
    log_com1(com1);
    match bring_up(said) {
        Ok(machine) => kernel::start(machine),
        Err(reason) => {
            early::show_failure(Some(said));
            error!("cannot start: {reason} (code {}; docs/troubleshooting.md tells what to try)", reason.code());
            if Options::parse(said.command_line(), |_| ()).selftest {
                kernel::Platform::exit(&PC, false);
            }
            arch::interrupts::halt()
        }
    }
}

/// Logs whether there is a COM1, and how that was decided.
fn log_com1(com1: Result<serial::Found, serial::Absent>) {
    match com1 {
        Ok(serial::Found { chip, typed, dropped: 0 }) => debug!("COM1: {chip}; {typed} bytes typed before are kept"),
        Ok(serial::Found { chip, typed, dropped }) => {
            info!("COM1: {chip}; of what was typed before, {typed} bytes are kept and {dropped} lost");
        }
        Err(absent) => info!("COM1: not used: {absent}"),
    }
}

/// Why the kernel cannot start.
#[derive(Debug)]
enum Refusal {
    Memory(memory::Shortage),
    Tables(MapError),
}

impl Refusal {
    /// Its number in docs/troubleshooting.md. The stub has those before.
    const fn code(&self) -> u32 {
        match self {
            Refusal::Memory(memory::Shortage::NoMap) => 4,
            Refusal::Memory(memory::Shortage::TooLittle(_)) => 5,
            Refusal::Memory(memory::Shortage::NoRoom(_)) => 6,
            Refusal::Memory(memory::Shortage::Refused(_)) => 7,
            Refusal::Tables(_) => 8,
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self {
            Refusal::Memory(shortage) => shortage.fmt(f),
            Refusal::Tables(error) => write!(f, "the kernel's page tables: {error}"),
        }
    }
}

fn bring_up(said: &'static BootInfo<'static>) -> Result<Machine, Refusal> {
    let options = read_command_line(said);
    let features = cpu::features();
    let selection = mm::select(&mm::FAMILY, &features, mm::Options { no_xpa: options.no_xpa });
    let info = &selection.paging.routines.info;
    info!("{}: {}", info.name, selection.reason);
    identity::install(&selection, said.command_line());
    debug!("command line: '{}'", said.command_line().escape_debug());
    debug!("CPU: {features:?}");

    let mut map = read_memory_map(said, &selection);
    let mut memory = memory::take_stock(&mut map, boot_window(), &Layout::of(info)).map_err(Refusal::Memory)?;
    #[cfg(feature = "inject")]
    memory.fail_after(options.fail_after);
    // SAFETY: the features are the CPU's own, and the stub's tables use none of the bits that this gives a meaning.
    unsafe { cpu::prepare(&features) };
    let mut tables = lift(&mut memory, &selection, &map).map_err(Refusal::Tables)?;

    display::show(said, &map, &mut tables, &mut memory);
    find_keyboard(&options);
    find_symbols(said, &map, &mut tables, &mut memory);
    let boot = BootFacts {
        arch: ARCH,
        command_line: said.command_line(),
        loader: said.loader(),
        acpi: said.acpi_lists(),
        selftest: options.selftest,
        max_cpus: options.max_cpus,
    };
    let memory = memory::install(memory);
    Ok(Machine {
        platform: &PC,
        memory,
        map: tables,
        selection,
        features,
        memory_map: map,
        clock: Clock::default(),
        lines: Lines::default(),
        boot,
    })
}

fn read_command_line(said: &BootInfo) -> Options {
    for complaint in said.complaints().iter() {
        warn!("boot information: {complaint}");
    }
    if said.complaints().more() > 0 {
        warn!("boot information: {} more things are wrong with it", said.complaints().more());
    }
    Options::parse(said.command_line(), |misuse| warn!("command line: {misuse}"))
}

/// Puts what the loader said about memory in order, and takes out what the kernel itself lies in and what this CPU
/// cannot address in the mode that was chosen.
fn read_memory_map(said: &BootInfo, selection: &Selection) -> MemoryMap<'static> {
    let mut map = memory::empty_map();
    let outside = said.describe(&mut map);
    if outside > 0 {
        warn!("boot information: {outside} bytes of modules or sections lie where there is no RAM");
    }
    let image = image::frames();
    // It runs there, so there is RAM, and nobody else's: only what is RAM is mapped.
    let denied = map.overrule(image.first.start(), image.end().start(), Kind::Image);
    if denied > 0 && said.memory().next().is_some() {
        warn!(
            "boot information: {} KiB of the kernel's image are no RAM, says the memory map; it is wrong",
            denied >> 10
        );
    }
    // The real-mode vectors and the BIOS's data, and what a null pointer would find.
    map.reserve(PhysAddr(0), PhysAddr(mm::PAGE_SIZE), Kind::Reserved);
    let bits = selection.paging.limits.phys_bits;
    let cut = map.cut_at(bits);
    if cut > 0 {
        let mode = selection.paging.routines.info.name;
        warn!(
            "memory: {} KiB lie beyond the {bits} physical address bits of this CPU in {mode} and are left alone",
            cut >> 10
        );
    }
    let losses = map.losses();
    if losses.joined + losses.dropped > 0 {
        warn!(
            "memory: too many regions: {} were joined with others, {} KiB of RAM in {} runs are given up",
            losses.joined,
            losses.dropped_bytes >> 10,
            losses.dropped
        );
    }
    if losses.clamped > 0 {
        warn!("memory: {} regions reach beyond what any CPU can address and were cut off", losses.clamped);
    }
    map
}

/// Builds the final tables and enters them, in whatever mode they are for.
fn lift(memory: &mut Memory, selection: &Selection, map: &MemoryMap) -> Result<KernelMap, MapError> {
    static SECTIONS: Once<[Section; image::SECTIONS]> = Once::new();
    let sections = SECTIONS.call_once(image::sections);
    let mut tables = KernelMap::build(memory, selection.paging, sections, map.ram_runs())?;
    let page = mode::trampoline();
    tables.map_identity(memory, page)?;
    // The stub's window is gone with its tables.
    screen::detach();
    // SAFETY: the stub's tables map the image, the stack in it, and all low memory at its physical address; the new
    // ones have the first two from their plan and the page of the mode switch from the line before.
    unsafe { platform::enter(&tables, memory) };
    // SAFETY: CR3 points to them.
    unsafe { tables.set_live(true) };
    tables.unmap_identity(memory, page, kernel::Platform::mmu(&PC))?;
    debug!("page tables: root at {:#x}", tables.tables().root().start());
    Ok(tables)
}

/// Sets the keyboard up, if there is one.
fn find_keyboard(options: &Options) {
    let layout = options.keys.name();
    match keyboard::init(options.keys) {
        Found::Keyboard => debug!("keyboard: PS/2, layout {layout}"),
        Found::Controller => {
            debug!("keyboard: none answers at the PS/2 controller; layout {layout} if one is plugged in")
        }
        Found::Deaf => info!("keyboard: the PS/2 controller takes no commands; it is listened to all the same"),
        Found::Nothing => info!("keyboard: no PS/2 controller"),
    }
}

/// Keeps the symbol table at hand that the loader left in memory.
fn find_symbols(said: &BootInfo, map: &MemoryMap, tables: &mut KernelMap, memory: &mut Memory) {
    let Some(found) = said.symbols() else {
        warn!("no symbols: the loader did not keep the kernel's symbol table");
        return;
    };
    let mut shown = |extent: Extent| {
        let end = PhysAddr(extent.start.0.checked_add(extent.bytes)?);
        let frames =
            FrameRun::between(extent.start.frame(), PhysAddr(end.0.checked_next_multiple_of(mm::PAGE_SIZE)?).frame());
        let loaded =
            (frames.first.0..frames.end().0).all(|frame| map.kind_of(mm::Frame(frame)) == Some(Kind::BootInfo));
        let at = if loaded {
            tables.map_constant(memory, "symbols", extent.start, extent.bytes).ok()?
        } else {
            return None;
        };
        // SAFETY: mapped for good, read-only, and the map keeps the frames for what the loader left there.
        Some(unsafe { core::slice::from_raw_parts(at.0 as usize as *const u8, extent.bytes as usize) })
    };
    match (shown(found.symbols), shown(found.strings)) {
        (Some(table), Some(strings)) => {
            symbols::install(table, strings);
            debug!("symbols: {} bytes at {:#x}", table.len(), found.symbols.start.0);
        }
        _ => warn!("no symbols: the symbol table is not where the loader says it is"),
    }
}

/// What the stub has mapped of the aperture.
fn boot_window() -> Window {
    let base = mm::FAMILY.base.info.kernel_half().0 as usize as *mut u8;
    // SAFETY: the stub maps it for as long as its tables are live, and the window is replaced when they are left.
    // Only RAM that the memory map lists is looked for in it.
    unsafe { Window::new(base, FrameRun::between(mm::Frame(0), PhysAddr(BOOT_WINDOW).frame())) }
}
