//! The common kernel: what it is all for.
//!
//! It is the same for both architectures and all four modes. Of page tables it knows the routine table and the
//! [`KernelMap`](mm::KernelMap), of the machine the trait [`Platform`]; it never sees `arch`, `boot` or a format, and has
//! no unsafe code: what needs some belongs behind a safe face of `mm`, or behind [`Platform`].
//!
//! [`start`] is handed a [`Machine`], says in one line what came up, runs the self-tests if the command line asks for
//! them, and listens at the prompt. The prompt's commands read the [`Machine`] and print; what they print is made in
//! `show`, a file a command, out of what the visitor of the tables reports and without a heap.
//!
//! What must never come in: anything that depends on how many levels the tables have.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod apic;
mod atlas;
mod audit;
mod bench;
mod clock;
mod console;
mod cpus;
mod fault;
mod hammer;
mod lines;
pub mod log;
mod machine;
mod memory;
mod modes;
mod pager;
mod peek;
mod platform;
mod power;
mod prompt;
mod registers;
mod selftest;
mod show;
mod tables;
pub mod threads;
mod typed;

pub use clock::Clock;
pub use lines::Lines;
pub use machine::{BootFacts, Machine};
pub use memory::{Alone, CpuMemory, Memories};
pub use platform::{
    CallFailure, CpuFacts, CpuSpaces, CpuState, Fault, Input, LineRoute, Platform, Reference, Registers, Reset, Sleep,
    StartFailure, Started, Tick, Time, Unfit,
};

use core::fmt::Write;

use ::log::info;
use mm::{FrameRun, Memory, PAGE_SIZE};

use console::Console;

/// Runs the kernel.
pub fn start(mut machine: Machine) -> ! {
    let mut console = Console::new(machine.platform);
    take_stock(&machine);
    tables::find_lists(&mut machine);
    clock::find(&mut machine);
    threads::start(&mut machine);
    if let Some((listed, own)) = apic::open(&mut machine) {
        lines::route(&mut machine, &listed.wiring);
        cpus::start(&mut machine, listed.cpus, own);
    }
    audit::at_boot(&mut console, &machine);
    // A console that fails has nobody to complain to.
    let _ = ready(&mut console, &machine);
    clock::measure(&mut machine);
    #[cfg(feature = "inject")]
    {
        let (met, refused) = machine.memory.lock().fail_after(None);
        info!("frames: {met} requests were met, {refused} refused");
    }
    machine.platform.listen();
    clock::start_tick(&mut machine);
    if machine.boot.selftest {
        let passed = selftest::run(&mut console, &mut machine, "").unwrap_or(false);
        machine.platform.exit(passed);
    }
    prompt::listen(&mut console, &mut machine)
}

/// Logs how much memory there is to work with.
fn take_stock(machine: &Machine) {
    let memory = machine.memory.lock();
    let kib = |frames: u64| frames * (PAGE_SIZE / 1024);
    info!(
        "memory: {} KiB of RAM, {} KiB of it free, {} KiB within reach of the aperture",
        machine.memory_map.total_ram_kib(),
        kib(memory.free_frames()),
        kib(machine.memory_map.ram_runs().map(|run| seen_by(&memory, run)).sum()),
    );
}

/// How many frames of `run` the aperture shows.
fn seen_by(memory: &Memory, run: FrameRun) -> u64 {
    FrameRun::between(run.first, run.end().min(memory.window.frames().end())).count
}

/// The line that says that the kernel is up, and in which mode.
///
/// `ram_kib` is the RAM that the kernel manages, whether it is free or not: what the loader lists as usable or as
/// reclaimable, the kernel's image, the loader's information and the frame allocator's metadata included. Firmware's
/// own memory, page 0, parts of pages and whatever lies beyond `pa_bits` do not count.
#[inline(never)] // tools/bench-boot stops here.
fn ready(console: &mut Console, machine: &Machine) -> core::fmt::Result {
    let paging = &machine.selection.paging;
    let info = &paging.routines.info;
    writeln!(
        console,
        "ready: arch={} mode={} xpa={} nx={} va_bits={} pa_bits={} ram_kib={} cpus={}",
        machine.boot.arch,
        info.name,
        machine.selection.xpa,
        if paging.limits.no_execute { "on" } else { "off" },
        info.va_bits,
        paging.limits.phys_bits,
        machine.memory_map.total_ram_kib(),
        cpus::count(machine),
    )
}
