//! Boot information as a loader writes it, and as none should.

use mm::{Kind, MemoryMap, PhysAddr, Region};

use crate::{AcpiRoot, BootInfo, Color, Complaint, Extent, Framebuffer, Module, Pixels, SymbolTable};

/// Boot information in the making: tags one after another, each padded to 8 bytes.
#[derive(Clone, Default)]
struct Loader(Vec<u8>);

impl Loader {
    fn tag(self, kind: u32, content: &[u8]) -> Self {
        self.tag_of_size(kind, content.len() as u32 + 8, content)
    }

    fn tag_of_size(mut self, kind: u32, size: u32, content: &[u8]) -> Self {
        self.0.extend(kind.to_le_bytes());
        self.0.extend(size.to_le_bytes());
        self.0.extend(content);
        // A loader does not clear what it pads with.
        self.0.resize(self.0.len().next_multiple_of(8), 0xA5);
        self
    }

    /// The tags behind the header, in a place with `spare` bytes more.
    fn load(&self, spare: usize) -> Memory {
        let size = self.0.len() + 8;
        let mut bytes = (size as u32).to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(&self.0);
        bytes.resize(size + spare, 0xA5);
        Memory::new(&bytes, size)
    }
}

/// Bytes at a multiple of 8.
struct Memory {
    words: Vec<u64>,
    length: usize,
    size: usize,
}

impl Memory {
    fn new(bytes: &[u8], size: usize) -> Self {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_ne_bytes(word)
        };
        Self { words: bytes.chunks(8).map(word).collect(), length: bytes.len(), size }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words are initialised, borrowed as a whole, and bytes have no alignment.
        unsafe { core::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }

    fn read(&mut self) -> BootInfo<'_> {
        let size = self.size;
        BootInfo::read(self.bytes(), size)
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn memory_map(areas: &[(u64, u64, u32)]) -> Vec<u8> {
    let mut content = words(&[24, 0]);
    for (start, bytes, kind) in areas {
        content.extend(start.to_le_bytes());
        content.extend(bytes.to_le_bytes());
        content.extend(words(&[*kind, 0]));
    }
    content
}

fn rsdp(length: usize, root: u64) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0MAKERS\x02".to_vec();
    bytes.extend((root as u32).to_le_bytes());
    let negated = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes[8] = negated(&bytes);
    if length > 20 {
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend(root.to_le_bytes());
        bytes.extend([0; 4]);
        bytes[32] = negated(&bytes);
    }
    bytes
}

/// The header of a section of a 64-bit ELF file.
fn section(kind: u32, flags: u64, address: u64, bytes: u64, link: u32) -> Vec<u8> {
    let mut content = words(&[0, kind]);
    content.extend([flags, address, 0, bytes].iter().flat_map(|word| word.to_le_bytes()));
    content.extend(words(&[link, 0]));
    content.extend([8u64, 24].iter().flat_map(|word| word.to_le_bytes()));
    content
}

fn sections() -> Vec<u8> {
    let mut content = words(&[5, 64, 3]);
    content.extend(section(0, 0, 0, 0, 0));
    content.extend(section(1, 6, 0xFFFF_FFFF_8010_1000, 0x5000, 0));
    content.extend(section(2, 0, 0x40_0000, 0x2400, 3));
    content.extend(section(3, 0, 0x40_2400, 0x1234, 0));
    // Left out by the loader.
    content.extend(section(1, 0, 0, 0x7777, 0));
    content
}

const AREAS: [(u64, u64, u32); 7] = [
    (0, 0x9FC00, 1),
    (0x10_0000, 0x700_0000, 1),
    (0x710_0000, 0x1000, 3),
    (0x710_1000, 0x1000, 4),
    (0x710_2000, 0x800, 77),
    (0x710_3000, 0x1000, 2),
    (0x710_4000, 0x1000, 5),
];

/// What GRUB would say, and a bit more.
fn whole() -> Loader {
    let mut screen = Vec::from(0xFD00_0000u64.to_le_bytes());
    screen.extend(words(&[4096, 1024, 768]));
    screen.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
    let mut module = words(&[0x60_0000, 0x60_1234]);
    module.extend(b"disk ro\0");
    Loader::default()
        .tag(1, b"NOXPA quiet\0")
        .tag(2, b"GRUB 2.06\0")
        .tag(21, &words(&[0x10_0000]))
        .tag(3, &module)
        .tag(6, &memory_map(&AREAS))
        .tag(8, &screen)
        .tag(9, &sections())
        .tag(14, &rsdp(20, 0x7FE_0000))
        .tag(15, &rsdp(36, 0x1_0000_0040))
        .tag(0, &[])
}

