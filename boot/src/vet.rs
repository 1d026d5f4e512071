//! Makes boot information fit to be read, or takes out what is not.
//!
//! The crate that reads it takes sizes for granted and panics where they are wrong. So everything it will rely on is
//! checked here first, on our own copy of the bytes, and mended in place: the sequence of tags is ended where it stops
//! making sense, and a tag that is unfit by itself gets a type that nobody reads.
//!
//! Numbers refer to the Multiboot2 Specification 2.0, section 3.6.

use crate::{Complaint, Complaints};

/// Bytes of a tag's header (type and size), of an end tag, and of the header of it all. Tags are aligned to as much.
const HEADER: usize = 8;

/// Bytes of a memory map's entry, as far as they are known.
const ENTRY: usize = 24;

/// Bytes of ACPI's root pointer before there was a list with 64-bit addresses, and where that list's address stands since.
const RSDP: usize = 20;
const XSDT: core::ops::Range<usize> = 24..32;

/// A type that is not assigned.
const NOBODYS: u32 = u32::from_le_bytes(*b"gone");

/// The types of the tags that are read.
pub mod tag {
    pub const END: u32 = 0;
    pub const COMMAND_LINE: u32 = 1;
    pub const LOADER: u32 = 2;
    pub const MODULE: u32 = 3;
    pub const MEMORY_MAP: u32 = 6;
    pub const FRAMEBUFFER: u32 = 8;
    pub const ELF_SECTIONS: u32 = 9;
    pub const RSDP_1: u32 = 14;
    pub const RSDP_2: u32 = 15;
}

/// Mends the boot information at the start of `bytes`, which says that it is `size` bytes long. Afterwards its size
/// is right, each tag lies within it, the last one is the end tag, and the content of every tag that has one of the
/// types in [`tag`] is as long as its type and its own fields call for.
///
/// Returns how many bytes it has, or nothing if there is nothing to be read.
pub fn vet(bytes: &mut [u8], size: usize, complaints: &mut Complaints) -> Option<usize> {
    // The end tag may have to be added.
    let room = bytes.len().saturating_sub(HEADER) & !(HEADER - 1);
    if size > room {
        complaints.push(Complaint::TooLarge { says: size, kept: room });
    }
    let kept = size.min(room) & !(HEADER - 1);
    if kept < HEADER {
        complaints.push(Complaint::Unreadable);
        return None;
    }
    let mut seen = 0u32;
    let mut at = HEADER;
    loop {
        if at == kept {
            complaints.push(Complaint::NoEnd);
            break;
        }
        let (kind, length) = (word(bytes, at)?, word(bytes, at + 4)?);
        if (kind, length) == (tag::END, HEADER as u32) {
            break;
        }
        let length = length as usize;
        if kind == tag::END || length < HEADER || length > kept - at {
            complaints.push(Complaint::BadSize { tag: kind, says: length as u32, at });
            break;
        }
        // `at` and `kept` are multiples of 8 and the tag ends before `kept`, so what it is padded to does too.
        let next = at + length.next_multiple_of(HEADER);
        let length = if kind == tag::MEMORY_MAP { narrow(bytes, at, length, next) } else { length };
        let once = kind < u32::BITS && kind != tag::MODULE && is_read(kind);
        if once && seen >> kind & 1 != 0 {
            complaints.push(Complaint::Doubled { tag: kind });
            put(bytes, at, NOBODYS);
        } else if let Some(complaint) = content(bytes.get_mut(at..at + length)?, kind) {
            complaints.push(complaint);
            match complaint {
                Complaint::NotUtf8 { .. } | Complaint::HalfRsdp { .. } => {}
                Complaint::CutEntry => shorten(bytes, at, 16 + (length - 16) / ENTRY * ENTRY, next),
                _ => put(bytes, at, NOBODYS),
            }
        }
        // A tag that was taken out leaves its place to a better one.
        if once && word(bytes, at) == Some(kind) {
            seen |= 1 << kind;
        }
        at = next;
    }
    put(bytes, at, tag::END);
    put(bytes, at + 4, HEADER as u32);
    put(bytes, 0, (at + HEADER) as u32);
    Some(at + HEADER)
}

fn is_read(kind: u32) -> bool {
    use tag::{COMMAND_LINE, ELF_SECTIONS, FRAMEBUFFER, LOADER, MEMORY_MAP, MODULE, RSDP_1, RSDP_2};
    matches!(kind, COMMAND_LINE | LOADER | MODULE | MEMORY_MAP | FRAMEBUFFER | ELF_SECTIONS | RSDP_1 | RSDP_2)
}

