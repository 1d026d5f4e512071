//! NMIs while the mode changes: each is reported, wherever in the change it comes.
//!
//! The change runs on one page of the image, on which the kernel's own tables do not serve. QEMU's stub for gdb stops the machine
//! there, the monitor raises the NMI, and the machine goes on: it may not be reset, and the report is that of any other NMI.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::check::register;
use crate::faults;
use crate::qemu::Machine;
use crate::row::{Kernel, Mode, Row};

/// What changes the mode, a hundred times and back.
const LIFTS: &str = "selftest lift.hundred_times\r";

/// The page's size, and how many instructions run on it at most.
const PAGE: u64 = 4096;
const INSTRUCTIONS: usize = 100;

/// Where the NMI comes.
#[derive(Clone, Copy, Debug)]
enum At {
    /// On the page, with paging on as before.
    Before,
    /// In 32-bit code with paging on: the x86_64 kernel comes through compatibility mode.
    Compatible,
    /// With paging off.
    Unpaged,
    /// With paging on again, in the other mode.
    Behind,
    /// So long after the first lift began: mostly off the page.
    After(Duration),
}

/// Sends an NMI at each of these places, on a machine of its own.
pub fn check(row: &Row, iso: &Path, folder: &Path, root: &Path, mode: Mode) -> Result<String, String> {
    let page = page(root, row.kernel)?;
    let places = [At::Before, At::Compatible, At::Unpaged, At::Behind, At::After(Duration::from_millis(50))];
    let long = row.kernel == Kernel::X86_64;
    let mut tried = 0;
    for place in places.into_iter().filter(|place| long || !matches!(place, At::Compatible)) {
        let mut machine = faults::start(row, iso, folder, mode)?;
        let from = machine.position();
        send(&mut machine, page, place).map_err(|error| format!("an NMI {place:?}: {error}"))?;
        faults::nmi(&mut machine, from, row.kernel, mode).map_err(|error| format!("an NMI {place:?}: {error}"))?;
        tried += 1;
    }
    Ok(format!("{tried} NMIs during a lift are reported"))
}

/// Begins a lift, and sends an NMI at `place`.
fn send(machine: &mut Machine, page: u64, place: At) -> Result<(), String> {
    if let At::After(time) = place {
        machine.type_keys(LIFTS)?;
        thread::sleep(time);
        return machine.send_monitor("nmi");
    }
    let mut gdb = machine.gdb()?;
    gdb.run_to(page, || machine.type_keys(LIFTS))?;
    let mut unpaged = false;
    for step in 0..INSTRUCTIONS {
        let text = machine.monitor("info registers")?;
        let at = register(&text, "RIP").or_else(|_| register(&text, "EIP"))?;
        if !(page..page + PAGE).contains(&at) {
            return Err(format!("the change is over after {step} instructions, at {at:#x}"));
        }
        let paged = register(&text, "CR0")? >> 31 != 0;
        unpaged |= !paged;
        let here = match place {
            // The first loads the page's own IDT, the second its own GDT.
            At::Before => step == 3,
            At::Compatible => paged && !unpaged && text.contains("CS =0018"),
            At::Unpaged => !paged,
            At::Behind => paged && unpaged,
            At::After(_) => false,
        };
        if here {
            machine.monitor("nmi")?;
            return gdb.detach();
        }
        gdb.step()?;
    }
    Err(format!("there is no such place in {INSTRUCTIONS} instructions"))
}

/// The physical address of the page on which the mode changes.
fn page(root: &Path, kernel: Kernel) -> Result<u64, String> {
    let file = root.join(format!("build/strata-{}.elf", kernel.name()));
    let output = Command::new("nm").arg(&file).output().map_err(|error| format!("nm: {error}; ./setup installs it"))?;
    let symbols = String::from_utf8_lossy(&output.stdout);
    let line = symbols.lines().find(|line| line.ends_with(" mode_page"));
    let address = line.and_then(|line| u64::from_str_radix(line.split(' ').next()?, 16).ok());
    let high = if kernel == Kernel::I686 { 0xC000_0000 } else { 0xFFFF_FFFF_8000_0000 };
    address.map(|address| address - high).ok_or(format!("{} has no symbol mode_page", file.display()))
}
