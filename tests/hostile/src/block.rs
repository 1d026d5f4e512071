//! Boot information in the making (Multiboot2 Specification 2.0, 3.6).

use crate::elf;
use crate::given::Area;

/// Bytes that it can have; the kernel keeps 128 KiB.
const ROOM: usize = 256 << 10;

/// Boot information: tags one after another, each padded to 8 bytes.
#[repr(align(8))]
pub struct Block {
    bytes: [u8; ROOM],
    length: usize,
    /// Where it begins in `bytes`.
    start: usize,
}

/// The one there is, with nothing but its header.
pub fn empty() -> &'static mut Block {
    static mut BLOCK: Block = Block { bytes: [0xA5; ROOM], length: 8, start: 0 };
    let block = &raw mut BLOCK;
    // SAFETY: `main` calls this, once.
    unsafe { &mut *block }
}

impl Block {
    /// Its first byte.
    pub fn start(&self) -> *const u8 {
        self.bytes[self.start..].as_ptr()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    /// A tag that says that it has `size` bytes, with `content`, however much that is.
    pub fn tag_of_size(&mut self, kind: u32, size: u32, content: &[u8]) -> &mut Self {
        self.word(kind);
        self.word(size);
        self.bytes(content);
        self.pad()
    }

    /// A tag that is what it should be.
    pub fn tag(&mut self, kind: u32, content: &[u8]) -> &mut Self {
        self.tag_of_size(kind, content.len() as u32 + 8, content)
    }

    fn pad(&mut self) -> &mut Self {
        self.length = self.length.next_multiple_of(8);
        self
    }

    /// The command line.
    pub fn command_line(&mut self, text: &str) -> &mut Self {
        self.word(1);
        self.word(text.len() as u32 + 9);
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
        self.pad()
    }

    /// The loader's name.
    pub fn loader(&mut self) -> &mut Self {
        self.tag(2, b"a hostile loader\0")
    }

    /// The memory map, with entries of `size` bytes.
    pub fn memory_map_of(&mut self, size: usize, areas: impl Iterator<Item = Area>) -> &mut Self {
        let at = self.length;
        self.word(6);
        [0, size as u32, 0].into_iter().for_each(|word| self.word(word));
        for Area(start, bytes, kind) in areas {
            let mut entry = [0xFF; 64];
            entry[..8].copy_from_slice(&start.to_le_bytes());
            entry[8..16].copy_from_slice(&bytes.to_le_bytes());
            entry[16..20].copy_from_slice(&kind.to_le_bytes());
            self.bytes(&entry[..size]);
        }
        let length = (self.length - at) as u32;
        self.bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        self.pad()
    }

    /// The memory map.
    pub fn memory_map(&mut self, areas: impl Iterator<Item = Area>) -> &mut Self {
        self.memory_map_of(24, areas)
    }

    /// The section headers of the kernel's `file`, with what they name `moved` bytes further than it is.
    pub fn sections(&mut self, file: &[u8], moved: u64) -> &mut Self {
        let at = self.length;
        self.word(9);
        self.word(0);
        let _ = elf::sections(file, moved, |bytes| self.bytes(bytes));
        let length = (self.length - at) as u32;
        self.bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        self.pad()
    }

    /// The end tag, and the right size in the header.
    pub fn end(&mut self) {
        self.tag(0, &[]);
        self.without_end();
    }

    /// The right size in the header.
    pub fn without_end(&mut self) {
        self.says(self.length as u32);
    }

    /// Another size in the header.
    pub fn says(&mut self, size: u32) {
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
    }

    /// Moves all of it by `bytes`.
    pub fn shift(&mut self, bytes: usize) {
        self.bytes.copy_within(..self.length, bytes);
        self.start = bytes;
    }
}
