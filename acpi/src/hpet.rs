//! The table of the high precision event timer (IA-PC HPET Specification 1.0a, 3.2.4).

use crate::fadt::{Register, generic};
use crate::table::Fault;
use crate::{Lists, Physical, find};

/// Where the table has the address of the timer's registers, in bytes.
const ADDRESS: u32 = 40;

/// Where the first HPET's registers are, as the table says; none if their address is 0.
///
/// # Errors
/// What is wrong with the list or the table; [`Fault::Missing`] if there is none. Other tables that are wrong are told to
/// `complain`.
pub fn hpet(
    memory: &mut dyn Physical,
    lists: Lists,
    complain: &mut dyn FnMut(Fault),
) -> Result<Option<Register>, Fault> {
    let table = find(memory, lists, *b"HPET", complain)?;
    Ok(generic(&table.bytes_at(memory, ADDRESS)?))
}
