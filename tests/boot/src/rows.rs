//! The matrix, as data: to add a machine is to add a line.

use crate::faults::{self, Has};
use crate::flood::Flood;
use crate::row::Firmware::{UefiIa32, UefiX64};
use crate::row::Medium::{AhciCd, AhciDisk, UsbEhci, UsbXhci};
use crate::row::Mode::{Pml2, Pml3, Pml4, Pml5};
use crate::row::Xpa::{Off, On, Unsupported};
use crate::row::{Expect, Mode, Row, i686, x86_64};
use crate::{hostile, qemu};

/// What brings the lines of QEMU's machines to their CPUs.
const PC_LINES: &str = "lines: I/O APIC 0 at 0xfec00000, GSI 0-23";

/// Every machine, and what has to come up on it.
pub fn rows() -> Vec<Row> {
    let mut rows = machines();
    rows.extend(hostile::rows());
    if qemu::is_another() {
        rows.extend(second());
    }
    rows
}

/// What QEMU 10 has to show: each mode with four CPUs, and each firmware. QEMU 7.2 has no x2APIC under TCG, and gives a `coreduo` 32
/// physical address bits in place of 36.
fn second() -> Vec<Row> {
    const REACHED: &str = "cpus: 3 beside the first, reached by x2APIC";
    const CPU: &str = "max,+x2apic";
    vec![
        i686("second: BIOS, pml2", CPU, "256M").on64().cpus(4).noxpa().ready(Pml2, Off, false, 32).says(REACHED),
        i686("second: UEFI ia32, pml3", "coreduo", "512M").cpus(4).firmware(UefiIa32).ready(Pml3, On, true, 36),
        x86_64("second: BIOS, pml4", CPU, "256M").cpus(4).noxpa().ready(Pml4, Off, true, 40).says(REACHED),
        x86_64("second: UEFI x64, pml5", CPU, "512M").cpus(4).firmware(UefiX64).ready(Pml5, On, true, 40).says(REACHED),
    ]
}