/// What is wrong with the content of a tag; `bytes` is all of it, its header included.
fn content(bytes: &mut [u8], kind: u32) -> Option<Complaint> {
    let malformed = Some(Complaint::BadContent { tag: kind });
    let text = |bytes: Option<&mut [u8]>| match bytes {
        Some(bytes) => (!mend_text(bytes)).then_some(Complaint::NotUtf8 { tag: kind }),
        None => malformed,
    };
    match kind {
        tag::COMMAND_LINE | tag::LOADER => text(bytes.get_mut(8..)),
        tag::MODULE => match (word(bytes, 8), word(bytes, 12)) {
            (Some(start), Some(end)) if end < start => Some(Complaint::BackwardModule { start, end }),
            _ => text(bytes.get_mut(16..)),
        },
        tag::MEMORY_MAP => match (word(bytes, 8), bytes.get(16..)) {
            (Some(24), Some(entries)) if entries.len().is_multiple_of(ENTRY) => None,
            (Some(24), Some(_)) => Some(Complaint::CutEntry),
            _ => malformed,
        },
        tag::FRAMEBUFFER => framebuffer(bytes).is_none().then_some(Complaint::BadContent { tag: kind }),
        tag::ELF_SECTIONS => match (word(bytes, 8), word(bytes, 12), bytes.get(20..)) {
            (Some(count), Some(40 | 64), Some(all)) if fits(count, word(bytes, 12)?, all) => None,
            _ => malformed,
        },
        tag::RSDP_1 if bytes.len() != 28 => malformed,
        tag::RSDP_2 if bytes.len() != 44 => malformed,
        tag::RSDP_1 | tag::RSDP_2 => match &mut bytes[8..] {
            pointer if is_rsdp(pointer) => None,
            pointer if is_rsdp(&pointer[..RSDP]) => {
                pointer[XSDT].fill(0);
                Some(Complaint::HalfRsdp { tag: kind })
            }
            _ => Some(Complaint::BadRsdp { tag: kind }),
        },
        _ => None,
    }
}

fn fits(count: u32, entry: u32, all: &[u8]) -> bool {
    count.checked_mul(entry).is_some_and(|bytes| bytes as usize <= all.len())
}

/// Whether a framebuffer's colours are all there: a palette (type 0), six bytes of positions and sizes (1), none (2).
fn framebuffer(bytes: &[u8]) -> Option<()> {
    let colors = bytes.get(32..)?;
    let wanted = match bytes[29] {
        0 => 2 + 3 * usize::from(u16::from_le_bytes(*colors.first_chunk()?)),
        1 => 6,
        2 => 0,
        _ => return None,
    };
    (colors.len() >= wanted).then_some(())
}

/// Whether `bytes` are a root pointer: each of its two parts sums up to 0 (ACPI Specification 6.5, 5.2.5.3).
fn is_rsdp(bytes: &[u8]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.starts_with(b"RSD PTR ") && sum(&bytes[..RSDP]) == 0 && (bytes.len() == RSDP || sum(bytes) == 0)
}

/// Turns each byte of a text that does not belong to UTF-8 into a question mark. Tells whether there was none. The
/// text ends at the first zero, or at the end of `bytes` if the loader forgot it.
fn mend_text(bytes: &mut [u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let mut rest = &mut bytes[..end];
    let mut whole = true;
    while let Err(error) = core::str::from_utf8(rest) {
        whole = false;
        let bad = error.valid_up_to();
        let length = error.error_len().unwrap_or(rest.len() - bad);
        rest[bad..bad + length].fill(b'?');
        rest = &mut rest[bad + length..];
    }
    whole
}

/// Moves the entries of the memory map at `at` together where a newer loader's are larger than those that are known:
/// what is known of an entry is its beginning (3.6.8). Returns how long the tag is then.
fn narrow(bytes: &mut [u8], at: usize, length: usize, next: usize) -> usize {
    let size = word(bytes, at + 8).map_or(0, |size| size as usize);
    if length < 16 || size <= ENTRY || !size.is_multiple_of(HEADER) {
        return length;
    }
    let count = (length - 16) / size;
    for n in 1..count {
        let from = at + 16 + n * size;
        bytes.copy_within(from..from + ENTRY, at + 16 + n * ENTRY);
    }
    let shorter = 16 + count * ENTRY;
    put(bytes, at + 8, ENTRY as u32);
    shorten(bytes, at, shorter, next);
    shorter
}

/// Makes the tag at `at` end after `length` bytes, a multiple of 8. What remains up to the next tag becomes a tag that
/// nobody reads.
fn shorten(bytes: &mut [u8], at: usize, length: usize, next: usize) {
    put(bytes, at + 4, length as u32);
    // Both ends are multiples of 8: there is room for a header, or for nothing.
    if at + length < next {
        put(bytes, at + length, NOBODYS);
        put(bytes, at + length + 4, (next - at - length) as u32);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