fn complaints(info: &BootInfo) -> Vec<Complaint> {
    info.complaints().iter().collect()
}

/// Calls everything there is to call, and prints it all.
fn exercise(info: &BootInfo) -> String {
    let mut storage = [Region::default(); 64];
    let mut map = MemoryMap::new(&mut storage);
    info.describe(&mut map);
    let modules: Vec<_> = info.modules().collect();
    let loaded: Vec<_> = info.loaded_sections().collect();
    let complaints: Vec<String> = info.complaints().iter().map(|complaint| complaint.to_string()).collect();
    let (screen, acpi, symbols) = (info.framebuffer(), info.acpi_root(), info.symbols());
    let regions: Vec<_> = map.iter().collect();
    let texts = (info.command_line(), info.loader());
    format!("{texts:?} {modules:?} {loaded:?} {screen:?} {acpi:?} {symbols:?} {regions:?} {complaints:?}")
}

#[test]
fn everything_that_was_said_is_heard() {
    let mut memory = whole().load(8);
    let info = memory.read();
    assert_eq!(complaints(&info), []);
    assert_eq!((info.command_line(), info.loader()), ("NOXPA quiet", "GRUB 2.06"));
    let module = Module { start: PhysAddr(0x60_0000), bytes: 0x1234, command_line: "disk ro" };
    assert_eq!(info.modules().collect::<Vec<_>>(), [module]);
    let color = |position| Color { position, bits: 8 };
    let screen = Framebuffer {
        address: PhysAddr(0xFD00_0000),
        pitch: 4096,
        width: 1024,
        height: 768,
        bits: 32,
        pixels: Pixels::Rgb { red: color(16), green: color(8), blue: color(0) },
    };
    assert_eq!(info.framebuffer(), Some(screen));
    assert_eq!(info.acpi_root(), Some(AcpiRoot::Xsdt(PhysAddr(0x1_0000_0040))));
    let extent = |start, bytes| Extent { start: PhysAddr(start), bytes };
    let table = SymbolTable { symbols: extent(0x40_0000, 0x2400), strings: extent(0x40_2400, 0x1234) };
    assert_eq!(info.symbols(), Some(table));
    assert_eq!(info.loaded_sections().collect::<Vec<_>>(), [table.symbols, table.strings]);

    let mut storage = [Region::default(); 32];
    let mut map = MemoryMap::new(&mut storage);
    assert_eq!(info.describe(&mut map), 0);
    let kinds: Vec<_> = map.iter().map(|region| (region.start.0, region.end.0, region.kind)).collect();
    let wanted = [
        (0, 0x9F000, Kind::Usable),
        (0x10_0000, 0x40_0000, Kind::Usable),
        (0x40_0000, 0x40_4000, Kind::BootInfo),
        (0x40_4000, 0x60_0000, Kind::Usable),
        (0x60_0000, 0x60_2000, Kind::Module),
        (0x60_2000, 0x710_0000, Kind::Usable),
        (0x710_0000, 0x710_1000, Kind::AcpiReclaimable),
        (0x710_1000, 0x710_2000, Kind::AcpiNvs),
        (0x710_2000, 0x710_4000, Kind::Reserved),
        (0x710_4000, 0x710_5000, Kind::Bad),
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn what_is_missing_is_not_there() {
    let mut memory = Loader::default().tag(0, &[]).load(8);
    let info = memory.read();
    assert_eq!(complaints(&info), [Complaint::NoMemoryMap]);
    assert_eq!((info.command_line(), info.loader()), ("", ""));
    assert_eq!((info.framebuffer(), info.acpi_root(), info.symbols()), (None, None, None));
    assert_eq!((info.modules().count(), info.memory().count()), (0, 0));
    // The newer of ACPI's lists can be missing although the tag is there, and a module can be empty.
    let mut memory = Loader::default()
        .tag(3, &words(&[0x9000, 0x9000, 0]))
        .tag(15, &rsdp(36, 0))
        .tag(14, &rsdp(20, 0x7FE_0000))
        .tag(6, &memory_map(&[]))
        .tag(0, &[])
        .load(8);
    let info = memory.read();
    assert_eq!(info.modules().map(|module| module.bytes).collect::<Vec<_>>(), [0]);
    assert_eq!((complaints(&info), info.acpi_root()), (vec![], Some(AcpiRoot::Rsdt(PhysAddr(0x7FE_0000)))));
}

#[test]
fn sizes_that_cannot_be_end_the_reading_where_they_stand() {
    for says in [0, 7, 10_000, u32::MAX] {
        let loader = Loader::default().tag(1, b"NOXPA\0").tag_of_size(2, says, b"GRUB\0").tag(6, &memory_map(&AREAS));
        let mut memory = loader.tag(0, &[]).load(8);
        let info = memory.read();
        let wanted = [Complaint::BadSize { tag: 2, says, at: 24 }, Complaint::NoMemoryMap];
        assert_eq!(complaints(&info), wanted);
        assert_eq!((info.command_line(), info.loader()), ("NOXPA", ""));
    }
    // An end tag of another size is none.
    let mut memory = Loader::default().tag(6, &memory_map(&AREAS)).tag(0, &[0; 8]).load(8);
    let at = 8 + 16 + 24 * AREAS.len();
    assert_eq!(complaints(&memory.read()), [Complaint::BadSize { tag: 0, says: 16, at }]);
}

#[test]
fn a_missing_end_and_a_wrong_total_are_survived() {
    let loader = Loader::default().tag(1, b"NOXPA\0").tag(6, &memory_map(&AREAS));
    let mut memory = loader.load(8);
    let info = memory.read();
    assert_eq!((complaints(&info), info.command_line()), (vec![Complaint::NoEnd], "NOXPA"));
    assert_eq!(info.memory().count(), AREAS.len());

    for size in 0..8 {
        let mut memory = loader.load(8);
        memory.size = size;
        assert_eq!(complaints(&memory.read()), [Complaint::Unreadable, Complaint::NoMemoryMap]);
    }
    assert_eq!(complaints(&BootInfo::read(&mut [], 100))[1..], [Complaint::Unreadable, Complaint::NoMemoryMap]);

    // Larger than the copy: what was kept is read.
    let mut memory = whole().load(8);
    let kept = memory.size - 160;
    memory.length = kept + 8;
    let says = memory.size;
    let info = memory.read();
    assert_eq!(complaints(&info)[0], Complaint::TooLarge { says, kept });
    assert_eq!((info.memory().count(), info.acpi_root()), (AREAS.len(), None));
    memory = whole().load(8);
    memory.size = usize::MAX;
    assert_eq!(complaints(&memory.read())[0], Complaint::TooLarge { says: usize::MAX, kept: says });
}

#[test]
fn of_a_tag_that_is_there_twice_the_first_good_one_counts() {
    let map = memory_map(&AREAS);
    let once = Loader::default().tag(1, b"first\0").tag(1, b"second\0");
    let mut memory = once.tag(6, &map[..4]).tag(6, &map).tag(6, &memory_map(&[])).tag(0, &[]).load(8);
    let info = memory.read();
    let wanted = [Complaint::Doubled { tag: 1 }, Complaint::BadContent { tag: 6 }, Complaint::Doubled { tag: 6 }];
    assert_eq!(complaints(&info), wanted);
    assert_eq!((info.command_line(), info.memory().count()), ("first", AREAS.len()));
}

#[test]
fn a_tag_with_bad_content_is_ignored_by_itself() {
    let mut bad_sum = rsdp(36, 0x1000);
    bad_sum[24] += 1;
    // The first part is wrong by one, and the second makes up for it.
    let mut bad_first_sum = rsdp(36, 0x1000);
    bad_first_sum[9] += 1;
    bad_first_sum[34] = bad_first_sum[34].wrapping_sub(1);
    let mut bad_signature = rsdp(20, 0x1000);
    bad_signature.swap(0, 1);
    let palette = [&[0; 20][..], &[8, 0, 0, 0, 2, 0, 1, 2, 3, 4, 5]].concat();
    let unknown = [&[0; 20][..], &[32, 9, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let mut many_sections = sections();
    many_sections[0] = 6;
    let mut odd_sections = sections();
    odd_sections[4] = 48;
    let mut wide_entries = memory_map(&AREAS);
    wide_entries[0] = 32;
    let bad = |tag| Complaint::BadContent { tag };
    let cases: [(u32, &[u8], Complaint); 15] = [
        (3, &[0; 7], bad(3)),
        (3, &words(&[0x2000, 0x1FFF, 0]), Complaint::BackwardModule { start: 0x2000, end: 0x1FFF }),
        (6, &[], bad(6)),
        (6, &wide_entries, bad(6)),
        (8, &[0; 20], bad(8)),
        (8, &palette, bad(8)),
        (8, &unknown, bad(8)),
        (9, &words(&[0, 64]), bad(9)),
        (9, &many_sections, bad(9)),
        (9, &odd_sections, bad(9)),
        (14, &rsdp(36, 0x1000), bad(14)),
        (14, &bad_signature, Complaint::BadRsdp { tag: 14 }),
        (15, &rsdp(20, 0x1000), bad(15)),
        (15, &bad_first_sum, Complaint::BadRsdp { tag: 15 }),
        (15, &bad_sum, Complaint::BadRsdp { tag: 15 }),
    ];
    for (tag, content, complaint) in cases {
        let mut memory = Loader::default().tag(tag, content).tag(1, b"NOXPA\0").tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(complaints(&info), [complaint, Complaint::NoMemoryMap]);
        assert_eq!(info.command_line(), "NOXPA");
        assert_eq!((info.framebuffer(), info.acpi_root(), info.symbols()), (None, None, None));
        assert_eq!((info.modules().count(), info.memory().count()), (0, 0));
        exercise(&info);
    }
}

#[test]
fn a_memory_map_whose_last_entry_is_cut_keeps_the_others() {
    let map = memory_map(&AREAS);
    for missing in 1..24 {
        let map = &map[..map.len() - missing];
        let mut memory = Loader::default().tag(6, map).tag(1, b"NOXPA\0").tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(complaints(&info), [Complaint::CutEntry]);
        assert_eq!((info.memory().count(), info.command_line()), (AREAS.len() - 1, "NOXPA"));
    }
}

#[test]
fn texts_that_are_no_utf8_are_mended_and_one_without_an_end_is_read_to_its_own() {
    let cases: [(&[u8], &str, bool); 6] = [
        (b"NOXPA \xFF\xC3( x\0", "NOXPA ??( x", false),
        (b"\xE2\x82 NOXPA\0", "?? NOXPA", false),
        (b"NOXPA \xE2\x82", "NOXPA ??", false),
        ("g\u{fc}nstig\0\u{7f}".as_bytes(), "g\u{fc}nstig", true),
        (b"NOXPA", "NOXPA", true),
        (b"", "", true),
    ];
    for (bytes, text, clean) in cases {
        let mut memory = Loader::default().tag(1, bytes).tag(6, &memory_map(&[])).tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(info.command_line(), text);
        assert_eq!(complaints(&info), if clean { vec![] } else { vec![Complaint::NotUtf8 { tag: 1 }] });
    }
}

#[test]
fn more_complaints_than_there_is_room_for_are_counted() {
    let mut loader = Loader::default();
    for _ in 0..40 {
        loader = loader.tag(3, &[0; 7]);
    }
    let mut memory = loader.tag(6, &memory_map(&[])).tag(0, &[]).load(8);
    let info = memory.read();
    assert_eq!(complaints(&info).len() + info.complaints().more(), 40);
    assert_eq!(complaints(&info)[0], Complaint::BadContent { tag: 3 });
}

/// Whatever is changed about it, reading it ends, and nothing behind it is read: what lies there does not show.
#[test]
fn no_damage_makes_the_reading_fail() {
    let mut state = 0x9E37_79B9u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % bound
    };
    let good = whole().load(8);
    let mut damaged = 0;
    for _ in 0..30_000 {
        let mut memory = Memory { words: good.words.clone(), length: good.length, size: good.size };
        for _ in 0..1 + below(4) {
            let at = below(good.size);
            let value = match below(4) {
                0 => below(256) as u8,
                1 => 0,
                2 => 0xFF,
                _ => memory.bytes()[at] ^ 1 << below(8),
            };
            // Half of the damage goes to sizes and types, which is where it hurts.
            let at = if below(2) == 0 { (at & !7) + 4 * below(2) } else { at };
            memory.bytes()[at] = value;
        }
        if below(4) == 0 {
            memory.size = below(2 * good.size);
        }
        let mut other = Memory { words: memory.words.clone(), length: memory.length, size: memory.size };
        let size = memory.size;
        if let Some(behind) = other.bytes().get_mut(size..) {
            behind.fill(0x5A);
        }
        let heard = exercise(&memory.read());
        assert_eq!(heard, exercise(&other.read()));
        damaged += u32::from(heard.contains("ignored") || heard.contains("lost") || heard.contains("no end"));
    }
    assert!(damaged > 10_000, "only {damaged} rounds did any damage");
}
