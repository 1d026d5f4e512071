//! From the loader to the kernel.
#![no_std]
#![no_main]

mod image;
mod stub;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use boot::{BootInfo, Options};
use mm::{Kind, MemoryMap, PhysAddr, Region};
use spin::{Mutex, MutexGuard, Once};

static BOOT_INFO: Once<BootInfo<'static>> = Once::new();

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            arch::serial::write(part.trim_end_matches('\n').as_bytes());
            if part.ends_with('\n') {
                arch::serial::write(b"\r\n");
            }
        }
        Ok(())
    }
}

macro_rules! say {
    ($($what:tt)*) => { let _ = writeln!(Serial, $($what)*); };
}

/// Where the stub leads to: in the high half, on the stub's tables and stack.
///
/// # Safety
/// Called once, by the stub, with the copy of the boot information and the size that it says it has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boot_main(_magic: u32, info: *mut u8, info_bytes: usize) -> ! {
    arch::serial::init();
    // SAFETY: by this function's contract nobody else has the copy.
    let bytes = unsafe { core::slice::from_raw_parts_mut(info, stub::INFO_ROOM) };
    let info = BOOT_INFO.call_once(|| BootInfo::read(bytes, info_bytes));
    say!("loader: {}", info.loader());
    say!("command line: {:?}", info.command_line());
    let options = Options::parse(info.command_line(), |word| {
        say!("command line: '{word}' means nothing here and is ignored");
    });
    say!("{options:?}");
    for complaint in info.complaints().iter() {
        say!("boot information: {complaint}");
    }
    static STORAGE: Mutex<[Region; 4096]> =
        Mutex::new([const { Region { start: PhysAddr(0), end: PhysAddr(0), kind: Kind::Usable } }; 4096]);
    let mut map = MemoryMap::new(&mut MutexGuard::leak(STORAGE.lock())[..]);
    info.describe(&mut map);
    let image = image::physical();
    map.reserve(image.start, image.end, Kind::Image);
    for region in map.iter() {
        say!("memory: {:#014x} .. {:#014x} {}", region.start, region.end, region.kind);
    }
    say!("memory: {} KiB RAM, {} KiB usable", map.total_ram_kib(), map.total_usable_kib());
    for section in image::sections() {
        say!(
            "image: {:10} {:#x} {:#x} pages, frame {:#x}",
            section.name,
            section.pages.start,
            section.pages.pages,
            section.first
        );
    }
    say!("acpi: {:?}", info.acpi_root());
    say!("framebuffer: {:?}", info.framebuffer());
    say!("symbols: {:?}", info.symbols());
    for module in info.modules() {
        say!("module: {module:?}");
    }
    if map.total_ram_kib() < 15 * 1024 {
        say!("Strata needs 16 MiB of RAM");
    }
    say!("{:?}", arch::cpu::features());
    loop {
        arch::interrupts::wait();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    say!("panic: {}", info.message());
    arch::interrupts::halt()
}
