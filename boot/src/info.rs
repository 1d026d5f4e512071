//! What the loader said, in Strata's own words. Nowhere else does anything know the format it came in.

use mm::{Kind, MemoryMap, PhysAddr};
use multiboot2::{
    BootInformation, BootInformationHeader, FramebufferField, FramebufferTag, FramebufferType, MemoryAreaType,
};
use screen::{Channel, Geometry, Palette, PixelFormat};

use crate::vet::{tag, vet};
use crate::{Complaint, Complaints};

/// A section that occupies memory while the program runs (ELF gABI, "Section Attribute Flags").
const SHF_ALLOC: u64 = 2;

/// Types of sections (ELF gABI, "Section Types").
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;

/// What the loader said. All of it is a claim: the structure was checked, the contents are the loader's.
pub struct BootInfo<'a> {
    /// `None` if nothing could be read.
    said: Option<BootInformation<'a>>,
    complaints: Complaints,
}

/// A file that the loader loaded beside the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Module<'a> {
    /// Its first byte.
    pub start: PhysAddr,
    /// Its size in bytes.
    pub bytes: u64,
    /// What stands after its name in the loader's configuration.
    pub command_line: &'a str,
}

/// Bytes in physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The first.
    pub start: PhysAddr,
    /// How many.
    pub bytes: u64,
}

/// The kernel's own symbol table, as the loader left it in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SymbolTable {
    /// The symbols.
    pub symbols: Extent,
    /// The strings that they refer to.
    pub strings: Extent,
}

/// A screen, and where it begins in physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framebuffer {
    /// The first byte of the first line.
    pub address: PhysAddr,
    /// What it is made of.
    pub made_of: MadeOf,
}

/// What a screen is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one, and no heap yet")]
pub enum MadeOf {
    /// Letters and their colours, as on the VGA's text screen.
    Letters {
        /// Letters in a line.
        columns: u32,
        /// Lines.
        lines: u32,
    },
    /// Pixels.
    Pixels(Geometry),
}

impl<'a> BootInfo<'a> {
    /// Reads the boot information at the start of `bytes`, which says that it is `size` bytes long. The bytes have to
    /// begin at a multiple of 8, and to hold 8 more than the information; what does not fit is lost.
    ///
    /// Never fails: what cannot be read is not there, and among the [complaints](Self::complaints).
    pub fn read(bytes: &'a mut [u8], size: usize) -> Self {
        let mut complaints = Complaints::new();
        let said = Self::load(bytes, size, &mut complaints);
        if said.as_ref().is_none_or(|said| said.memory_map_tag().is_none()) {
            complaints.push(Complaint::NoMemoryMap);
        }
        Self { said, complaints }
    }

    fn load(bytes: &'a mut [u8], size: usize, complaints: &mut Complaints) -> Option<BootInformation<'a>> {
        let size = vet(bytes, size, complaints)?;
        let start = bytes.get(..size)?.as_ptr().cast::<BootInformationHeader>();
        // SAFETY: `vet` has made the size in the header `size`, so all that is read lies in `bytes`, which is borrowed
        // for as long as the result lives and, being borrowed mutably, seen by nobody else.
        let said = unsafe { BootInformation::load(start) };
        said.inspect_err(|_| complaints.push(Complaint::Unreadable)).ok()
    }

    /// What is wrong with it.
    pub const fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// The command line, without the kernel's own name. Empty if there is none.
    pub fn command_line(&self) -> &str {
        self.text(tag::COMMAND_LINE)
    }

    /// The loader's name. Empty if it has none.
    pub fn loader(&self) -> &str {
        self.text(tag::LOADER)
    }

    fn text(&self, kind: u32) -> &str {
        self.payload(kind).map_or("", text)
    }

    /// What the first tag of this kind has behind its header.
    fn payload(&self, kind: u32) -> Option<&[u8]> {
        let tag = self.said.as_ref()?.tags().find(|tag| tag.header().typ.get() == kind)?;
        Some(tag.payload())
    }

    /// The memory map as it is: start, bytes, kind; in any order, overlapping, perhaps past the end of memory.
    pub fn memory(&self) -> impl Iterator<Item = (PhysAddr, u64, Kind)> + '_ {
        let areas = self.said.iter().filter_map(BootInformation::memory_map_tag).flat_map(|map| map.memory_areas());
        areas.map(|area| {
            let kind = match area.typ() {
                MemoryAreaType::Available => Kind::Usable,
                MemoryAreaType::AcpiAvailable => Kind::AcpiReclaimable,
                MemoryAreaType::ReservedHibernate => Kind::AcpiNvs,
                MemoryAreaType::Defective => Kind::Bad,
                MemoryAreaType::Reserved | MemoryAreaType::Custom(_) => Kind::Reserved,
            };
            (PhysAddr(area.start_address()), area.size(), kind)
        })
    }

