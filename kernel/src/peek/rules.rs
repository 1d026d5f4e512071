//! Where an address leads, and what must not be done there unasked.

use core::fmt;

use mm::{Cache, Frame, Kind, Memory, PhysAddr, Seen, VirtAddr};

use super::arguments::Space;
use crate::Machine;

/// Why a place is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The address is none of this mode.
    NotCanonical,
    /// Nothing is mapped there.
    NotMapped,
    /// The page does not permit writing.
    ReadOnly,
    /// It is no RAM: to read it may have an effect, and what writing it does nobody knows.
    NotRam(Option<Kind>),
    /// A page table of the live tree.
    Table,
    /// RAM that the kernel holds for this.
    Kept(Kind),
    /// RAM that somebody has.
    InUse,
}

impl Refusal {
    /// Whether it is done all the same for somebody who insists.
    pub const fn can_be_forced(self) -> bool {
        !matches!(self, Refusal::NotCanonical | Refusal::NotMapped)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Refusal::NotCanonical => f.write_str("no address of this mode"),
            Refusal::NotMapped => f.write_str("not mapped"),
            Refusal::ReadOnly => f.write_str("mapped read-only"),
            Refusal::NotRam(Some(kind)) => write!(f, "no RAM of ours ({kind}), and an access may have an effect"),
            Refusal::NotRam(None) => f.write_str("no RAM, and an access may have an effect"),
            Refusal::Table => f.write_str("a page table"),
            Refusal::Kept(kind) => write!(f, "kept for the {kind}"),
            Refusal::InUse => f.write_str("RAM that is in use"),
        }
    }
}

/// A physical address, how an access to it is cached, and what speaks against one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where.
    pub at: PhysAddr,
    /// How cached.
    pub cache: Cache,
    /// Why it is better left alone.
    pub refusal: Option<Refusal>,
}

/// Where `address` leads to whoever reads, or writes if `write`.
///
/// Unasked, RAM can be read and free RAM be written, and nothing else: then no table, no code, no constant and nothing that
/// anybody has can be broken.
///
/// # Errors
/// If it leads nowhere.
pub fn place(machine: &Machine, memory: &Memory, space: Space, address: u64, write: bool) -> Result<Place, Refusal> {
    let tables = machine.map.tables();
    let (at, mapped) = match space {
        Space::Physical => (PhysAddr(address), None),
        Space::Virtual => {
            let va = VirtAddr(address);
            if !tables.paging().routines.info.is_canonical(va) {
                return Err(Refusal::NotCanonical);
            }
            let leaf = tables.query(memory, va).ok_or(Refusal::NotMapped)?;
            (PhysAddr(leaf.frame.start().0 + (address - leaf.start.0)), Some(leaf.flags))
        }
    };
    let kind = machine.memory_map.kind_of(at.frame());
    let ram = kind.is_some_and(Kind::is_ram);
    let plain = if ram { Cache::WriteBack } else { Cache::Uncached };
    let read_only = mapped.is_some_and(|flags| !flags.rights.contains(mm::Rights::WRITE));
    let refusal = match kind {
        _ if !ram => Some(Refusal::NotRam(kind)),
        _ if !write => None,
        _ if is_table(machine, memory, at.frame()) => Some(Refusal::Table),
        _ if read_only => Some(Refusal::ReadOnly),
        Some(kind) if kind != Kind::Usable => Some(Refusal::Kept(kind)),
        _ if !memory.look_at_frames(|frames| frames.is_free(at.frame())) => Some(Refusal::InUse),
        _ => None,
    };
    Ok(Place { at, cache: mapped.map_or(plain, |flags| flags.cache), refusal })
}

/// Whether `frame` is a table of the live tree.
fn is_table(machine: &Machine, memory: &Memory, frame: Frame) -> bool {
    let tables = machine.map.tables();
    let mut found = tables.root() == frame;
    tables.visit(memory, &mut |seen| {
        if let Seen::Table { frame: table, .. } = seen {
            found |= table == frame;
        }
    });
    found
}
