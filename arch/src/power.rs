//! Leaving: restart, power off, and the way out of an emulator.

use core::arch::asm;

use x86::dtables::{DescriptorTablePointer, lidt};
use x86::io::{inb, inw, outb, outl, outw};

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

/// Of the PM1 control registers: the machine is in the kernel's hands, and the field and the bit that turn it off.
const SCI_ENABLED: u16 = 1 << 0;
const SLEEP_TYPE_SHIFT: u32 = 10;
const SLEEP_TYPE_MASK: u16 = 7 << SLEEP_TYPE_SHIFT;
const SLEEP_ENABLE: u16 = 1 << 13;

/// The ports through which PCI configuration space is reached.
const PCI_ADDRESS: u16 = 0xCF8;
const PCI_DATA: u16 = 0xCFC;

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

/// Restarts the machine through this port. Returns if that is not what the port does.
pub fn reset_by_port(port: u16, value: u8) {
    interrupts::disable();
    // SAFETY: the machine is to be reset, and its tables say that this resets it.
    unsafe { outb(port, value) };
    pause();
}

/// Restarts the machine through a register of a PCI device on bus 0. Returns if that is not what the register does.
pub fn reset_by_pci(device: u8, function: u8, offset: u8, value: u8) {
    let address = 1 << 31 | u32::from(device & 31) << 11 | u32::from(function & 7) << 8 | u32::from(offset & !3);
    interrupts::disable();
    // SAFETY: as in `reset_by_port`; these are the ports through which configuration space is reached (PCI Local Bus
    // Specification 3.0, 3.2.2.3.2).
    unsafe {
        outl(PCI_ADDRESS, address);
        outb(PCI_DATA + u16::from(offset & 3), value);
    }
    pause();
}

/// Puts the machine into the state that the tables call off. Returns if it is still on.
///
/// `control` are the ports of the control registers, `types` what to write to each, and `enable` the port and the value that
/// take the machine over from the firmware (ACPI Specification 6.5, 4.8.3.2).
pub fn sleep(enable: Option<(u16, u8)>, control: [Option<u16>; 2], types: [u8; 2]) {
    let Some(first) = control[0] else { return };
    interrupts::disable();
    // SAFETY: the machine is to be turned off, and its tables say that these are the ports to do it by.
    unsafe {
        if let Some((port, value)) = enable
            && inw(first) & SCI_ENABLED == 0
        {
            outb(port, value);
            // The firmware may take its time, but not for ever.
            let _ = (0..30).find(|_| {
                pause();
                inw(first) & SCI_ENABLED != 0
            });
        }
        for (port, kind) in control.into_iter().zip(types) {
            if let Some(port) = port {
                let kept = inw(port) & !(SLEEP_TYPE_MASK | SLEEP_ENABLE);
                outw(port, kept | u16::from(kind) << SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK | SLEEP_ENABLE);
            }
        }
    }
    pause();
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
