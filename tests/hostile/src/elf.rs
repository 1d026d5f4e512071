//! The kernel's file: loading it, and its section headers as GRUB hands them over.

use core::ptr;

use crate::given::{long, word};

/// Offsets of the fields that are read, in files of 32 and of 64 bits (ELF gABI, chapters 4 and 5).
struct Fields {
    wide: bool,
    /// In the file's header: program headers, section headers; then, 2 bytes each, size and count of both, and the index
    /// of the sections' names.
    headers: (usize, usize),
    sizes: usize,
    /// In a program header: where its bytes are in the file, its physical address, bytes in the file, bytes in memory.
    program: [usize; 4],
    /// In a section header: its flags, its address, where its bytes are.
    section: [usize; 3],
}

const NARROW: Fields =
    Fields { wide: false, headers: (28, 32), sizes: 42, program: [4, 12, 16, 20], section: [8, 12, 16] };
const WIDE: Fields =
    Fields { wide: true, headers: (32, 40), sizes: 54, program: [8, 24, 32, 40], section: [8, 16, 24] };

/// A segment that is loaded.
const PT_LOAD: u32 = 1;

/// A section that occupies memory while the program runs.
const SHF_ALLOC: u64 = 2;

impl Fields {
    fn of(file: &[u8]) -> Option<&'static Self> {
        match file.first_chunk() {
            Some(b"\x7FELF\x01") => Some(&NARROW),
            Some(b"\x7FELF\x02") => Some(&WIDE),
            _ => None,
        }
    }

    fn read(&self, bytes: &[u8], at: usize) -> Option<u64> {
        if self.wide { long(bytes, at) } else { word(bytes, at).map(u64::from) }
    }
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
}

/// Loads `file` where its program headers say; returns its entry.
///
/// # Safety
/// Nothing that is still needed lies there.
pub unsafe fn load(file: &[u8]) -> Option<u32> {
    let fields = Fields::of(file)?;
    let (size, count) = (half(file, fields.sizes)?, half(file, fields.sizes + 2)?);
    let headers = fields.read(file, fields.headers.0)? as usize;
    for n in 0..count {
        let header = file.get(headers + n * size..)?;
        if word(header, 0)? != PT_LOAD {
            continue;
        }
        let [offset, address, kept, all] = fields.program.map(|field| fields.read(header, field));
        let (address, kept, all) = (address? as usize as *mut u8, kept? as usize, all? as usize);
        let bytes = file.get(offset? as usize..)?.get(..kept)?;
        // SAFETY: by this function's contract the segment's place is free.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), address, kept);
            ptr::write_bytes(address.add(kept), 0, all - kept);
        }
    }
    fields.read(file, 24).map(|entry| entry as u32)
}

/// The content of the tag with the section headers: their number, the size of one, the index of the names, and the
/// headers. Sections that are no part of the image lie in `file`, `moved` bytes further.
pub fn sections(file: &[u8], moved: u64, mut write: impl FnMut(&[u8])) -> Option<()> {
    let fields = Fields::of(file)?;
    let [size, count, names] = [4, 6, 8].map(|field| half(file, fields.sizes + field));
    let (size, count) = (size?, count?);
    [count, size, names?].iter().for_each(|value| write(&(*value as u32).to_le_bytes()));
    let start = fields.read(file, fields.headers.1)? as usize;
    let [flags, address, offset] = fields.section;
    for header in file.get(start..start + count * size)?.chunks(size) {
        let mut place = fields.read(header, address)?;
        if fields.read(header, flags)? & SHF_ALLOC == 0 && word(header, 4)? != 0 {
            place = file.as_ptr() as u64 + fields.read(header, offset)? + moved;
        }
        let width = if fields.wide { 8 } else { 4 };
        write(&header[..address]);
        write(&place.to_le_bytes()[..width]);
        write(&header[address + width..]);
    }
    Some(())
}
