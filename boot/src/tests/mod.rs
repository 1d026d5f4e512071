//! Boot information as a loader writes it; in `bad`, as none should.

mod bad;

use mm::{Kind, MemoryMap, PhysAddr, Region};

use screen::{Channel, Geometry, PixelFormat};

use crate::{BootInfo, Complaint, Extent, Framebuffer, MadeOf, Module, SymbolTable};

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
    let (screen, acpi, symbols) = (info.framebuffer(), info.acpi_lists(), info.symbols());
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
    let channel = |position| Channel { position, bits: 8 };
    let format = PixelFormat::Direct([channel(16), channel(8), channel(0)]);
    let made_of = MadeOf::Pixels(Geometry { width: 1024, height: 768, pitch: 4096, depth: 32, format });
    let screen = Framebuffer { address: PhysAddr(0xFD00_0000), made_of };
    assert_eq!(info.framebuffer(), Some(screen));
    let acpi = [acpi::Root::Xsdt(0x1_0000_0040), acpi::Root::Rsdt(0x40), acpi::Root::Rsdt(0x7FE_0000)];
    assert_eq!(info.acpi_lists(), acpi.into_iter().collect());
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
    assert_eq!((info.framebuffer(), info.acpi_lists(), info.symbols()), (None, acpi::Lists::default(), None));
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
    let old = [acpi::Root::Rsdt(0x7FE_0000)].into_iter().collect();
    assert_eq!((complaints(&info), info.acpi_lists()), (vec![], old));
}
