//! The cases: what can be wrong with boot information, each by a name for the command line.
//!
//! Memory from 48 MiB on is spoilt at will: nothing lies there but what the kernel puts there.

use core::fmt::Write;

use crate::MAGIC;
use crate::acpi;
use crate::block::Block;
use crate::card;
use crate::com1::Com1;
use crate::control;
use crate::given::{Area, Given, SCREEN};

/// Builds the boot information; returns the magic number to hand over with it.
type Build = fn(&mut Block, &Given) -> u32;

const MIB: u64 = 1 << 20;

/// Types of areas (Multiboot2 Specification 2.0, 3.6.8); 2 is one of those that are not assigned, and so reserved.
const USABLE: u32 = 1;
const RESERVED: u32 = 2;
const BAD: u32 = 5;

/// All cases.
pub const CASES: [(&str, Build); 61] = [
    ("nothing-wrong", |block, given| start(block, given).sections(given.kernel, 0).done()),
    ("tag-cut", |block, given| {
        start(block, given).tag_of_size(9, 4096, &[0; 24]).without_end();
        MAGIC
    }),
    ("tag-of-size-0", |block, given| start(block, given).tag_of_size(3, 0, &[]).sections(given.kernel, 0).done()),
    // Of the section headers' tag only the content is left, which makes no tags.
    ("tags-overlap", |block, given| start(block, given).tag_of_size(12, 24, &[0; 8]).sections(given.kernel, 0).done()),
    ("tags-unordered", |block, given| {
        block.sections(given.kernel, 0).memory_map(areas(given)).loader().command_line(given.words().1).done()
    }),
    ("map-twice", |block, given| start(block, given).memory_map([Area(0, 1 << 32, RESERVED)].into_iter()).done()),
    ("no-end", |block, given| {
        start(block, given).without_end();
        MAGIC
    }),
    ("no-map", |block, given| block.command_line(given.words().1).loader().done()),
    ("areas-overlap", |block, given| {
        let more = [
            Area(48 * MIB, MIB, RESERVED),
            Area(48 * MIB, MIB / 4, USABLE),
            Area(48 * MIB + MIB / 2, MIB, BAD),
            // The BIOS, which has said that this is not usable.
            Area(0xF_0000, 0x1_0000, USABLE),
        ];
        with(block, given, more.into_iter())
    }),
    ("areas-unaligned", |block, given| {
        // The last byte of the third page, all of the fourth, and the first byte of the fifth.
        with(block, given, [Area(48 * MIB + 0x2FFF, 0x1002, RESERVED)].into_iter())
    }),
    ("areas-wrap", |block, given| {
        let more = [Area(0u64.wrapping_sub(0x1000), 0x1_0000, USABLE), Area(1 << 40, u64::MAX, RESERVED)];
        with(block, given, more.into_iter())
    }),
    ("areas-empty", |block, given| {
        with(block, given, [Area(48 * MIB, 0, BAD), Area(48 * MIB + 1, 0, RESERVED)].into_iter())
    }),
    ("areas-unsorted", |block, given| {
        let areas = given.areas().iter().rev().copied().chain([Area(48 * MIB, 0x1000, BAD)]);
        block.command_line(given.words().1).loader().memory_map(areas).done()
    }),
    ("areas-by-the-thousand", |block, given| {
        with(block, given, (0..1000).map(|n| Area(48 * MIB + n * 0x2000, 0x1000, BAD)))
    }),
    // More regions than the kernel keeps, each second page between usable ones.
    ("areas-by-the-thousands", |block, given| {
        with(block, given, (0..5000).map(|n| Area(48 * MIB + n * 0x2000, 0x1000, RESERVED)))
    }),
    ("entries-too-small", |block, given| {
        block.command_line(given.words().1).loader().memory_map_of(16, areas(given)).done()
    }),
    ("entries-larger", |block, given| {
        block.command_line(given.words().1).loader().memory_map_of(40, areas(given)).done()
    }),
    ("command-line-of-64-kib", |block, given| {
        let mut text = [b' '; 64 << 10];
        text[..1000].fill(b'x');
        let end = text.len() - 1;
        text[end - 5..end].copy_from_slice(b"NOXPA");
        text[end] = 0;
        block.tag(1, &text).loader().memory_map(areas(given)).done()
    }),
    ("command-line-no-utf8", |block, given| {
        block.tag(1, b"\xFF\xFE \"NOXPA \x1B[2J\" \xC3(\0").loader().memory_map(areas(given)).done()
    }),
    ("command-line-empty", |block, given| block.tag(1, &[]).loader().memory_map(areas(given)).done()),
    ("no-command-line", |block, given| block.loader().memory_map(areas(given)).done()),
    ("sections-outside", |block, given| start(block, given).sections(given.kernel, 0x5000_0000).done()),
    ("module-backward", |block, given| start(block, given).tag(3, b"\x00\x00\x10\x03\x00\x00\x00\x03name\0").done()),
    ("complaints-by-the-dozen", |block, given| {
        start(block, given);
        (0..40).for_each(|_| {
            block.tag(3, &[0; 4]);
        });
        block.done()
    }),
    ("size-of-4-gib", |block, given| {
        start(block, given).end();
        block.says(!7);
        MAGIC
    }),
    ("block-unaligned", |block, given| {
        start(block, given).sections(given.kernel, 0).end();
        block.shift(3);
        MAGIC
    }),
    ("image-reserved", |block, given| with(block, given, [Area(MIB, MIB / 2, RESERVED)].into_iter())),
    ("acpi-sum", |block, given| tables(block, given, acpi::list(&[]), 1)),
    ("acpi-outside", |block, given| tables(block, given, 0x7F_0000_0000, 0)),
    ("acpi-in-itself", |block, given| {
        tables(block, given, acpi::list(&[acpi::AT, acpi::AT + 36, acpi::AT + 44, acpi::AT - 1]), 0)
    }),
    ("acpi-of-0", |block, given| tables(block, given, acpi::lie_of_length(acpi::list(&[]), 0), 0)),
    ("acpi-of-4-gib", |block, given| tables(block, given, acpi::lie_of_length(acpi::list(&[]), u32::MAX), 0)),
    // The older list has two CPUs and no HPET. The newer field of the PM timer names ports at which nothing is.
    ("acpi-newer-wrong", |block, given| {
        let cpus = acpi::controllers(&[&[0, 8, 1, 1, 1, 0, 0, 0], &IO_APIC, &TIMER]);
        let fields: [(usize, &[u8]); 3] = [(76, &[8, 6]), (91, &[4]), (208, &[1, 32, 0, 3, 8, 0x96])];
        let fixed = acpi::table(2, b"FACP", 244, &fields);
        two_lists(block, given, acpi::spoil(acpi::list(&[cpus])), acpi::old_list(&[cpus, fixed]), 0)
    }),
    ("acpi-hpet-in-ram", |block, given| clocks(block, given, 64 * MIB)),
    ("acpi-hpet-beyond", |block, given| clocks(block, given, 1 << 52)),
    ("acpi-hpet-nothing", |block, given| clocks(block, given, 0xE000_0000)),
    ("acpi-600-cpus", |block, given| tables(block, given, acpi::list(&[acpi::processors(600)]), 0)),
    // The machine's own, behind one at which nothing is; its keyboard by level, which the device does not mind.
    ("lines-two-io-apics", |block, given| {
        let two = [&acpi::io_apic(3, 0xE000_0000, 24), &IO_APIC[..]];
        lines(block, given, &[two[0], two[1], &TIMER, &acpi::wire(1, 1, 0xD)])
    }),
    ("lines-io-apic-in-ram", |block, given| lines(block, given, &[&acpi::io_apic(0, 64 * MIB as u32, 0), &TIMER])),
    ("lines-io-apic-nothing", |block, given| lines(block, given, &[&acpi::io_apic(0, 0xE000_0000, 0), &TIMER])),
    ("lines-io-apic-unaligned", |block, given| lines(block, given, &[&acpi::io_apic(0, 0xFEC0_0010, 0), &TIMER])),
    ("lines-io-apic-twice", |block, given| {
        lines(block, given, &[&IO_APIC, &TIMER, &acpi::io_apic(6, 0xFEC0_0000, 23)])
    }),
    ("lines-no-pin", |block, given| lines(block, given, &[&IO_APIC, &acpi::wire(4, 24, 0), &TIMER])),
    ("lines-differ", |block, given| lines(block, given, &[&IO_APIC, &TIMER, &acpi::wire(0, 0, 0)])),
    ("lines-no-line", |block, given| lines(block, given, &[&IO_APIC, &TIMER, &acpi::wire(200, 9, 0)])),
    // Nothing is connected to that pin.
    ("lines-timer-nowhere", |block, given| lines(block, given, &[&IO_APIC, &acpi::wire(0, 15, 0)])),
    ("screen-as-it-is", |block, given| screen(block, given, |_| ())),
    ("screen-and-no-map", |block, given| {
        block.command_line(given.words().1).tag(8, given.screen());
        block.done()
    }),
    ("screen-pitch-too-small", |block, given| screen(block, given, |tag| put(tag, PITCH, 100))),
    ("screen-beyond-phys", |block, given| screen(block, given, |tag| put(tag, ADDRESS + 4, 1 << 20))),
    ("screen-wraps", |block, given| {
        screen(block, given, |tag| {
            put(tag, ADDRESS, 0xFFFF_F000);
            put(tag, ADDRESS + 4, u32::MAX);
        })
    }),
    ("screen-in-image", |block, given| screen(block, given, |tag| put(tag, ADDRESS, MIB as u32))),
    ("screen-in-ram", |block, given| screen(block, given, |tag| put(tag, ADDRESS, 48 * MIB as u32))),
    ("screen-of-unknown-type", |block, given| screen(block, given, |tag| tag[TYPE] = 77)),
    ("screen-of-size-0", |block, given| {
        screen(block, given, |tag| {
            put(tag, WIDTH, 0);
            put(tag, HEIGHT, 0);
        })
    }),
    ("screen-of-4-gib", |block, given| {
        screen(block, given, |tag| {
            put(tag, WIDTH, u32::MAX);
            put(tag, PITCH, u32::MAX);
        })
    }),
    ("screen-of-7-bits", |block, given| screen(block, given, |tag| tag[DEPTH] = 7)),
    ("screen-palette-cut", |block, given| {
        screen(block, given, |tag| {
            tag[DEPTH] = 8;
            tag[TYPE] = 0;
            // Of so many colours.
            put(tag, COLORS, 256);
        })
    }),
    // Nothing is wrong with this one; GRUB does not live to hand such a screen over by itself.
    ("screen-of-indices", |block, given| {
        const COUNT: usize = 80;
        let mut tag = [0; SCREEN - 6 + 2 + 3 * COUNT];
        tag[..SCREEN].copy_from_slice(given.screen());
        put(&mut tag, PITCH, 640);
        put(&mut tag, COLORS, COUNT as u32);
        tag[DEPTH] = 8;
        tag[TYPE] = 0;
        // Shades of grey, and the sixteen colours of a text screen behind them.
        for (index, color) in tag[COLORS + 2..].chunks_exact_mut(3).enumerate() {
            let bits =
                |n: usize| if index >> n & 1 != 0 { 0xAA } else { 0 } + if index >> 3 & 1 != 0 { 0x55 } else { 0 };
            color.copy_from_slice(&if index < 64 { [index as u8 * 4; 3] } else { [bits(2), bits(1), bits(0)] });
        }
        card::show_indices(640, 480, &tag[COLORS + 2..]);
        start(block, given).tag(8, &tag).done()
    }),
    // The boot information is right; a control register is not as a loader leaves it.
    ("la57-left-on", |block, given| {
        let set = control::set_la57();
        let _ = writeln!(Com1, "hostile: CR4.LA57 is {}", if set { "set" } else { "not there" });
        start(block, given).sections(given.kernel, 0).done()
    }),
    ("magic-wrong", |block, given| {
        start(block, given).end();
        // That of the multiboot before.
        0x2BAD_B002
    }),
];

