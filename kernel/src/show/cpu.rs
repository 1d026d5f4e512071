//! `cpu`: what CPUID says.

use core::fmt::{self, Write};

use crate::Machine;
use crate::console::Console;

/// Prints what CPUID says about the CPU.
pub fn cpu(console: &mut Console, machine: &Machine) -> fmt::Result {
    let facts = machine.platform.cpu();
    let (family, model, stepping) = facts.signature;
    writeln!(console, "vendor:    {}", text(&facts.vendor, "no CPUID").escape_debug())?;
    writeln!(console, "brand:     {}", text(&facts.brand, "not in CPUID").escape_debug())?;
    writeln!(console, "signature: family {family}, model {model}, stepping {stepping}")?;
    writeln!(console, "physical address bits: {}", machine.features.phys_bits)?;
    for (word, present) in [("has:  ", true), ("lacks:", false)] {
        write!(console, "{word}")?;
        for (name, _) in facts.features.iter().filter(|(_, has)| *has == present) {
            write!(console, " {name}")?;
        }
        writeln!(console)?;
    }
    Ok(())
}

/// What `bytes` say up to the first zero, or `otherwise` if that is nothing.
fn text<'a>(bytes: &'a [u8], otherwise: &'a str) -> &'a str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    match core::str::from_utf8(&bytes[..end]).map(str::trim) {
        Ok("") | Err(_) => otherwise,
        Ok(text) => text,
    }
}
