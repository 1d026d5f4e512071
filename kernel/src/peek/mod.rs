//! `peek` and `poke`: memory as it is, by physical or virtual address.
//!
//! A virtual address is looked up in the live tables, so that what is not mapped is said and does not fault; then both go
//! through the kernel's temporary window. `rules` says what is not done unless somebody insists.

mod arguments;
mod rules;

use core::fmt::{self, Write};

use mm::{MapError, Width};

use crate::Machine;
use crate::console::Console;
use arguments::{Arguments, Space, Wrong};
use rules::{Place, Refusal, place};

/// Bytes in a line.
const LINE: u64 = 16;

/// Bytes that are shown if it is not said how many, and at most.
const USUAL: u64 = 64;
const MOST: u64 = 4096;

/// Why there is nothing to show.
enum Failure {
    Refused(Refusal),
    Unmappable(MapError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Failure::Refused(refusal) if refusal.can_be_forced() => write!(f, "{refusal}; 'force' behind it insists"),
            Failure::Refused(refusal) => refusal.fmt(f),
            Failure::Unmappable(error) => error.fmt(f),
        }
    }
}

/// The command `peek [phys|virt] ADDR [COUNT] [WIDTH] [force]`.
///
/// # Errors
/// Those of the console.
pub fn peek(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    let request = Arguments::parse(words).and_then(|arguments| {
        let count = arguments.numbers[0].unwrap_or(USUAL);
        if !(1..=MOST).contains(&count) {
            Err(Wrong::Count(MOST, count))
        } else {
            Ok((arguments, arguments.width()?, count))
        }
    });
    let (arguments, width, count) = match request {
        Ok(request) => request,
        Err(wrong) => return writeln!(console, "peek: {wrong}"),
    };
    let mut done = 0;
    while done < count {
        let Some(start) = arguments.address.checked_add(done) else { break };
        let mut line = [0; LINE as usize];
        let room = (LINE.min(count - done) as usize).next_multiple_of(width.bytes() as usize);
        let mut filled = 0;
        let mut failure = None;
        for word in line[..room].chunks_exact_mut(width.bytes() as usize) {
            let Some(address) = start.checked_add(filled as u64) else { break };
            match read(machine, &arguments, address, width) {
                Ok(value) => word.copy_from_slice(&value.to_le_bytes()[..word.len()]),
                Err(reason) => {
                    failure = Some((address, reason));
                    break;
                }
            }
            filled += word.len();
        }
        if filled > 0 {
            show(console, &arguments, machine, start, &line[..filled], width)?;
        }
        if let Some((address, reason)) = failure {
            return writeln!(console, "peek: {address:#x}: {reason}");
        }
        done += LINE;
    }
    Ok(())
}

/// The command `poke [phys|virt] ADDR VALUE [WIDTH] [force]`.
///
/// # Errors
/// Those of the console.
pub fn poke(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    let request = Arguments::parse(words).and_then(|arguments| {
        let width = arguments.width()?;
        Ok((arguments, width, arguments.value(width)?))
    });
    let (arguments, width, value) = match request {
        Ok(request) => request,
        Err(wrong) => return writeln!(console, "poke: {wrong}"),
    };
    let address = arguments.address;
    match write(machine, &arguments, width, value) {
        Ok(()) => writeln!(console, "poke: {address:#x}: {value:#x} written"),
        Err(reason) => writeln!(console, "poke: {address:#x}: {reason}"),
    }
}

fn read(machine: &mut Machine, arguments: &Arguments, address: u64, width: Width) -> Result<u64, Failure> {
    let memory = &mut machine.memory.lock();
    let place = place(machine, memory, arguments.space, address, false);
    let Place { at, cache, .. } = allowed(place, arguments.force)?;
    machine.map.peek(memory, machine.platform.mmu(), at, cache, width).map_err(Failure::Unmappable)
}

fn write(machine: &mut Machine, arguments: &Arguments, width: Width, value: u64) -> Result<(), Failure> {
    let memory = &mut machine.memory.lock();
    let place = place(machine, memory, arguments.space, arguments.address, true);
    let Place { at, cache, .. } = allowed(place, arguments.force)?;
    machine.platform.poke(&mut machine.map, memory, at, cache, width, value).map_err(Failure::Unmappable)
}

fn allowed(place: Result<Place, Refusal>, force: bool) -> Result<Place, Failure> {
    let place = place.map_err(Failure::Refused)?;
    match place.refusal {
        Some(refusal) if !force => Err(Failure::Refused(refusal)),
        _ => Ok(place),
    }
}

/// A line of the dump: the address, the words, and what their bytes are as letters.
fn show(
    out: &mut dyn Write,
    arguments: &Arguments,
    machine: &Machine,
    start: u64,
    bytes: &[u8],
    width: Width,
) -> fmt::Result {
    let digits = match arguments.space {
        // As many as make a line fit a screen: longer addresses are longer.
        Space::Physical => 8,
        Space::Virtual => machine.map.tables().paging().routines.info.va_bits.next_power_of_two() as usize / 4,
    };
    line(out, start, digits, bytes, width.bytes() as usize)
}

fn line(out: &mut dyn Write, start: u64, digits: usize, bytes: &[u8], width: usize) -> fmt::Result {
    write!(out, "{start:#0size$x}:", size = digits + 2)?;
    for word in bytes.chunks(width) {
        out.write_char(' ')?;
        // x86 stores the low byte first, and people write the high digit first.
        word.iter().rev().try_for_each(|byte| write!(out, "{byte:02x}"))?;
    }
    let missing = (LINE as usize - bytes.len()) / width * (2 * width + 1);
    write!(out, "{:missing$}  |", "")?;
    for byte in bytes {
        let letter = if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        out.write_char(letter)?;
    }
    out.write_str("|\n")
}

#[cfg(test)]
mod tests {
    use super::line;

    fn said(bytes: &[u8], width: usize) -> String {
        let mut text = String::new();
        line(&mut text, 0x1000, 8, bytes, width).unwrap();
        text
    }

    #[test]
    fn a_line_has_the_address_the_words_and_the_letters() {
        let whole = said(b"Strata \x00\xff~012345", 1);
        assert_eq!(whole, "0x00001000: 53 74 72 61 74 61 20 00 ff 7e 30 31 32 33 34 35  |Strata ..~012345|\n");
        assert!(said(b"\x78\x56\x34\x12", 4).starts_with("0x00001000: 12345678 "));
        assert!(said(b"\x78\x56\x34\x12", 2).starts_with("0x00001000: 5678 1234 "));
        for width in [1, 2, 4, 8] {
            let end = |bytes: &[u8]| said(bytes, width).find('|');
            assert_eq!(end(&[0; 8]), end(&[0; 16]), "letters stand below letters");
        }
    }
}
