//! Boot information as no loader should write it, handed to the real kernel: one row a case.
//!
//! The loader is `tests/hostile`, whose `cases` say what each case spoils. Here stands what has to come of it: the sentence
//! about it, and the prompt with nothing wrong in the tables; or, where the kernel truly cannot go on, why.

use crate::row::Mode::{Pml2, Pml3, Pml4, Pml5};
use crate::row::Xpa::{Off, On, Unsupported};
use crate::row::{Expect, Row, i686, x86_64};

/// All that is said where there is no memory map.
const NO_MAP: &str = "cannot start: the loader gave no memory map, so there is no memory to work with (code 4; \
    docs/troubleshooting.md tells what to try)";

/// A kernel on the machine on which it picks the mode that its number of levels names.
fn on(levels: u32, name: &'static str, case: &'static str, options: &'static str) -> Row {
    let row = match levels {
        2 => i686(name, "486", "128M").ready(Pml2, Unsupported, false, 32),
        3 => i686(name, "pentium3", "128M").ready(Pml3, On, false, 36),
        4 => x86_64(name, "qemu64", "128M").ready(Pml4, Unsupported, true, 40),
        _ => x86_64(name, "max", "128M").ready(Pml5, On, true, 40),
    };
    row.hostile(case, options).asks("audit", " 0 findings")
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let no_screen = |levels, name, case| on(levels, name, case, "").screen("640x480x32");
    let stops = |row: Row, why| row.expect(Expect::Refuses(why));
    vec![
        on(5, "hostile: nothing wrong", "nothing-wrong", "a-word").asks("cmdline", "command line: a-word"),
        on(2, "hostile: a tag is cut off at the end", "tag-cut", "")
            .says("tag 9 (ELF sections)")
            .says("says it has 4096 bytes; it and all behind it is lost"),
        on(4, "hostile: a tag of size 0", "tag-of-size-0", "")
            .says("tag 3 (module)")
            .says("says it has 0 bytes; it and all behind it is lost"),
        on(3, "hostile: tags overlap", "tags-overlap", "").says("it and all behind it is lost"),
        on(5, "hostile: tags out of order", "tags-unordered", "NOXPA").ready(Pml4, Off, true, 40),
        on(2, "hostile: two memory maps", "map-twice", "").says("tag 6 (memory map) is there twice; the first counts"),
        on(3, "hostile: no end tag", "no-end", "").says("the boot information has no end tag"),
        stops(on(4, "hostile: no memory map", "no-map", ""), "cannot start: the loader gave no memory map"),
        stops(on(2, "hostile: no memory map, i686", "no-map", ""), "cannot start: the loader gave no memory map"),
        on(5, "hostile: areas overlap", "areas-overlap", "")
            .asks("mem", "0x000003000000-0x00000307ffff         512 KiB  reserved")
            .asks("mem", "0x000003080000-0x00000317ffff        1024 KiB  bad")
            .asks("mem", "0x0000000f0000-0x0000000fffff          64 KiB  reserved"),
        on(2, "hostile: areas not of whole pages", "areas-unaligned", "")
            .asks("mem", "0x000003002000-0x000003004fff          12 KiB  reserved"),
        on(5, "hostile: areas wrap past 2^64", "areas-wrap", "")
            .says("2 regions reach beyond what any CPU can address"),
        on(3, "hostile: areas wrap past 2^64, i686", "areas-wrap", "")
            .says("2 regions reach beyond what any CPU can address"),
        on(4, "hostile: areas of length 0", "areas-empty", "").ram_mib(127),
        on(3, "hostile: areas unsorted", "areas-unsorted", "")
            .asks("mem", "0x000003000000-0x000003000fff           4 KiB  bad"),
        on(2, "hostile: 1,000 areas more", "areas-by-the-thousand", "")
            .asks("mem", "0x0000037ce000-0x0000037cefff           4 KiB  bad"),
        on(5, "hostile: 1,000 areas more, x86_64", "areas-by-the-thousand", "")
            .asks("mem", "0x0000037ce000-0x0000037cefff           4 KiB  bad"),
        i686("hostile: 5,000 areas more than there is room for", "486", "256M")
            .ready(Pml2, Unsupported, false, 32)
            .hostile("areas-by-the-thousands", "")
            .says("memory: too many regions: ")
            .ram_mib(216)
            .asks("mem", "0x00000570f000-0x00000ff")
            .asks("audit", " 0 findings"),
        stops(on(5, "hostile: entries smaller than known", "entries-too-small", ""), "cannot start: ")
            .says("tag 6 (memory map) is malformed and ignored"),
        on(4, "hostile: entries larger than known", "entries-larger", "").ram_mib(127),
        on(5, "hostile: a command line of 64 KiB", "command-line-of-64-kib", "").ready(Pml4, Off, true, 40),
        on(3, "hostile: a command line of 64 KiB, i686", "command-line-of-64-kib", "").ready(Pml2, Off, false, 32),
        on(5, "hostile: a command line that is no UTF-8", "command-line-no-utf8", "")
            .ready(Pml4, Off, true, 40)
            .says("the text of tag 1 (command line) is not UTF-8")
            .says(r#"command line: the quotes of \"NOXPA are dropped"#)
            .says(r"command line: '\u{1b}[2J' is no option")
            .asks("cmdline", r#"\"NOXPA \u{1b}[2J\""#),
        on(2, "hostile: an empty command line", "command-line-empty", ""),
        on(4, "hostile: no command line", "no-command-line", ""),
        on(3, "hostile: ELF sections outside RAM", "sections-outside", "")
            .says("bytes of modules or sections lie where there is no RAM")
            .says("the symbol table is not where the loader says it is"),
        on(5, "hostile: ELF sections outside RAM, x86_64", "sections-outside", "")
            .says("bytes of modules or sections lie where there is no RAM")
            .says("the symbol table is not where the loader says it is"),
        on(4, "hostile: a module that ends before it begins", "module-backward", "")
            .says("a module from 0x3100000 to 0x3000000 ends before it begins and is ignored"),
        on(3, "hostile: 40 things wrong", "complaints-by-the-dozen", "").says("24 more things are wrong with it"),
        on(2, "hostile: a size of 4 GiB", "size-of-4-gib", "")
            .says("the boot information has 4294967288 bytes; only the"),
        on(5, "hostile: a block that is not aligned", "block-unaligned", ""),
        on(2, "hostile: the image counts as reserved", "image-reserved", "").says("of the kernel's image are no RAM"),
        on(4, "hostile: the image counts as reserved, x86_64", "image-reserved", "")
            .says("of the kernel's image are no RAM"),
        on(5, "hostile: nothing wrong, pixels", "screen-as-it-is", "")
            .screen("640x480x32")
            .says("screen: 640 by 480 pixels of 32 bits at 0x"),
        on(2, "hostile: 8 bits a pixel, a palette", "screen-of-indices", "")
            .screen("640x480x32")
            .says("screen: 640 by 480 pixels of 8 bits at 0x"),
        on(4, "hostile: 8 bits a pixel, a palette, x86_64", "screen-of-indices", "")
            .screen("640x480x32")
            .says("screen: 640 by 480 pixels of 8 bits at 0x"),
        stops(on(3, "hostile: no memory map, pixels", "screen-and-no-map", ""), NO_MAP)
            .screen("640x480x16")
            .says("(code 4; docs/troubleshooting.md tells what to try)"),
        stops(
            on(4, "hostile: no memory map, pixels, x86_64", "screen-and-no-map", ""),
            "cannot start: the loader gave no memory map",
        )
        .screen("1024x768x32"),
        no_screen(2, "hostile: a pitch smaller than a line", "screen-pitch-too-small")
            .says("is not used: a line takes 2560 bytes, but the next is said to begin after 100"),
        no_screen(4, "hostile: a screen beyond the physical width", "screen-beyond-phys")
            .says("is not used: it cannot be mapped: a frame lies beyond the physical address width"),
        no_screen(2, "hostile: a screen beyond 4 GiB, i686", "screen-beyond-phys")
            .says("is not used: it cannot be mapped: a frame lies beyond the physical address width"),
        no_screen(5, "hostile: a screen past the last address", "screen-wraps")
            .says("is not used: it runs past the last address that there is"),
        no_screen(3, "hostile: a screen in the image", "screen-in-image").says("is not used: at 0x100000 there is RAM"),
        no_screen(4, "hostile: a screen in free RAM", "screen-in-ram").says("is not used: at 0x3000000 there is RAM"),
        no_screen(5, "hostile: a screen of unknown type", "screen-of-unknown-type")
            .says("tag 8 (framebuffer) is malformed and ignored")
            .says("screen: none was handed over"),
        no_screen(3, "hostile: a screen of size 0", "screen-of-size-0")
            .says("is not used: 0 by 0 pixels are no size of a screen"),
        no_screen(2, "hostile: a screen of 4 GiB", "screen-of-4-gib")
            .says("is not used: 4294967295 by 480 pixels are no size of a screen"),
        no_screen(5, "hostile: 7 bits a pixel", "screen-of-7-bits")
            .says("is not used: 7 bits a pixel are not 15, 16, 24 or 32"),
        no_screen(4, "hostile: a palette cut off", "screen-palette-cut")
            .says("tag 8 (framebuffer) is malformed and ignored"),
        on(4, "hostile: no ACPI tag", "nothing-wrong", "").asks("uptime", "by the HPET"),
        on(4, "hostile: ACPI's pointer has a bad checksum", "acpi-sum", "")
            .says("tag 15 (ACPI 2.0 RSDP)")
            .asks("uptime", "by the HPET"),
        on(5, "hostile: ACPI's list outside RAM", "acpi-outside", "")
            .says("a table should be at 0x7f00000000, where there is no memory")
            .says("acpi: the RSDT at 0x")
            .asks("uptime", "by the HPET"),
        on(3, "hostile: ACPI's list outside RAM, i686", "acpi-outside", "")
            .says("a table should be at 0x7f00000000, where there is no memory")
            .says("acpi: the RSDT at 0x")
            .asks("uptime", "by the HPET"),
        on(3, "hostile: ACPI's list points into itself", "acpi-in-itself", "").asks("uptime", "by the PIT"),
        on(4, "hostile: ACPI's list of 0 bytes", "acpi-of-0", "")
            .says("the XSDT says that it has 0 bytes, which cannot be"),
        on(5, "hostile: ACPI's list of 4 GiB", "acpi-of-4-gib", "")
            .says("the XSDT says that it has 4294967295 bytes, which cannot be"),
        on(5, "hostile: ACPI's newer list and newer field are wrong", "acpi-newer-wrong", "")
            .cpus(2)
            .says("acpi: the checksum of the XSDT is wrong")
            .says("acpi: the RSDT at 0x3003000 is used instead")
            .says("clock: the PM timer of the newer field is not used: it does not count")
            .asks("uptime", "by the PM timer"),
        on(4, "hostile: an HPET in RAM", "acpi-hpet-in-ram", "")
            .says("the HPET is not used: it should be at 0x4000000, where there is RAM")
            .says("the PM timer is not used: it should be at port 0x0, where it cannot be")
            .asks("uptime", "by the PIT"),
        on(3, "hostile: an HPET beyond the CPU's addresses", "acpi-hpet-beyond", "")
            .says("the HPET is not used: it should be at 0x10000000000000, beyond the 36 physical address bits")
            .asks("uptime", "by the PIT"),
        on(5, "hostile: an HPET where nothing is", "acpi-hpet-nothing", "")
            .says("the HPET is not used: it says that it counts once in")
            .asks("uptime", "by the PIT"),
        on(4, "hostile: 600 CPUs, of which two are there", "acpi-600-cpus", "")
            .cpus(2)
            .says("cpus: 600 are listed, and 512 is the most; the others are left alone")
            .says("cpus: 257 have APIC numbers that the local APIC cannot name")
            .says("cpus: the 510 with the APICs 2 to 511 did not come up and are left out")
            .asks("threads start 8", "threads: 8 were started")
            .asks("selftest cpus.registers", "selftest: 1 passed, 0 failed"),
        on(5, "hostile: two I/O APICs, one where nothing is", "lines-two-io-apics", "")
            .says(
                "lines: I/O APIC 3 is not used: it should be at 0xe0000000, where there is none: its version reads 0x",
            )
            .asks("cpus", "lines: I/O APIC 5 at 0xfec00000, GSI 0-23")
            .keyboard("y z", "'yz' is no command"),
        on(4, "hostile: an I/O APIC in RAM", "lines-io-apic-in-ram", "")
            .says("lines: I/O APIC 0 is not used: it should be at 0x4000000, where there is RAM")
            .says("lines: the 8259s serve: no I/O APIC has GSI 2, at which line 0 (timer) should be")
            .asks("cpus", "lines: 8259s")
            .keyboard("y z", "'yz' is no command"),
        on(3, "hostile: an I/O APIC where nothing is", "lines-io-apic-nothing", "")
            .says(
                "lines: I/O APIC 0 is not used: it should be at 0xe0000000, where there is none: its version reads 0x",
            )
            .asks("cpus", "lines: 8259s"),
        on(3, "hostile: an I/O APIC between two addresses", "lines-io-apic-unaligned", "")
            .says("lines: I/O APIC 0 is not used: it should be at 0xfec00010, which is not a multiple of 256")
            .asks("cpus", "lines: 8259s"),
        on(5, "hostile: two I/O APICs with the same GSIs", "lines-io-apic-twice", "")
            .says("lines: the 8259s serve: I/O APICs 5 and 6 have the same GSIs")
            .asks("cpus", "lines: 8259s"),
        on(4, "hostile: a GSI that no I/O APIC has", "lines-no-pin", "")
            .says("lines: the 8259s serve: no I/O APIC has GSI 24, at which line 4 (COM1) should be")
            .asks("cpus", "lines: 8259s"),
        on(5, "hostile: a line with two overrides", "lines-differ", "")
            .says("lines: the 8259s serve: line 0 has two overrides that differ, to GSI 2 and to GSI 0")
            .asks("cpus", "lines: 8259s"),
        on(3, "hostile: an override of no line", "lines-no-line", "")
            .says("lines: the 8259s serve: an override is for line 200 of bus 0, which cannot be")
            .asks("cpus", "lines: 8259s"),
        on(4, "hostile: a timer at the wrong pin", "lines-timer-nowhere", "")
            .asks("log", "lines: the 8259s serve: the timer does not come through the I/O APIC")
            .asks("cpus", "lines: 8259s; the timer does not come through the I/O APIC")
            .asks("threads", "threads: 2, ")
            .keyboard("y z", "'yz' is no command"),
        // Firmware that ran with five levels may leave the bit set. The stubs clear it, whatever mode is chosen then.
        on(5, "hostile: CR4.LA57 left on", "la57-left-on", "").says("hostile: CR4.LA57 is set"),
        on(5, "hostile: CR4.LA57 left on, NOXPA", "la57-left-on", "NOXPA")
            .ready(Pml4, Off, true, 40)
            .says("hostile: CR4.LA57 is set"),
        i686("hostile: CR4.LA57 left on, i686", "max", "128M")
            .on64()
            .ready(Pml3, On, true, 40)
            .hostile("la57-left-on", "")
            .says("hostile: CR4.LA57 is set")
            .asks("audit", " 0 findings"),
        stops(on(2, "hostile: a wrong magic number", "magic-wrong", ""), "not started by a multiboot2 loader"),
        stops(on(5, "hostile: a wrong magic number, x86_64", "magic-wrong", ""), "not started by a multiboot2 loader"),
    ]
}