fn machines() -> Vec<Row> {
    vec![
        // The i686 kernel on CPUs with two levels only.
        i686("486 without PSE", "486,-pse", "64M").ready(Pml2, Unsupported, false, 32),
        i686("486 without PSE, 16 MiB", "486,-pse", "16M").ready(Pml2, Unsupported, false, 32),
        i686("486 without PSE, NOXPA", "486,-pse", "64M").noxpa().ready(Pml2, Unsupported, false, 32),
        i686("486", "486", "16M").ready(Pml2, Unsupported, false, 32),
        i686("486, NOXPA", "486", "256M").noxpa().ready(Pml2, Unsupported, false, 32),
        i686("pentium", "pentium", "256M").quick().ready(Pml2, Unsupported, false, 32),
        i686("pentium, NOXPA", "pentium", "256M").noxpa().ready(Pml2, Unsupported, false, 32),
        // With PAE.
        i686("pentium3", "pentium3", "256M").ready(Pml3, On, false, 36),
        i686("pentium3, 16 MiB", "pentium3", "16M").ready(Pml3, On, false, 36),
        i686("pentium3, NOXPA", "pentium3", "256M").noxpa().ready(Pml2, Off, false, 32),
        i686("coreduo", "coreduo", "1G").ready(Pml3, On, true, 32),
        i686("coreduo without NX", "coreduo,-nx", "1G").ready(Pml3, On, false, 32),
        i686("coreduo, NOXPA", "coreduo", "1G").noxpa().ready(Pml2, Off, false, 32),
        i686("coreduo, RAM beyond its 32 bits", "coreduo", "6G").ready(Pml3, On, true, 32).says("left alone"),
        // The i686 kernel on 64-bit CPUs.
        i686("i686 kernel, 6 GiB", "qemu64", "6G").on64().ready(Pml3, On, true, 40).ram_mib(6100),
        i686("i686 kernel, 6 GiB, NOXPA", "qemu64", "6G").on64().noxpa().ready(Pml2, Off, false, 32).says("left alone"),
        i686("i686 kernel, 36 bits", "max,phys-bits=36", "4G").on64().ready(Pml3, On, true, 36),
        i686("i686 kernel, 52 bits", "max,phys-bits=52", "4G").on64().ready(Pml3, On, true, 52),
        // The x86_64 kernel, four levels.
        x86_64("qemu64", "qemu64", "256M").quick().ready(Pml4, Unsupported, true, 40),
        x86_64("qemu64, 16 MiB", "qemu64", "16M").ready(Pml4, Unsupported, true, 40),
        x86_64("qemu64, NOXPA", "qemu64", "256M").noxpa().ready(Pml4, Unsupported, true, 40),
        x86_64("qemu64 without 1 GiB pages", "qemu64,-pdpe1gb", "4G").ready(Pml4, Unsupported, true, 40),
        x86_64("qemu64 without NX", "qemu64,-nx", "256M").ready(Pml4, Unsupported, false, 40),
        x86_64("Skylake-Server", "Skylake-Server", "4G").ready(Pml4, Unsupported, true, 40),
        x86_64("Skylake-Server, NOXPA", "Skylake-Server", "4G").noxpa().ready(Pml4, Unsupported, true, 40),
        // Five levels.
        x86_64("max", "max", "256M").ready(Pml5, On, true, 40),
        x86_64("max, NOXPA", "max", "256M").noxpa().ready(Pml4, Off, true, 40),
        x86_64("max, 16 MiB", "max", "16M").ready(Pml5, On, true, 40),
        x86_64("max, 20 GiB", "max", "20G").ready(Pml5, On, true, 40).ram_mib(20400),
        x86_64("max, 20 GiB, NOXPA", "max", "20G").noxpa().ready(Pml4, Off, true, 40).ram_mib(20400),
        x86_64("max, 36 bits", "max,phys-bits=36", "4G").ready(Pml5, On, true, 36),
        x86_64("max, 52 bits", "max,phys-bits=52", "4G").ready(Pml5, On, true, 52),
        x86_64("qemu64 with LA57", "qemu64,+la57", "4G").ready(Pml5, On, true, 40),
        // UEFI.
        x86_64("UEFI x64, max", "max", "512M").firmware(UefiX64).ready(Pml5, On, true, 40),
        x86_64("UEFI x64, max, NOXPA", "max", "512M").firmware(UefiX64).noxpa().ready(Pml4, Off, true, 40),
        x86_64("UEFI x64, qemu64", "qemu64", "512M").firmware(UefiX64).ready(Pml4, Unsupported, true, 40),
        i686("UEFI ia32, coreduo", "coreduo", "512M").firmware(UefiIa32).ready(Pml3, On, true, 32),
        i686("UEFI ia32, max, NOXPA", "max", "512M").firmware(UefiIa32).noxpa().ready(Pml2, Off, false, 32),
        // Several CPUs, in every mode.
        i686("2 CPUs, pentium3, NOXPA", "pentium3", "256M").cpus(2).noxpa().ready(Pml2, Off, false, 32),
        i686("4 CPUs, pentium3, NOXPA", "pentium3", "64M").cpus(4).noxpa().ready(Pml2, Off, false, 32),
        i686("8 CPUs, pentium3, NOXPA", "pentium3", "256M")
            .cpus(8)
            .asks("hammer 2", "no word is stale")
            .noxpa()
            .ready(Pml2, Off, false, 32),
        i686("2 CPUs, pentium3", "pentium3", "256M")
            .cpus(2)
            .quick()
            // As important as the thread that serves the others' calls.
            .asks("threads start 3 high", "3 were started")
            .asks("selftest cpus.registers", "selftest: 1 passed, 0 failed")
            .asks("threads stop", "3 were ended")
            .ready(Pml3, On, false, 36),
        i686("4 CPUs, coreduo", "coreduo", "256M")
            .cpus(4)
            .asks("hammer 2", "no word is stale")
            .ready(Pml3, On, true, 32),
        i686("8 CPUs, i686 kernel, 6 GiB", "qemu64", "6G").on64().cpus(8).ready(Pml3, On, true, 40),
        x86_64("2 CPUs, qemu64", "qemu64", "256M")
            .cpus(2)
            .ready(Pml4, Unsupported, true, 40)
            // With both CPUs busy.
            .asks("threads start 2", "2 were started")
            .asks("bench cpus", "on 2 of 2 CPUs at once:")
            .asks("selftest frames.pairs", "selftest: 1 passed, 0 failed")
            .asks("threads stop", "2 were ended"),
        x86_64("4 CPUs, max, NOXPA", "max", "64M").cpus(4).noxpa().ready(Pml4, Off, true, 40),
        x86_64("8 CPUs, max, NOXPA", "max", "256M")
            .cpus(8)
            .asks("hammer 2", "no word is stale")
            .noxpa()
            .ready(Pml4, Off, true, 40),
        x86_64("2 CPUs, max", "max", "256M")
            .cpus(2)
            .quick()
            .asks("hammer 2", "no word is stale")
            .ready(Pml5, On, true, 40),
        x86_64("4 CPUs, max, 16 MiB", "max", "16M")
            .cpus(4)
            .cut("hammer 600", ("a key ends it", 3), "x", "where one CPU alone flushes, ")
            .cut("selftest", ("test frames.pairs ... ok", 0), "\x03", " not run")
            .cut("bench cpus", ("on 2 of 4 CPUs at once:", 0), "\x03", "ended by Ctrl-C")
            .cut("fault silent", ("fault silent", 2), "\x03", "given up while not all CPUs took part")
            .ready(Pml5, On, true, 40),
        x86_64("8 CPUs, max", "max", "256M").cpus(8).ready(Pml5, On, true, 40).asks("cpus", "     online   pml5"),
        x86_64("4 CPUs, QEMU is stopped and continued", "max", "256M").cpus(4).stalls().ready(Pml5, On, true, 40),
        // As many as an xAPIC can name. q35 because the BIOS of the other machine takes twice as long to count them.
        x86_64("255 CPUs, qemu64", "qemu64", "256M")
            .cpus(255)
            .machine("q35")
            .brief()
            .asks("threads start 8", "threads: 8 were started")
            .asks("selftest cpus.registers", "selftest: 1 passed, 0 failed")
            .asks("threads stop", "threads: 8 were ended")
            .ready(Pml4, Unsupported, true, 40),
        x86_64("255 CPUs, max", "max", "256M")
            .cpus(255)
            .machine("q35")
            .brief()
            .asks("threads start 8", "threads: 8 were started")
            .asks("threads stop", "threads: 8 were ended")
            .ready(Pml5, On, true, 40),
        x86_64("2 CPUs, UEFI x64", "max", "512M")
            .cpus(2)
            .firmware(UefiX64)
            .ready(Pml5, On, true, 40)
            .asks("cpus", PC_LINES),
        i686("2 CPUs, UEFI ia32", "coreduo", "512M")
            .cpus(2)
            .firmware(UefiIa32)
            .ready(Pml3, On, true, 32)
            .asks("cpus", PC_LINES),
        i686("2 CPUs without APICs", "pentium3,-apic", "64M")
            .cpus(2)
            .only(1)
            .ready(Pml3, On, false, 36)
            .says("no local APIC")
            .asks("cpus", "lines: 8259s"),
        x86_64("4 CPUs, maxcpus=2", "max", "64M")
            .cpus(4)
            .only(2)
            .options("maxcpus=2")
            .ready(Pml5, On, true, 40)
            .says("2 are left alone"),
        x86_64("2 CPUs, maxcpus=1", "max", "64M")
            .cpus(2)
            .only(1)
            .options("maxcpus=1")
            .ready(Pml5, On, true, 40)
            .asks("cpus", PC_LINES),
        x86_64("2 CPUs, maxcpus=none", "max", "64M")
            .cpus(2)
            .options("maxcpus=none")
            .ready(Pml5, On, true, 40)
            .says("'maxcpus=none' names no number above 0"),
        // NOXPA is a whole word, in any case, anywhere; anything else is reported and ignored.
        x86_64("noxpa in lower case", "max", "64M").options("noxpa").ready(Pml4, Off, true, 40),
        x86_64("NoXpA between others", "max", "64M")
            .options("foo NoXpA bar")
            .ready(Pml4, Off, true, 40)
            .says("'foo' is no option")
            .says("'bar' is no option"),
        x86_64("NOXPAX is not NOXPA", "max", "64M")
            .options("NOXPAX")
            .ready(Pml5, On, true, 40)
            .says("'NOXPAX' is no option"),
        i686("xNOXPA is not NOXPA", "pentium3", "64M")
            .options("xNOXPA")
            .ready(Pml3, On, false, 36)
            .says("'xNOXPA' is no option"),
        // The menu as a person finds it.
        x86_64("the menu's default on a 64-bit CPU", "max", "256M").menu("").ready(Pml5, On, true, 40),
        i686("the menu's default on a 32-bit CPU", "pentium3", "256M").menu("").ready(Pml3, On, false, 36),
        x86_64("the menu's self-test", "max", "256M").menu("selftest").expect(Expect::SelfTest),
        i686("the menu's self-test on a 32-bit CPU", "coreduo", "256M").menu("selftest").expect(Expect::SelfTest),
        // What cannot be started says why.
        x86_64("x86_64 kernel, no long mode", "pentium3", "256M")
            .on32()
            .expect(Expect::Refuses("this CPU has no long mode; boot the i686 kernel")),
        x86_64("8 MiB", "max", "8M").expect(Expect::Refuses("Strata needs 16 MiB of RAM")),
        i686("8 MiB on a 486", "486", "8M").expect(Expect::Refuses("Strata needs 16 MiB of RAM")),
        x86_64("no long mode, pixels", "pentium3", "64M")
            .on32()
            .screen("800x600x16")
            .expect(Expect::RefusesByBlock("this CPU has no long mode; boot the i686 kernel", 3)),
        x86_64("8 MiB, pixels", "max", "8M")
            .screen("1024x768x32")
            .expect(Expect::Refuses("Strata needs 16 MiB of RAM")),
        i686("8 MiB on a 486, pixels", "486", "8M")
            .screen("640x480x16")
            .expect(Expect::Refuses("Strata needs 16 MiB of RAM")),
        // The prompt, key by key and pasted to.
        i686("the prompt, 486", "486", "64M").prompt().asks("cpus", "lines: 8259s").ready(Pml2, Unsupported, false, 32),
        x86_64("the prompt, max", "max", "64M")
            .prompt()
            .asks("cpus", PC_LINES)
            .asks("threads start 1", "1 were started")
            .asks("selftest threads.turns", "skipped (threads that 'threads start' has started are running")
            .asks("threads stop", "1 were ended")
            .ready(Pml5, On, true, 40),
        // What things cost, in instructions.
        i686("bench, 486", "486", "64M")
            .asks("bench", "bench: this CPU has no time-stamp counter to measure with")
            .ready(Pml2, Unsupported, false, 32),
        i686("bench, coreduo, NOXPA", "coreduo", "64M").bench().noxpa().ready(Pml2, Off, false, 32),
        i686("bench, coreduo", "coreduo", "64M").bench().ready(Pml3, On, true, 32),
        x86_64("bench, max, NOXPA", "max", "64M").bench().noxpa().ready(Pml4, Off, true, 40),
        x86_64("bench, max", "max", "64M").bench().ready(Pml5, On, true, 40),
        // On a framebuffer that a BIOS sets up, in every depth that QEMU's card has.
        i686("15 bits a pixel, 486", "486", "64M").screen("800x600x15").ready(Pml2, Unsupported, false, 32),
        i686("16 bits a pixel", "pentium3", "64M").screen("640x480x16").ready(Pml3, On, false, 36),
        x86_64("24 bits a pixel", "qemu64", "256M").screen("1024x768x24").ready(Pml4, Unsupported, true, 40),
        x86_64("32 bits a pixel", "max", "256M").screen("1280x1024x32").ready(Pml5, On, true, 40),
        // Other sizes: as many as the firmware's modes have, from each.
        x86_64("1600 by 1200 pixels", "max", "64M").screen("1600x1200x32").ready(Pml5, On, true, 40),
        i686("2560 by 1600 pixels, 486", "486", "64M").screen("2560x1600x32").ready(Pml2, Unsupported, false, 32),
        x86_64("UEFI x64, 640 by 480 pixels", "max", "512M")
            .firmware(UefiX64)
            .screen("640x480")
            .ready(Pml5, On, true, 40),
        x86_64("UEFI x64, 1920 by 1080 pixels", "qemu64", "512M").firmware(UefiX64).screen("1920x1080").ready(
            Pml4,
            Unsupported,
            true,
            40,
        ),
        x86_64("UEFI x64, 3840 by 2160 pixels", "max", "512M")
            .firmware(UefiX64)
            .card("VGA,vgamem_mb=64")
            .screen("3840x2160")
            .ready(Pml5, On, true, 40),
        // GRUB puts the first section that it loads beside the image to the address 0, where multiboot2 cannot say that it is.
        x86_64("UEFI x64, no graphics card", "max", "512M")
            .firmware(UefiX64)
            .card("none")
            .ready(Pml5, On, true, 40)
            .asks("log debug symbols", "debug  symbols: "),
        // Neither a screen nor COM1: nobody can say so, but it runs.
        i686("neither screen nor COM1, 486", "486", "64M").expect(Expect::Silent(Pml2)),
        x86_64("neither screen nor COM1, max", "max", "64M").expect(Expect::Silent(Pml5)),
        // Failures on purpose: which CPU has NX, reserved bits, machine checks.
        i686("faults, 486 without PSE", "486,-pse", "64M").optional_faults(has(Pml2, false, false, false)),
        i686("faults, pentium", "pentium", "64M").faults(has(Pml2, false, true, false)),
        i686("faults, pentium3", "pentium3", "64M").optional_faults(has(Pml3, false, true, true)),
        i686("faults, coreduo", "coreduo", "64M").faults(has(Pml3, true, true, true)),
        x86_64("faults, qemu64", "qemu64", "64M").faults(has(Pml4, true, true, true)),
        x86_64("faults, max", "max", "64M").faults(has(Pml5, true, true, true)),
        i686("faults, 4 CPUs, coreduo, NOXPA", "coreduo", "64M").cpus(4).noxpa().faults_among_cpus(Pml2),
        i686("faults, 2 CPUs, coreduo", "coreduo", "64M").cpus(2).faults_among_cpus(Pml3),
        x86_64("faults, 2 CPUs, qemu64", "qemu64", "64M").cpus(2).faults_among_cpus(Pml4),
        x86_64("a CPU that takes no part, qemu64", "qemu64", "64M")
            .cpus(2)
            .expect(Expect::Faults { has: has(Pml4, true, true, true).among_others(), kinds: &faults::SILENT }),
        x86_64("faults, 4 CPUs, max", "max", "64M").cpus(4).faults_among_cpus(Pml5),
        // NMIs during a lift, which have no handler of the kernel's there.
        i686("NMI during a lift, coreduo", "coreduo", "64M").nmi_in_lift(Pml3),
        i686("NMI during a lift, coreduo, NOXPA", "coreduo", "64M").noxpa().nmi_in_lift(Pml2),
        x86_64("NMI during a lift, max", "max", "64M").nmi_in_lift(Pml5),
        x86_64("NMI during a lift, max, NOXPA", "max", "64M").noxpa().nmi_in_lift(Pml4),
        // The panic screen: on the card's text and on pixels, in each mode. A stack's overflow has more callers than room.
        i686("panic screen, text, 486", "486", "64M").options("a-word").panic_screen(Pml2, "stack"),
        i686("panic screen, text, pentium3", "pentium3", "64M").options("a-word").panic_screen(Pml3, "text"),
        x86_64("panic screen, text, qemu64", "qemu64", "64M").options("a-word").panic_screen(Pml4, "stack"),
        x86_64("panic screen, text, max", "max", "64M").options("a-word").panic_screen(Pml5, "text"),
        i686("panic screen, pixels, 486", "486", "64M")
            .options("a-word")
            .screen("640x480x16")
            .panic_screen(Pml2, "null"),
        i686("panic screen, pixels, pentium3", "pentium3", "64M")
            .options("a-word")
            .screen("640x480x24")
            .panic_screen(Pml3, "stack"),
        x86_64("panic screen, pixels, qemu64", "qemu64", "64M")
            .options("a-word")
            .screen("640x480x32")
            .panic_screen(Pml4, "null"),
        x86_64("panic screen, pixels, max", "max", "64M")
            .options("a-word")
            .screen("1280x1024x32")
            .panic_screen(Pml5, "stack"),
        // The same image as a stick, a disk and a disc behind the controllers of real machines, by each firmware.
        x86_64("BIOS, USB stick on xHCI", "max", "256M").medium(UsbXhci).ready(Pml5, On, true, 40),
        i686("BIOS, USB stick on EHCI", "pentium3", "256M").medium(UsbEhci).ready(Pml3, On, false, 36),
        i686("BIOS, AHCI disk", "486", "64M").medium(AhciDisk).ready(Pml2, Unsupported, false, 32),
        x86_64("BIOS, AHCI disc", "qemu64", "256M").medium(AhciCd).ready(Pml4, Unsupported, true, 40),
        x86_64("UEFI x64, USB stick on xHCI", "max", "512M")
            .firmware(UefiX64)
            .medium(UsbXhci)
            .ready(Pml5, On, true, 40),
        x86_64("UEFI x64, USB stick on EHCI", "max", "512M")
            .firmware(UefiX64)
            .medium(UsbEhci)
            .ready(Pml5, On, true, 40),
        x86_64("UEFI x64, AHCI disk", "max", "512M").firmware(UefiX64).medium(AhciDisk).ready(Pml5, On, true, 40),
        x86_64("UEFI x64, AHCI disc", "max", "512M").firmware(UefiX64).medium(AhciCd).ready(Pml5, On, true, 40),
        i686("UEFI ia32, USB stick on xHCI", "coreduo", "512M")
            .firmware(UefiIa32)
            .medium(UsbXhci)
            .ready(Pml3, On, true, 32),
        i686("UEFI ia32, USB stick on EHCI", "coreduo", "512M")
            .firmware(UefiIa32)
            .medium(UsbEhci)
            .ready(Pml3, On, true, 32),
        i686("UEFI ia32, AHCI disk", "coreduo", "512M").firmware(UefiIa32).medium(AhciDisk).ready(Pml3, On, true, 32),
        i686("UEFI ia32, AHCI disc", "coreduo", "512M").firmware(UefiIa32).medium(AhciCd).ready(Pml3, On, true, 32),
        // What the time is told by, where the better clocks are not there.
        x86_64("clock: HPET", "max", "64M").clock("by the HPET, 100.000 MHz").ready(Pml5, On, true, 40),
        i686("clock: HPET, i686", "pentium3", "64M").clock("by the HPET, 100.000 MHz").ready(Pml3, On, false, 36),
        x86_64("clock: PM timer", "qemu64", "64M").machine("pc,hpet=off").clock("by the PM timer, 3.579 MHz").ready(
            Pml4,
            Unsupported,
            true,
            40,
        ),
        i686("clock: PIT", "pentium", "64M").machine("pc,hpet=off,acpi=off").clock("by the PIT, 1.193 MHz").ready(
            Pml2,
            Unsupported,
            false,
            32,
        ),
        i686("clock: no TSC", "486", "64M").clock("no; this CPU has no TSC").ready(Pml2, Unsupported, false, 32),
        // Without a PIT: the tick comes from the HPET or, where there is none, from the local APICs, and threads run.
        x86_64("no PIT, BIOS", "max", "256M")
            .machine("q35,pit=off")
            .asks("log tick", "from the HPET, 100 a second")
            .asks("selftest threads.wakes", "test threads.wakes ... ok")
            .clock("by the HPET, 100.000 MHz")
            .ready(Pml5, On, true, 40),
        x86_64("no PIT, UEFI", "max", "512M")
            .firmware(UefiX64)
            .machine("q35,pit=off")
            .asks("log tick", "from the HPET, 100 a second")
            .asks("selftest threads.wakes", "test threads.wakes ... ok")
            .ready(Pml5, On, true, 40),
        x86_64("no PIT, UEFI, 2 CPUs", "max", "512M")
            .cpus(2)
            .firmware(UefiX64)
            .machine("q35,pit=off")
            .asks("log tick", "from the HPET, 100 a second")
            .asks("selftest threads.wakes", "test threads.wakes ... ok")
            .asks("hammer 1", "no word is stale")
            .ready(Pml5, On, true, 40),
        i686("no PIT, no HPET, 2 CPUs", "pentium3", "256M")
            .cpus(2)
            .machine("q35,pit=off,hpet=off")
            .asks("log tick", "from the APIC, 100 a second")
            .asks("selftest threads.wakes", "test threads.wakes ... ok")
            .asks("hammer 1", "no word is stale")
            .clock("by the PM timer, 3.579 MHz")
            .ready(Pml3, On, false, 36),
        i686("no PIT, 486", "486", "64M")
            .machine("pc,pit=off")
            .asks("log tick", "from the HPET, 100 a second")
            .asks("selftest threads.wakes", "test threads.wakes ... ok")
            .ready(Pml2, Unsupported, false, 32),
        // Typed while the machine starts.
        i686("typing on COM1 at the start, pml2", "486", "64M").flood(Flood::Com1).ready(Pml2, Unsupported, false, 32),
        i686("typing on COM1 at the start, pml3", "coreduo", "64M").flood(Flood::Com1).ready(Pml3, On, true, 32),
        x86_64("typing on COM1 at the start, pml4", "qemu64", "64M").flood(Flood::Com1).ready(
            Pml4,
            Unsupported,
            true,
            40,
        ),
        x86_64("typing on COM1 at the start, pml5", "max", "64M").flood(Flood::Com1).ready(Pml5, On, true, 40),
        i686("typing on the keyboard at the start, pml2", "486", "64M").flood(Flood::Keyboard).ready(
            Pml2,
            Unsupported,
            false,
            32,
        ),
        i686("typing on the keyboard at the start, pml3", "coreduo", "64M")
            .flood(Flood::Keyboard)
            .ready(Pml3, On, true, 32),
        x86_64("typing on the keyboard at the start, pml4", "qemu64", "64M").flood(Flood::Keyboard).ready(
            Pml4,
            Unsupported,
            true,
            40,
        ),
        x86_64("typing on the keyboard at the start, pml5", "max", "64M")
            .flood(Flood::Keyboard)
            .ready(Pml5, On, true, 40),
        // Typed on the keyboard instead of COM1.
        i686("a PS/2 keyboard, 486", "486", "64M")
            .options("keys=de")
            .keyboard("y z shift-7 slash alt_r-q less", "'zy/-@<' is no command")
            .keyboard("c m d l i x left delete n e", "keys=de")
            .asks("cpus", "lines: 8259s")
            .ready(Pml2, Unsupported, false, 32),
        x86_64("a PS/2 keyboard, max", "max", "64M")
            .keyboard("y z shift-7 slash alt_r-q", "'yz&/q' is no command")
            .keyboard("shift-v caps_lock e caps_lock backspace backspace v e r s i o n", "Strata ")
            .asks("cpus", PC_LINES)
            .ready(Pml5, On, true, 40),
        i686("a PS/2 keyboard, 2 CPUs, coreduo, NOXPA", "coreduo", "64M")
            .cpus(2)
            .noxpa()
            .keyboard("y z", "'yz' is no command")
            .asks("cpus", PC_LINES)
            .ready(Pml2, Off, false, 32),
        // With a local APIC, and no table that says where the lines go.
        i686("a PS/2 keyboard, no ACPI", "pentium3", "64M")
            .machine("pc,acpi=off")
            .keyboard("y z", "'yz' is no command")
            .asks("cpus", "lines: 8259s")
            .ready(Pml3, On, false, 36),
        x86_64("a PS/2 keyboard, no such layout", "max", "64M")
            .options("keys=qwertz")
            .says("'keys=qwertz' names no layout and is ignored; there are us, uk, de,")
            .keyboard("z y", "'zy' is no command")
            .ready(Pml5, On, true, 40),
        x86_64("no PS/2 controller", "max", "64M")
            .machine("pc,i8042=off")
            .says("keyboard: no PS/2 controller")
            .ready(Pml5, On, true, 40),
    ]
}

fn has(mode: Mode, nx: bool, reserved: bool, machine_check: bool) -> Has {
    Has { mode, nx, reserved, alone: true, machine_check }
}
