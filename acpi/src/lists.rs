//! The lists of tables: the RSDT with 32-bit addresses, the XSDT with 64-bit ones (ACPI Specification 6.5, 5.2.7 and 5.2.8).
//!
//! Firmware that has both should list the same tables in both. Firmware exists in which one is wrong, so neither hides the
//! other: a list that cannot be used is dropped, and a table that one list lacks is looked for in the next.

use core::fmt;

use crate::table::{Fault, HEADER, Header};
use crate::{Absent, Physical};

/// A list of tables, by its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Root {
    /// Of ACPI 1.0, with 32-bit addresses.
    Rsdt(u64),
    /// Of all later ones, with 64-bit addresses.
    Xsdt(u64),
}

impl Root {
    /// Its address, its name, and the bytes of an entry.
    const fn parts(self) -> (u64, [u8; 4], u32) {
        match self {
            Root::Rsdt(at) => (at, *b"RSDT", 4),
            Root::Xsdt(at) => (at, *b"XSDT", 8),
        }
    }

    /// Reads and checks the list itself.
    fn header(self, memory: &mut dyn Physical) -> Result<Header, Fault> {
        let (at, name, _) = self.parts();
        let list = Header::read(memory, at)?;
        if list.signature == name { Ok(list) } else { Err(Fault::Name(name, at)) }
    }

    /// The address in entry number `n`; `None` behind the last.
    fn entry(self, memory: &mut dyn Physical, list: &Header, n: u32) -> Result<Option<u64>, Fault> {
        let (_, _, width) = self.parts();
        let offset = HEADER as u32 + n * width;
        if list.bytes - offset.min(list.bytes) < width {
            return Ok(None);
        }
        let mut entry = [0; 8];
        if width == 4 {
            entry[..4].copy_from_slice(&list.bytes_at::<4>(memory, offset)?);
        } else {
            entry = list.bytes_at(memory, offset)?;
        }
        Ok(Some(u64::from_le_bytes(entry)))
    }

    /// Checks that it is a list, and that it lists something.
    fn check(self, memory: &mut dyn Physical) -> Result<(), Fault> {
        let list = self.header(memory)?;
        let mut n = 0;
        while let Some(entry) = self.entry(memory, &list, n)? {
            if entry != 0 {
                return Ok(());
            }
            n += 1;
        }
        Err(Fault::Empty(list.signature))
    }

    /// Looks for a table in this list. Each entry that is no memory, and each table of that name that cannot be used, goes to
    /// `complain`.
    fn search(
        self,
        memory: &mut dyn Physical,
        signature: [u8; 4],
        complain: &mut dyn FnMut(Fault),
    ) -> Result<Option<Header>, Fault> {
        let list = self.header(memory)?;
        let mut n = 0;
        while let Some(entry) = self.entry(memory, &list, n)? {
            n += 1;
            // Only the one that is looked for is read as a whole.
            let mut name = [0; 4];
            match memory.read(entry, &mut name) {
                Ok(()) if name == signature => match Header::read(memory, entry) {
                    Ok(table) => return Ok(Some(table)),
                    Err(fault) => complain(fault),
                },
                Ok(()) => {}
                Err(Absent) => complain(Fault::Absent(entry)),
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Root::Rsdt(at) => write!(f, "the RSDT at {at:#x}"),
            Root::Xsdt(at) => write!(f, "the XSDT at {at:#x}"),
        }
    }
}

/// The lists that firmware names, in the order in which they are searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lists([Option<Root>; Self::MOST]);

impl Lists {
    /// A root pointer names two, and a loader may give two root pointers, of which the older has an RSDT only.
    const MOST: usize = 3;

    /// Adds a list behind the others, unless it is among them, its address is 0, or there is no room.
    pub fn push(&mut self, root: Root) {
        let known = self.iter().any(|other| other == root);
        let place = self.0.iter_mut().find(|place| place.is_none());
        if let Some(place) = place.filter(|_| !known && root.parts().0 != 0) {
            *place = Some(root);
        }
    }

    /// The lists, in the order in which they are searched.
    pub fn iter(&self) -> impl Iterator<Item = Root> + use<> {
        self.0.into_iter().flatten()
    }

    /// There is no list.
    pub fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    /// Looks at every list and keeps those that can be used. What is wrong with another goes to `complain`.
    #[must_use]
    pub fn usable(self, memory: &mut dyn Physical, complain: &mut dyn FnMut(Fault)) -> Self {
        let mut kept = Self::default();
        for root in self.iter() {
            match root.check(memory) {
                Ok(()) => kept.push(root),
                Err(fault) => complain(fault),
            }
        }
        kept
    }
}

impl FromIterator<Root> for Lists {
    fn from_iter<T: IntoIterator<Item = Root>>(roots: T) -> Self {
        let mut lists = Self::default();
        roots.into_iter().for_each(|root| lists.push(root));
        lists
    }
}

/// Looks for the table called `signature` in each list until one has it. Each entry of a list that is no table goes to
/// `complain`, and so does a list that lacks what a later one has.
///
/// # Errors
/// [`Fault::Missing`], or what is wrong with the first list if none can be used.
pub fn find(
    memory: &mut dyn Physical,
    lists: Lists,
    signature: [u8; 4],
    complain: &mut dyn FnMut(Fault),
) -> Result<Header, Fault> {
    let (mut searched, mut wrong) = (false, None);
    for root in lists.iter() {
        match root.search(memory, signature, complain) {
            Ok(Some(table)) if searched => {
                complain(Fault::OnlyIn(signature, root));
                return Ok(table);
            }
            Ok(Some(table)) => return Ok(table),
            Ok(None) => searched = true,
            Err(fault) => {
                complain(fault);
                wrong.get_or_insert(fault);
            }
        }
    }
    Err(wrong.filter(|_| !searched).unwrap_or(Fault::Missing(signature)))
}
