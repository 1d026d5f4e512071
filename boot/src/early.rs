//! The screen while the stub's tables are live: letters from the start, pixels only when the boot has failed.
//!
//! Drawing on a framebuffer that is not write-combining takes seconds, so that a boot that goes well waits for its final
//! tables. One that fails has none, and its last words are worth the wait. The stub has left tables without entries for
//! this.

use ::screen::Geometry;
use arch::{KERNEL_OFFSET, cpu, mode, screen};
use boot::{BootInfo, Framebuffer, MadeOf};
use mm::PhysAddr;

use crate::{boot_window, image};

/// What the tables that the stub has left can map, and how: on i686 4 KiB pages, as on every one of its CPUs.
#[cfg(target_arch = "x86")]
mod spare {
    pub type Entry = u32;
    pub const BASE: usize = 0xF000_0000;
    pub const PAGE: u64 = 4 << 10;
    pub const ENTRIES: usize = super::TABLES * 1024;
    pub const FLAGS: Entry = super::DEVICE as Entry;
    pub const PHYS_BITS: u32 = 32;
}
/// What the tables that the stub has left can map, and how: on x86_64 2 MiB pages.
#[cfg(target_arch = "x86_64")]
mod spare {
    pub type Entry = u64;
    pub const BASE: usize = 0xFFFF_8000_0000_0000 + (511 << 30);
    pub const PAGE: u64 = 2 << 20;
    pub const ENTRIES: usize = 512;
    /// PS: an entry maps 2 MiB.
    pub const FLAGS: Entry = super::DEVICE | 1 << 7;
    pub const PHYS_BITS: u32 = 52;
}

/// How many tables for a framebuffer the stub leaves on i686: 36 MiB, which is 3840 by 2160 pixels of 32 bits.
#[cfg(target_arch = "x86")]
pub const TABLES: usize = 9;

/// Present, writable, and with PCD: uncached, unless the MTRRs say write-combining (SDM vol. 3A, 12.5.2.1).
const DEVICE: u64 = 1 << 4 | 1 << 1 | 1 << 0;

/// What a screen is like of which nobody said anything, if there is one.
const GUESS: MadeOf = MadeOf::Letters { columns: 80, lines: 25 };

unsafe extern "C" {
    /// The root of the stub's tables.
    static boot_root: u8;
    /// The tables without entries.
    static mut boot_spare: [spare::Entry; spare::ENTRIES];
}

/// Shows text on the card's text screen, if that is what there is. The stub's tables must be live, and whoever leaves them
/// has to [`screen::detach`].
pub fn show_letters(said: &BootInfo) {
    if let Some(Framebuffer { made_of: MadeOf::Letters { columns, lines }, .. }) = said.framebuffer() {
        attach_letters(columns, lines);
    }
}

/// Has what was written and is about to be written seen after all, because the boot has failed. Does nothing once the
/// stub's tables have been left: the screen is there then, or there is none.
pub fn show_failure(said: Option<&BootInfo>) {
    let root = PhysAddr((&raw const boot_root as u64).wrapping_sub(KERNEL_OFFSET)).frame();
    if mode::current().root != root {
        return;
    }
    let framebuffer = said.and_then(BootInfo::framebuffer);
    match framebuffer.map_or(GUESS, |framebuffer| framebuffer.made_of) {
        MadeOf::Letters { columns, lines } => attach_letters(columns, lines),
        MadeOf::Pixels(geometry) => {
            let address = framebuffer.map_or(0, |framebuffer| framebuffer.address.0);
            if let Some(memory) = map(address, &geometry) {
                // SAFETY: its lines are mapped, for as long as the stub's tables are live, and this boot goes no further.
                // A framebuffer that cannot be drawn on has no one to be reported to.
                let _ = unsafe { screen::attach_pixels(memory, geometry) };
            }
        }
    }
}

fn attach_letters(columns: u32, lines: u32) {
    // SAFETY: the stub's window shows the card's memory, and `lift` detaches the screen before it is left. It is mapped
    // write-back there, but the firmware's MTRRs keep it uncached.
    unsafe { screen::attach_text(boot_window().at(screen::TEXT.frame()), columns as usize, lines as usize) };
}

/// Maps the framebuffer at the physical address `address` by the tables that the stub has left, if they reach.
fn map(address: u64, geometry: &Geometry) -> Option<*mut u8> {
    geometry.check().ok()?;
    let end = address.checked_add(geometry.bytes())?;
    if end > 1 << cpu::features().phys_bits.min(spare::PHYS_BITS) {
        return None;
    }
    let image = image::frames();
    if address < image.end().start().0 && end > image.first.start().0 {
        return None;
    }
    let first = address & !(spare::PAGE - 1);
    let pages = (end - first).div_ceil(spare::PAGE) as usize;
    if pages > spare::ENTRIES {
        return None;
    }
    let entries = (&raw mut boot_spare).cast::<spare::Entry>();
    for page in 0..pages {
        let entry = (first + page as u64 * spare::PAGE) as spare::Entry | spare::FLAGS;
        // SAFETY: within the tables that the stub has left for this. What is mapped there is used by nobody, and by the CPU
        // only for addresses that nobody has used before.
        unsafe { entries.add(page).write_volatile(entry) };
    }
    Some((spare::BASE + (address - first) as usize) as *mut u8)
}
