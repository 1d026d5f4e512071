//! One name out of the byte code: `\_S5`, the state in which the machine is off.

use crate::Physical;
use crate::table::{Fault, Header};

/// What to write to the two control registers, so that the machine turns itself off: SLP_TYPa and SLP_TYPb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SleepType(pub [u8; 2]);

/// Opcodes and prefixes (ACPI Specification 6.5, 20.3).
const ZERO: u8 = 0x00;
const ONE: u8 = 0x01;
const NAME: u8 = 0x08;
const BYTE: u8 = 0x0A;
const WORD: u8 = 0x0B;
const DWORD: u8 = 0x0C;
const PACKAGE: u8 = 0x12;
const ROOT: u8 = b'\\';

/// As many bytes as the name, the package's head and its first two elements take at most: the name's opcode and path, the
/// package's opcode, a length of four bytes, a count, and two numbers of five bytes.
const WINDOW: usize = 1 + 1 + 4 + 1 + 4 + 1 + 2 * 5;

/// Looks for `Name (_S5, Package () {a, b, ...})` in the byte code at the first of the addresses that has it; 0 is none.
/// Firmware gives it as constants, because it has to be known before anything can be run; where it does not, there is nothing
/// to find. What is wrong with byte code goes to `complain` if another address is left to look at.
///
/// # Errors
/// What is wrong with the last table, if none can be used.
pub fn sleep_type(
    memory: &mut dyn Physical,
    dsdt: [u64; 2],
    complain: &mut dyn FnMut(Fault),
) -> Result<Option<SleepType>, Fault> {
    let [new, old] = dsdt;
    match (new != 0).then(|| in_table(memory, new)) {
        Some(Ok(Some(found))) => return Ok(Some(found)),
        Some(read) if old == 0 || old == new => return read,
        Some(Err(fault)) => complain(fault),
        Some(Ok(None)) => return Ok(in_table(memory, old).unwrap_or_default()),
        None => {}
    }
    in_table(memory, old)
}

fn in_table(memory: &mut dyn Physical, dsdt: u64) -> Result<Option<SleepType>, Fault> {
    let table = Header::read(memory, dsdt)?;
    if table.signature != *b"DSDT" {
        return Err(Fault::Name(*b"DSDT", dsdt));
    }
    let mut found = None;
    let mut window = [0; WINDOW];
    let mut take = |byte: u8| {
        window.copy_within(1.., 0);
        window[WINDOW - 1] = byte;
        found = found.or_else(|| package(&window));
    };
    table.each(memory, &mut |part| part.iter().for_each(|byte| take(*byte)))?;
    // What stands at the very end has to come to the window's begin too.
    (0..WINDOW).for_each(|_| take(0));
    Ok(found)
}

/// The two numbers, if `code` begins with the name and a package.
fn package(code: &[u8]) -> Option<SleepType> {
    let rest = code.strip_prefix(&[NAME])?;
    let rest = rest.strip_prefix(&[ROOT]).unwrap_or(rest);
    let rest = rest.strip_prefix(b"_S5_")?.strip_prefix(&[PACKAGE])?;
    // The length's first byte says in its two highest bits how many follow it.
    let rest = rest.get(1 + usize::from(rest.first()? >> 6)..)?;
    let (count, rest) = rest.split_first()?;
    if *count == 0 {
        return None;
    }
    let (first, rest) = number(rest)?;
    // A package of one number means that there is one register.
    let second = if *count > 1 { number(rest)?.0 } else { 0 };
    Some(SleepType([first, second]))
}

/// A number, and what follows it. Three bits of it count.
fn number(code: &[u8]) -> Option<(u8, &[u8])> {
    let (value, length) = match *code.first()? {
        value @ (ZERO | ONE) => (value, 1),
        BYTE => (*code.get(1)?, 2),
        WORD => (*code.get(1)?, 3),
        DWORD => (*code.get(1)?, 5),
        _ => return None,
    };
    Some((value & 7, code.get(length..)?))
}
