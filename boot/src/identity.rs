//! What a report has to name for others to make sense of it: which Strata, in which mode and why, on which CPU, told what.

use core::fmt::{self, Write};

use arch::cpu::{self, Description};
use mm::{Reason, Selection};
use spin::Once;

use crate::ARCH;

/// The most letters of a command line that are told: a loader may hand over as many as it likes.
const LONGEST: usize = 200;

static CHOSEN: Once<Chosen> = Once::new();

/// What is known once the mode is chosen. It is kept, because a report must wait for nobody's lock.
struct Chosen {
    mode: &'static str,
    reason: Reason,
    cpu: &'static Description,
    command_line: &'static str,
}

/// Which Strata this is: its version, and the commit it was built from if that was known.
pub fn version() -> impl fmt::Display {
    struct Version;
    impl fmt::Display for Version {
        fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str(env!("CARGO_PKG_VERSION"))?;
            option_env!("STRATA_COMMIT").map_or(Ok(()), |commit| write!(f, " ({commit})"))
        }
    }
    Version
}

/// Keeps what was chosen, and from which command line.
pub fn install(selection: &Selection, command_line: &'static str) {
    let mode = selection.paging.routines.info.name;
    CHOSEN.call_once(|| Chosen { mode, reason: selection.reason, cpu: cpu::describe(), command_line });
}

/// Tells all of it, `live` being the name of the mode that the CPU is in at the moment.
pub fn tell(out: &mut dyn Write, live: &str) -> fmt::Result {
    write!(out, "Strata {} for {ARCH}, in {live}", version())?;
    let Some(chosen) = CHOSEN.get() else { return writeln!(out, ", before a mode was chosen") };
    if live != chosen.mode {
        write!(out, " for the moment, else in {}", chosen.mode)?;
    }
    writeln!(out, ": {}", chosen.reason)?;
    let cpu = chosen.cpu;
    if cpu.cpuid {
        let (vendor, brand) = (text(&cpu.vendor), text(&cpu.brand));
        let between = if brand.is_empty() { "" } else { ", " };
        write!(out, "CPU: {} {}/{}/{}", vendor.escape_debug(), cpu.family, cpu.model, cpu.stepping)?;
        writeln!(out, "{between}{}", brand.escape_debug())?;
    } else {
        writeln!(out, "CPU: without CPUID")?;
    }
    let line = chosen.command_line;
    let end = line.floor_char_boundary(LONGEST);
    writeln!(out, "command line: '{}'{}", line[..end].escape_debug(), if end < line.len() { "..." } else { "" })
}

/// What `bytes` say up to the first zero, without the blanks around it.
fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or_default().trim()
}