fn areas(given: &Given) -> impl Iterator<Item = Area> {
    given.areas().iter().copied()
}

/// What comes first and is as it should be.
fn start<'a>(block: &'a mut Block, given: &Given) -> &'a mut Block {
    block.command_line(given.words().1).loader().memory_map(areas(given))
}

/// A root pointer to the list at `list`, whose checksum is wrong by `error`.
fn tables(block: &mut Block, given: &Given, list: u64, error: u8) -> u32 {
    two_lists(block, given, list, 0, error)
}

/// As [`tables`], with an older list at `old_list`.
fn two_lists(block: &mut Block, given: &Given, list: u64, old_list: u64, error: u8) -> u32 {
    block.command_line(given.words().1).loader().memory_map(areas(given).chain([acpi::KEPT]));
    acpi::pointer(block, list, old_list, error).done()
}

/// The I/O APIC of the machine, and its timer's line.
const IO_APIC: [u8; 12] = [1, 12, 5, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0];
const TIMER: [u8; 10] = [2, 10, 0, 0, 2, 0, 0, 0, 0, 0];

/// A table of interrupt controllers with these entries.
fn lines(block: &mut Block, given: &Given, entries: &[&[u8]]) -> u32 {
    tables(block, given, acpi::list(&[acpi::controllers(entries)]), 0)
}