    /// Puts everything the loader said about memory into `map`: the memory map, the modules, and the sections of the
    /// kernel's file that it left in memory beside the image. The image itself is not among them.
    ///
    /// Returns how many bytes of modules and sections lie where there is no RAM.
    pub fn describe(&self, map: &mut MemoryMap) -> u64 {
        // Usable RAM first: a map without places for all has to know what it would give up.
        for usable in [true, false] {
            for (start, bytes, kind) in self.memory().filter(|(.., kind)| usable == (*kind == Kind::Usable)) {
                map.insert(start, bytes, kind);
            }
        }
        // Sizes are claims too: their sum may be more than a number can be.
        let modules = self.modules().map(|module| map.claim(module.start, module.bytes, Kind::Module));
        let outside = modules.fold(0, u64::saturating_add);
        let sections = self.loaded_sections().map(|section| map.claim(section.start, section.bytes, Kind::BootInfo));
        sections.fold(outside, u64::saturating_add)
    }

    /// The files that were loaded beside the kernel.
    pub fn modules(&self) -> impl Iterator<Item = Module<'_>> + '_ {
        let modules = self.said.iter().flat_map(BootInformation::module_tags);
        modules.map(|module| Module {
            start: PhysAddr(u64::from(module.start_address())),
            bytes: u64::from(module.module_size()),
            // After the header, start and end.
            command_line: text(multiboot2::MaybeDynSized::payload(module).get(8..).unwrap_or_default()),
        })
    }

    /// The screen, if it was handed over.
    pub fn framebuffer(&self) -> Option<Framebuffer> {
        let tag: &FramebufferTag = self.said.as_ref()?.framebuffer_tag()?.ok()?;
        let channel = |field: FramebufferField| Channel { position: field.position, bits: field.size };
        let format = match tag.buffer_type().ok()? {
            FramebufferType::RGB { red, green, blue } => PixelFormat::Direct([red, green, blue].map(channel)),
            FramebufferType::Indexed { palette } => {
                PixelFormat::Indexed(Palette::new(palette.iter().map(|color| [color.red, color.green, color.blue])))
            }
            FramebufferType::Text => {
                let made_of = MadeOf::Letters { columns: tag.width(), lines: tag.height() };
                return Some(Framebuffer { address: PhysAddr(tag.address()), made_of });
            }
        };
        let (width, height, pitch, depth) = (tag.width(), tag.height(), tag.pitch(), tag.bpp());
        let made_of = MadeOf::Pixels(Geometry { width, height, pitch, depth, format });
        Some(Framebuffer { address: PhysAddr(tag.address()), made_of })
    }

    /// Where ACPI's tables are listed, as the root pointers say of which the loader gave copies. Their checksums are right.
    pub fn acpi_lists(&self) -> acpi::Lists {
        // Read here: the library makes pointers of the addresses, which have 32 bits only on i686.
        let pointers = [tag::RSDP_2, tag::RSDP_1].into_iter().filter_map(|kind| self.payload(kind));
        pointers.flat_map(|pointer| acpi::Lists::in_pointer(pointer).iter()).collect()
    }

    /// The sections of the kernel's file that are no part of the image, where the loader left them.
    pub fn loaded_sections(&self) -> impl Iterator<Item = Extent> + '_ {
        let sections = self.said.iter().filter_map(BootInformation::elf_sections_tag).flat_map(|tag| tag.sections());
        sections
            .filter(|section| section.sh_flags & SHF_ALLOC == 0 && section.sh_type != SHT_NOBITS)
            .filter(|section| section.sh_addr != 0 && section.sh_size != 0)
            .map(|section| Extent { start: PhysAddr(section.sh_addr), bytes: section.sh_size })
    }

    /// The kernel's symbol table, if the loader left it in memory.
    pub fn symbols(&self) -> Option<SymbolTable> {
        let tag = self.said.as_ref()?.elf_sections_tag()?;
        let symbols = tag.sections().find(|section| section.sh_type == SHT_SYMTAB && section.sh_addr != 0)?;
        let strings = tag.sections().nth(symbols.sh_link as usize).filter(|section| section.sh_addr != 0)?;
        Some(SymbolTable {
            symbols: Extent { start: PhysAddr(symbols.sh_addr), bytes: symbols.sh_size },
            strings: Extent { start: PhysAddr(strings.sh_addr), bytes: strings.sh_size },
        })
    }
}

/// A text up to the zero at its end. It was mended, so all of it is UTF-8.
fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or_default()
}
