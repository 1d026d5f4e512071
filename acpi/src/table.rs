//! Tables: whether one is what it says.

use core::fmt;

use crate::{Absent, Physical, Register, Root};

/// Bytes in the header that every table has (ACPI Specification 6.5, 5.2.6).
pub(crate) const HEADER: u64 = 36;

/// The longest table that is believed, in bytes.
const LONGEST: u32 = 16 << 20;

/// A table that was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its four letters.
    pub signature: [u8; 4],
    /// Its first byte in physical memory.
    pub at: u64,
    /// Its length in bytes, header included.
    pub bytes: u32,
}

/// Why a table cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It lies, or part of it lies, where there is no memory.
    Absent(u64),
    /// It should have been called so, and has another name.
    Name([u8; 4], u64),
    /// It says that it has so many bytes, which cannot be.
    Length([u8; 4], u32),
    /// Its bytes do not sum up to 0.
    Checksum([u8; 4]),
    /// It is not in the list.
    Missing([u8; 4]),
    /// What looks like the root pointer, here, has a wrong checksum or length.
    Pointer(u64),
    /// The list of this name has no entry.
    Empty([u8; 4]),
    /// Of several lists only this one has a table of this name that can be used.
    OnlyIn([u8; 4], Root),
    /// The newer field of this name has a register that cannot be, and the older one counts.
    Register(&'static str, Register),
    /// The newer and the older field of this name differ, in this order, and both can be: the newer counts.
    Differ(&'static str, Register, Register),
}

impl Header {
    /// The table at `at`, if it is one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(memory: &mut dyn Physical, at: u64) -> Result<Self, Fault> {
        let mut header = [0; HEADER as usize];
        at.checked_add(HEADER).ok_or(Fault::Absent(at))?;
        memory.read(at, &mut header).map_err(|Absent| Fault::Absent(at))?;
        let mut signature = [0; 4];
        signature.copy_from_slice(&header[..4]);
        let bytes = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        if u64::from(bytes) < HEADER || bytes > LONGEST || at.checked_add(u64::from(bytes)).is_none() {
            return Err(Fault::Length(signature, bytes));
        }
        let table = Self { signature, at, bytes };
        let mut sum = 0u8;
        table.each(memory, &mut |part| sum = part.iter().fold(sum, |sum, byte| sum.wrapping_add(*byte)))?;
        if sum == 0 { Ok(table) } else { Err(Fault::Checksum(signature)) }
    }

    /// The bytes from `offset` on, as far as the table has them; those beyond its end are 0.
    pub(crate) fn bytes_at<const N: usize>(&self, memory: &mut dyn Physical, offset: u32) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        let count = (self.bytes.saturating_sub(offset) as usize).min(N);
        if count > 0 {
            let at = self.at + u64::from(offset);
            memory.read(at, &mut bytes[..count]).map_err(|Absent| Fault::Absent(at))?;
        }
        Ok(bytes)
    }

    /// Hands over the whole table, a piece at a time.
    pub(crate) fn each(&self, memory: &mut dyn Physical, take: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let mut piece = [0; 256];
        let mut done = 0;
        while done < self.bytes {
            let count = (self.bytes - done).min(piece.len() as u32);
            let at = self.at + u64::from(done);
            memory.read(at, &mut piece[..count as usize]).map_err(|Absent| Fault::Absent(at))?;
            take(&piece[..count as usize]);
            done += count;
        }
        Ok(())
    }
}

/// Four letters, those that are none as dots.
struct Name([u8; 4]);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let letter = |byte: u8| if byte.is_ascii_graphic() { char::from(byte) } else { '.' };
        self.0.iter().try_for_each(|byte| write!(f, "{}", letter(*byte)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Fault::Absent(at) => write!(f, "a table should be at {at:#x}, where there is no memory"),
            Fault::Name(name, at) => write!(f, "what is at {at:#x} is not the {}", Name(name)),
            Fault::Length(name, bytes) => {
                write!(f, "the {} says that it has {bytes} bytes, which cannot be", Name(name))
            }
            Fault::Checksum(name) => write!(f, "the checksum of the {} is wrong", Name(name)),
            Fault::Missing(name) => write!(f, "there is no {}", Name(name)),
            Fault::Pointer(at) => write!(f, "the root pointer at {at:#x} has a wrong checksum or length"),
            Fault::Empty(name) => write!(f, "the {} lists no tables", Name(name)),
            Fault::OnlyIn(name, root) => write!(f, "only {root} lists a usable {}", Name(name)),
            Fault::Register(field, register) => {
                write!(
                    f,
                    "the 64-bit field {field} of the FADT names {register}, which cannot be; the 32-bit one counts"
                )
            }
            Fault::Differ(field, new, old) => {
                write!(f, "the FADT has two fields {field}: {new} (64-bit), which counts, and {old} (32-bit)")
            }
        }
    }
}
