//! What is wrong with what the loader said.

use core::fmt;

/// One thing that is wrong with the boot information. Whatever it is, the rest was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// It is smaller than its own header, or lies where it cannot be read.
    Unreadable,
    /// It is larger than the place it was copied to.
    TooLarge {
        /// Its size in bytes, as it says.
        says: usize,
        /// How many were kept.
        kept: usize,
    },
    /// There is no end tag.
    NoEnd,
    /// A tag's size is impossible; where the next tag begins is unknown, so this is where reading stopped.
    BadSize {
        /// The tag's type.
        tag: u32,
        /// Its size in bytes, as it says.
        says: u32,
        /// Its offset in the boot information.
        at: usize,
    },
    /// A tag's content is not what its type calls for. It is ignored.
    BadContent {
        /// The tag's type.
        tag: u32,
    },
    /// A tag that may be there once is there again. The first one counts.
    Doubled {
        /// The tag's type.
        tag: u32,
    },
    /// A text is not UTF-8. Each byte that does not belong became a question mark.
    NotUtf8 {
        /// The tag's type.
        tag: u32,
    },
    /// The memory map's last entry is cut off. The others count.
    CutEntry,
    /// A module ends before it begins. It is ignored.
    BackwardModule {
        /// Where it begins.
        start: u32,
        /// Where it ends.
        end: u32,
    },
    /// A copy of ACPI's root pointer has a wrong signature or checksum. It is ignored.
    BadRsdp {
        /// The tag's type.
        tag: u32,
    },
    /// In a copy of ACPI's root pointer the part that is newer than ACPI 1.0 has a wrong checksum. The older part counts.
    HalfRsdp {
        /// The tag's type.
        tag: u32,
    },
    /// There is no memory map.
    NoMemoryMap,
}

/// The name of a tag, by its type (Multiboot2 Specification 2.0, 3.6).
fn name(tag: u32) -> &'static str {
    match tag {
        1 => "command line",
        2 => "loader name",
        3 => "module",
        6 => "memory map",
        8 => "framebuffer",
        9 => "ELF sections",
        14 => "ACPI 1.0 RSDP",
        15 => "ACPI 2.0 RSDP",
        _ => "other",
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Complaint::Unreadable => f.write_str("the boot information is too small to be read"),
            Complaint::TooLarge { says, kept } => {
                write!(f, "the boot information has {says} bytes; only the first {kept} were kept")
            }
            Complaint::NoEnd => f.write_str("the boot information has no end tag"),
            Complaint::BadSize { tag, says, at } => {
                write!(
                    f,
                    "tag {tag} ({}) at byte {at} says it has {says} bytes; it and all behind it is lost",
                    name(tag)
                )
            }
            Complaint::BadContent { tag } => write!(f, "tag {tag} ({}) is malformed and ignored", name(tag)),
            Complaint::Doubled { tag } => write!(f, "tag {tag} ({}) is there twice; the first counts", name(tag)),
            Complaint::NotUtf8 { tag } => write!(f, "the text of tag {tag} ({}) is not UTF-8", name(tag)),
            Complaint::CutEntry => f.write_str("the memory map's last entry is cut off and ignored"),
            Complaint::BackwardModule { start, end } => {
                write!(f, "a module from {start:#x} to {end:#x} ends before it begins and is ignored")
            }
            Complaint::BadRsdp { tag } => {
                write!(f, "the copy of the RSDP in tag {tag} ({}) has a wrong checksum and is ignored", name(tag))
            }
            Complaint::HalfRsdp { tag } => {
                write!(
                    f,
                    "the newer part of the RSDP in tag {tag} ({}) has a wrong checksum; its RSDT counts",
                    name(tag)
                )
            }
            Complaint::NoMemoryMap => f.write_str("the loader gave no memory map"),
        }
    }
}

/// Complaints, as many as there is room for: they come up before there is a heap.
#[derive(Clone, Copy, Debug)]
pub struct Complaints {
    kept: [Complaint; Self::ROOM],
    count: usize,
}

impl Complaints {
    /// How many are kept. A loader that is wrong in more ways than this is not helped by a longer list.
    const ROOM: usize = 16;

    /// None.
    pub const fn new() -> Self {
        Self { kept: [Complaint::Unreadable; Self::ROOM], count: 0 }
    }

    /// One more.
    pub(crate) fn push(&mut self, complaint: Complaint) {
        if let Some(slot) = self.kept.get_mut(self.count) {
            *slot = complaint;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Those that were kept, the first first.
    pub fn iter(&self) -> impl Iterator<Item = Complaint> + '_ {
        self.kept.iter().take(self.count).copied()
    }

    /// How many there was no room for.
    pub const fn more(&self) -> usize {
        self.count.saturating_sub(Self::ROOM)
    }
}

impl Default for Complaints {
    fn default() -> Self {
        Self::new()
    }
}
