//! What GRUB said, as far as it is handed on, in a place of its own: the kernel is loaded over the original.

use core::slice;

/// Bytes of the largest kernel's file.
const LARGEST: usize = 6 << 20;

/// As many areas as a firmware's map has.
const AREAS: usize = 64;

/// Bytes of the longest command line.
const LONGEST: usize = 256;

/// Bytes of the framebuffer's description with a place for each colour, without the tag's header.
pub const SCREEN: usize = 30;

/// A part of memory: where it begins, how many bytes it has, and its type (Multiboot2 Specification 2.0, 3.6.8).
#[derive(Clone, Copy)]
pub struct Area(pub u64, pub u64, pub u32);

/// What GRUB said.
pub struct Given {
    areas: [Area; AREAS],
    count: usize,
    text: [u8; LONGEST],
    length: usize,
    screen: [u8; SCREEN],
    /// The kernel's file.
    pub kernel: &'static [u8],
}

impl Given {
    /// Copies it.
    ///
    /// # Safety
    /// `info` is boot information as GRUB writes it. Called once.
    pub unsafe fn read(info: *const u8) -> Option<&'static Self> {
        static mut GIVEN: Given = Given {
            areas: [Area(0, 0, 0); AREAS],
            count: 0,
            text: [0; LONGEST],
            length: 0,
            screen: [0; SCREEN],
            kernel: &[],
        };
        static mut KERNEL: [u8; LARGEST] = [0; LARGEST];
        let (given, room) = (&raw mut GIVEN, &raw mut KERNEL);
        // SAFETY: by this function's contract it is called once, so these are the only references.
        let (given, room) = unsafe { (&mut *given, &mut *room) };
        // SAFETY: GRUB says how many bytes there are, in the first word.
        let bytes = unsafe { slice::from_raw_parts(info, info.cast::<u32>().read() as usize) };
        let mut at = 8;
        while let Some(tag) = bytes.get(at..) {
            let (kind, size) = (word(tag, 0)?, word(tag, 4)? as usize);
            match kind {
                0 => break,
                1 => given.keep_text(tag.get(8..size)?),
                3 => {
                    let (start, end) = (word(tag, 8)? as usize, word(tag, 12)? as usize);
                    let length = end.checked_sub(start)?;
                    // SAFETY: GRUB has put the module there. It cannot lie in this image, of which `room` is a part.
                    let module = unsafe { slice::from_raw_parts(start as *const u8, length) };
                    room.get_mut(..length)?.copy_from_slice(module);
                    given.kernel = &*room;
                    given.kernel = &given.kernel[..length];
                    break;
                }
                _ => {}
            }
            at += size.next_multiple_of(8);
        }
        given.keep_areas(bytes)?;
        given.keep_screen(bytes);
        (given.length > 0 && !given.kernel.is_empty()).then_some(given)
    }

    fn keep_text(&mut self, text: &[u8]) {
        self.length = text.iter().take(LONGEST).take_while(|byte| **byte != 0).count();
        self.text[..self.length].copy_from_slice(&text[..self.length]);
    }

    /// Without one, zeros are kept: then there is nothing to spoil.
    fn keep_screen(&mut self, bytes: &[u8]) {
        let found = find(bytes, 8).and_then(|at| bytes.get(at + 8..at + 8 + SCREEN));
        if let Some(screen) = found {
            self.screen.copy_from_slice(screen);
        }
    }

    /// The description of the framebuffer.
    pub fn screen(&self) -> &[u8; SCREEN] {
        &self.screen
    }

    fn keep_areas(&mut self, bytes: &[u8]) -> Option<()> {
        let at = find(bytes, 6)?;
        let (length, size) = (word(bytes, at + 4)? as usize, word(bytes, at + 8)? as usize);
        for entry in bytes.get(at + 16..at + length)?.chunks(size) {
            *self.areas.get_mut(self.count)? = Area(long(entry, 0)?, long(entry, 8)?, word(entry, 16)?);
            self.count += 1;
        }
        Some(())
    }

    /// Memory, as the firmware has it.
    pub fn areas(&self) -> &[Area] {
        &self.areas[..self.count]
    }

    /// The first word of the command line, and what is behind it.
    pub fn words(&self) -> (&str, &str) {
        let text = core::str::from_utf8(&self.text[..self.length]).unwrap_or_default();
        text.split_once(' ').unwrap_or((text, ""))
    }
}

/// Where the first tag of type `kind` is.
fn find(bytes: &[u8], kind: u32) -> Option<usize> {
    let mut at = 8;
    while word(bytes, at)? != kind {
        at += (word(bytes, at + 4)? as usize).next_multiple_of(8);
    }
    Some(at)
}

/// The little-endian word at `at`.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The little-endian double word at `at`.
pub fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
