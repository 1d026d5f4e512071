//! The screen in the final tables, for as long as the kernel runs.

use core::fmt;

use ::screen::{Geometry, Unusable};
use arch::screen;
use boot::{BootInfo, Framebuffer, MadeOf};
use log::{info, warn};
use mm::{Cache, FrameRun, KernelMap, MapError, Memory, MemoryMap, PAGE_SIZE, PhysAddr};

/// Why a framebuffer is not drawn on.
enum Refused {
    /// It makes no sense in itself.
    Unusable(Unusable),
    /// It runs past the last address that there is.
    Wraps,
    /// There is RAM where it should be, at this address: whoever has that would be drawn over.
    Ram(PhysAddr),
    /// It cannot be mapped.
    Unmapped(MapError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Refused::Unusable(reason) => reason.fmt(f),
            Refused::Wraps => f.write_str("it runs past the last address that there is"),
            Refused::Ram(at) => write!(f, "at {at:#x} there is RAM"),
            Refused::Unmapped(error) => write!(f, "it cannot be mapped: {error}"),
        }
    }
}

/// Shows the screen that was handed over: letters uncached, pixels write-combining; neither through the aperture, in which
/// devices have no place. What is wrong with it is logged, and there is no screen then.
pub fn show(said: &BootInfo, map: &MemoryMap, tables: &mut KernelMap, memory: &mut Memory) {
    let Some(Framebuffer { address, made_of }) = said.framebuffer() else {
        info!("screen: none was handed over");
        return;
    };
    match made_of {
        MadeOf::Letters { columns, lines } => {
            match tables.map_device(memory, "vga", screen::TEXT, screen::TEXT_BYTES, Cache::Uncached) {
                // SAFETY: it is mapped, for good.
                Ok(at) => unsafe { screen::attach_text(at.0 as usize as *mut u8, columns as usize, lines as usize) },
                Err(error) => warn!("screen: the text screen cannot be mapped: {error}"),
            }
        }
        MadeOf::Pixels(geometry) => match show_pixels(address, geometry, map, tables, memory) {
            Ok(()) => {
                let Geometry { width, height, depth, .. } = geometry;
                info!("screen: {width} by {height} pixels of {depth} bits at {address:#x}");
            }
            Err(reason) => warn!("screen: the framebuffer at {address:#x} is not used: {reason}"),
        },
    }
}

fn show_pixels(
    address: PhysAddr,
    geometry: Geometry,
    map: &MemoryMap,
    tables: &mut KernelMap,
    memory: &mut Memory,
) -> Result<(), Refused> {
    geometry.check().map_err(Refused::Unusable)?;
    let end = address.0.checked_add(geometry.bytes()).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    let frames = FrameRun::between(address.frame(), PhysAddr(end.ok_or(Refused::Wraps)?).frame());
    let meets = |run: FrameRun| run.first < frames.end() && frames.first < run.end();
    if let Some(run) = map.ram_runs().find(|run| meets(*run)) {
        return Err(Refused::Ram(run.first.max(frames.first).start()));
    }
    let at = tables
        .map_device(memory, "framebuffer", address, geometry.bytes(), Cache::WriteCombining)
        .map_err(Refused::Unmapped)?;
    // SAFETY: all its lines are mapped, for good.
    unsafe { screen::attach_pixels(at.0 as usize as *mut u8, geometry) }.map_err(Refused::Unusable)
}