/// Tables of an HPET at `address` and of a power management timer of four bytes at port 0.
fn clocks(block: &mut Block, given: &Given, address: u64) -> u32 {
    let hpet = acpi::table(1, b"HPET", 56, &[(44, &address.to_le_bytes())]);
    let fixed = acpi::table(2, b"FACP", 244, &[(91, &[4])]);
    tables(block, given, acpi::list(&[hpet, fixed]), 0)
}

/// Where the fields of the framebuffer's tag are, behind its header (Multiboot2 Specification 2.0, 3.6.12).
const ADDRESS: usize = 0;
const PITCH: usize = 8;
const WIDTH: usize = 12;
const HEIGHT: usize = 16;
const DEPTH: usize = 20;
const TYPE: usize = 21;
const COLORS: usize = 24;

fn put(tag: &mut [u8], at: usize, value: u32) {
    tag[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// All is as it should be but for the framebuffer, which GRUB has described and `spoil` spoils.
fn screen(block: &mut Block, given: &Given, spoil: fn(&mut [u8])) -> u32 {
    let mut tag = [0; SCREEN];
    tag.copy_from_slice(given.screen());
    spoil(&mut tag);
    start(block, given).tag(8, &tag).done()
}

/// All is as it should be but for `more` areas of memory.
fn with(block: &mut Block, given: &Given, more: impl Iterator<Item = Area>) -> u32 {
    block.command_line(given.words().1).loader().memory_map(areas(given).chain(more)).done()
}

impl Block {
    fn done(&mut self) -> u32 {
        self.end();
        MAGIC
    }
}
