//! Leaving: restart, power off, and the way out of an emulator.

use core::arch::asm;

use x86::dtables::{DescriptorTablePointer, lidt};
use x86::io::{inb, outb, outl, outw};

use crate::interrupts;

/// The keyboard controller's command and status port.
const I8042: u16 = 0x64;

/// The reset control register of PCI chipsets.
const RESET_CONTROL: u16 = 0xCF9;

/// QEMU's isa-debug-exit, as the project starts it.
const DEBUG_EXIT: u16 = 0xF4;

/// PM1a control registers where emulators have them, and what turns the machine off there: QEMU, Bochs and old QEMU,
/// VirtualBox. A real machine says in its ACPI tables where its own is; nothing is at these ports there.
const SLEEP: [(u16, u16); 3] = [(0x604, 0x2000), (0xB004, 0x2000), (0x4004, 0x3400)];

/// Restarts the machine: by the keyboard controller, which pulls the CPU's reset line on every PC since the AT, then by
/// the chipset, then by a fault that the CPU cannot deliver.
pub fn reboot() -> ! {
    interrupts::disable();
    // SAFETY: the machine is to be reset, so it does not matter what else these ports do. The wait for room in the
    // controller's buffer is bounded: a machine may have none.
    unsafe {
        let _ = (0..0x10000).find(|_| inb(I8042) & 2 == 0);
        outb(I8042, 0xFE);
        pause();
        outb(RESET_CONTROL, 0x02);
        outb(RESET_CONTROL, 0x06);
        pause();
        lidt(&DescriptorTablePointer::<u64>::default());
        asm!("int3");
    }
    interrupts::halt()
}

/// Waits for a reset that is on its way; an access to an unused port takes about a microsecond.
fn pause() {
    for _ in 0..100_000 {
        // SAFETY: port 0x80 takes the firmware's progress codes; reading it has no effect.
        unsafe { inb(0x80) };
    }
}

/// Turns an emulated machine off. Returns if it is still on.
pub fn power_off() {
    for (port, value) in SLEEP {
        // SAFETY: the machine is to be turned off; no PC has anything else at these ports.
        unsafe { outw(port, value) };
    }
}

/// Leaves QEMU by way of isa-debug-exit; its exit status is `code * 2 + 1`. Returns on a machine without that device.
pub fn debug_exit(code: u32) {
    // SAFETY: a PC has nothing at this port.
    unsafe { outl(DEBUG_EXIT, code) };
}
