//! What is checked on a machine that has come up.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::qemu::Machine;
use crate::row::{Firmware, Mode, Row, Start, Xpa};
use crate::walk::{Run, Tables, merged};
use crate::{BOOT, glass, maps};

/// How long a command at the prompt may take; the slowest is the self-tests' hundred lifts.
const COMMAND: Duration = Duration::from_secs(120);

/// The ready line's fields.
pub fn ready_line(line: &str) -> HashMap<&str, &str> {
    line.split_whitespace().filter_map(|field| field.split_once('=')).collect()
}

/// Holds the ready line against the row.
pub fn ready(row: &Row, line: &str, mode: Mode, xpa: Xpa, nx: bool, pa_bits: u32) -> Result<(), String> {
    let fields = ready_line(line);
    let expected = [
        ("arch", row.kernel.name().to_string()),
        ("mode", mode.name().to_string()),
        ("xpa", xpa.name().to_string()),
        ("nx", if nx { "on" } else { "off" }.to_string()),
        ("va_bits", mode.va_bits().to_string()),
        ("pa_bits", pa_bits.to_string()),
        ("cpus", row.cpus.1.to_string()),
    ];
    for (name, value) in expected {
        if fields.get(name) != Some(&value.as_str()) {
            return Err(format!("{name} is not {value}: {}", line.trim()));
        }
    }
    let ram: u64 = fields.get("ram_kib").and_then(|kib| kib.parse().ok()).ok_or("no ram_kib")?;
    let given = mib(row.memory).ok_or("the row's memory")? << 10;
    let least = if row.ram_mib > 0 { row.ram_mib << 10 } else { given.min(3 << 20) * 7 / 8 };
    if ram < least || ram > given {
        Err(format!("{ram} KiB of RAM out of {given}, at least {least} expected"))
    } else {
        Ok(())
    }
}

/// Looks whether the devices that were used have interrupted: what they have would also come, a moment later, if they did not.
pub fn interrupts(machine: &mut Machine, row: &Row) -> Result<(), String> {
    // QEMU's 8259s interrupt nobody where there are several CPUs and none has an APIC. The kernel asks the devices then.
    if row.cpus.0 > 1 && row.cpu.contains("-apic") {
        return Ok(());
    }
    let said = machine.command("cpus", COMMAND)?;
    // The local APICs' timers have no line.
    let timer = !row.machine.contains("pit=off,hpet=off");
    let devices = [("COM1", true), ("timer", timer), ("keyboard", !row.keyboard.is_empty())];
    for (device, _) in devices.iter().filter(|(_, used)| *used) {
        let line = said.lines().find(|line| line.split_whitespace().nth(1) == Some(*device));
        let count: u32 =
            line.and_then(|line| line.split_whitespace().last()?.parse().ok()).ok_or("no count of interrupts")?;
        if count == 0 {
            return Err(format!("the {device} has never interrupted: {said}"));
        }
    }
    Ok(())
}

fn mib(memory: &str) -> Option<u64> {
    let (number, unit) = memory.split_at(memory.len() - 1);
    let number: u64 = number.parse().ok()?;
    match unit {
        "M" => Some(number),
        "G" => Some(number << 10),
        _ => None,
    }
}

/// Looks whether the screen shows what COM1 says, by itself: the card's letters in text mode, else the picture's.
pub fn screen(machine: &mut Machine, row: &Row) -> Result<String, String> {
    if row.card == "none" {
        return Ok("no screen, ".into());
    }
    // Enough for every screen, with ends of lines that are not wrapped.
    let said = machine.command("help", COMMAND)?;
    let said = format!("{said}strata> ");
    // The kernel writes to COM1 first, and QEMU draws what it sees when it is asked: the screen comes a moment later.
    let mut compared = Err(String::new());
    for _ in 0..20 {
        compared = compare_screen(machine, row, &said)?;
        if compared.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    compared
}

/// Looks at the screen once.
fn compare_screen(machine: &mut Machine, row: &Row, said: &str) -> Result<Result<String, String>, String> {
    let (shown, columns) = read_screen(machine, row)?;
    Ok(glass::compare(said, &shown, columns))
}

/// The lines on the screen, and how many letters a line has.
pub fn read_screen(machine: &mut Machine, row: &Row) -> Result<(Vec<String>, usize), String> {
    /// Where a card has its text, and what fits on it in the only mode that GRUB uses.
    const TEXT: (u64, usize, usize) = (0xB8000, 80, 25);

    let picture = machine.screenshot("screen.png")?;
    if row.firmware == Firmware::Bios && row.screen.is_empty() {
        let (address, columns, lines) = TEXT;
        let memory = machine.physical_page(address)?;
        return Ok((glass::letters(&memory, columns, lines), columns));
    }
    let sides: Vec<u32> = row.screen.split('x').filter_map(|side| side.parse().ok()).collect();
    if sides.len() >= 2 && sides[..2] != [picture.width, picture.height] {
        return Err(format!("{} by {} pixels are not {}", picture.width, picture.height, row.screen));
    }
    Ok((glass::pixels(&picture), glass::columns(&picture)))
}

/// Looks whether the screen shows the log from its first line on, which was written long before there was a screen. `said`
/// is what came on COM1 up to the prompt.
pub fn replayed(machine: &mut Machine, row: &Row, said: &str) -> Result<String, String> {
    // Before there is a screen, lines are broken at 80 letters. What is not said in every row may be longer.
    if !row.says.is_empty() || row.card == "none" || matches!(row.start, Start::Hostile { .. }) {
        return Ok(String::new());
    }
    let at =
        said.find(concat!("Strata ", env!("CARGO_PKG_VERSION"), " for ")).ok_or("the log's first line is missing")?;
    let said = &said[at..];
    let first = said.lines().next().unwrap_or_default();
    let mut seen = Err(String::new());
    for _ in 0..20 {
        let (shown, columns) = read_screen(machine, row)?;
        seen = glass::compare(&format!("{}\nstrata> ", said.trim_end()), &shown, columns).and_then(|_| {
            let line = shown.iter().position(|line| line.trim_end() == first.trim_end());
            line.map(|_| "the log from its first line, ".into()).ok_or(format!("'{first}' is not on the screen"))
        });
        if seen.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    seen
}

/// Waits until a machine that says nothing has come up: it stands still in the kernel half, in the mode that it should be
/// in, and goes on standing there.
pub fn silent(machine: &mut Machine, mode: Mode) -> Result<String, String> {
    let end = Instant::now() + BOOT;
    let mut still = 0;
    let mut seen = String::new();
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(500));
        let text = machine.monitor("info registers")?;
        let (cr0, cr4) = (register(&text, "CR0")?, register(&text, "CR4")?);
        let at = register(&text, "RIP").or_else(|_| register(&text, "EIP"))?;
        let half = if mode.va_bits() == 32 { 0xC000_0000 } else { 0xFFFF_FFFF_8000_0000 };
        let in_mode = cr0 >> 31 & 1 != 0
            && (cr4 >> 5 & 1 != 0) == (mode != Mode::Pml2)
            && (cr4 >> 12 & 1 != 0) == (mode == Mode::Pml5);
        still = if in_mode && at >= half && text.contains("HLT=1") { still + 1 } else { 0 };
        seen = format!("CR0 {cr0:#x}, CR4 {cr4:#x}, halted at {at:#x}");
        if still == 4 {
            return Ok(seen);
        }
    }
    Err(format!("it does not stand still in {}: {seen}", mode.name()))
}

/// A register in what QEMU's monitor says of them.
pub fn register(text: &str, name: &str) -> Result<u64, String> {
    let at = text.find(&format!("{name}=")).ok_or(format!("QEMU does not show {name}"))?;
    let digits: String = text[at + name.len() + 1..].chars().take_while(char::is_ascii_hexdigit).collect();
    u64::from_str_radix(&digits, 16).map_err(|error| format!("{name}: {error}"))
}

/// Looks whether the screen says `why`, however it breaks the line.
pub fn refusal(machine: &mut Machine, row: &Row, why: &str) -> Result<(), String> {
    let packed = |text: &str| text.split_whitespace().collect::<String>();
    let mut shown = Vec::new();
    for _ in 0..20 {
        (shown, _) = read_screen(machine, row)?;
        if packed(&shown.concat()).contains(&packed(why)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err(format!("'{why}' is not on the screen: {}", shown.join("\n").trim()))
}

/// Looks for the block that stands for a sentence where there are no letters: in the screen's corner, twice as high as a
/// square is wide, red, with `code` white squares in it and red around each.
pub fn block(machine: &mut Machine, code: usize) -> Result<(), String> {
    const SQUARE: u32 = 32;
    let mut seen = String::new();
    for _ in 0..20 {
        let picture = machine.screenshot("screen.png")?;
        let color = |x: u32, y: u32| match picture.pixel(x, y) {
            [200..=255, 200..=255, 200..=255] => 'w',
            [150..=255, 0..90, 0..90] => 'r',
            _ => '-',
        };
        let middle = |n: u32| color(n * SQUARE + SQUARE / 2, SQUARE);
        seen = (0..picture.width / SQUARE).map(middle).collect::<String>().trim_end_matches('-').into();
        let frame = (0..seen.len() as u32 * SQUARE).all(|x| [0, 2 * SQUARE - 1].iter().all(|y| color(x, *y) == 'r'));
        if frame && seen == format!("r{}", "wr".repeat(code)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err(format!("the block in the framebuffer is '{seen}'"))
}

/// Looks at the registers and the tables from outside, and holds `maps` against them.
pub fn tables(machine: &mut Machine, mode: Mode, nx: bool, pa_bits: u32) -> Result<String, String> {
    let said = maps::parse(&machine.command("maps", COMMAND)?)?;
    let text = machine.monitor("info registers")?;
    let register = |name: &str| register(&text, name);
    let (cr0, cr3, cr4) = (register("CR0")?, register("CR3")?, register("CR4")?);
    let efer = register("EFER")?;
    let long = matches!(mode, Mode::Pml4 | Mode::Pml5);
    let rules = [
        (cr0 & 0x8001_0001 == 0x8001_0001, "CR0 has PG, WP and PE set"),
        (cr0 & 0x6000_0000 == 0, "CR0 has CD and NW clear"),
        ((cr4 >> 5 & 1 != 0) == (mode != Mode::Pml2), "CR4.PAE is what the mode needs"),
        ((cr4 >> 12 & 1 != 0) == (mode == Mode::Pml5), "CR4.LA57 is what the mode needs"),
        ((efer >> 10 & 1 != 0) == long, "EFER.LMA is what the mode needs"),
        (!nx || efer >> 11 & 1 != 0, "EFER.NXE is set where entries use NX"),
    ];
    if let Some((_, rule)) = rules.iter().find(|(kept, _)| !kept) {
        return Err(format!("{rule}: CR0 {cr0:#x}, CR4 {cr4:#x}, EFER {efer:#x}"));
    }
    offered(machine, cr4)?;

    atlas(machine, mode, cr3)?;
    let mut read = |address: u64| machine.physical_page(address);
    let seen = Tables { mode, cr3, nxe: efer >> 11 & 1 != 0, pa_bits, read: &mut read }.runs()?;
    compare(&seen, &merged(said))?;
    lawful(&seen, mode, nx)?;
    Ok(format!("CR0 {cr0:#x} CR3 {cr3:#x} CR4 {cr4:#x} EFER {efer:#x}, {} runs agree", seen.len()))
}

/// The picture of the root table has a mark for each entry that is there, and for no other.
fn atlas(machine: &mut Machine, mode: Mode, cr3: u64) -> Result<(), String> {
    let (entries, bytes) = match mode {
        Mode::Pml2 => (1024, 4),
        Mode::Pml3 => (4, 8),
        Mode::Pml4 | Mode::Pml5 => (512, 8),
    };
    let picture = machine.command("atlas", COMMAND)?;
    let rows = picture.lines().filter(|line| line.starts_with("0x"));
    let cells: String = rows.filter_map(|row| row.split_once(' ')).map(|(_, cells)| plain(cells)).collect();
    let page = machine.physical_page(cr3 & !0xFFF)?;
    let root = &page[(cr3 & 0xFE0) as usize * usize::from(mode == Mode::Pml3)..];
    let there: String =
        root.chunks_exact(bytes).take(entries).map(|entry| ['.', '#'][usize::from(entry[0] & 1)]).collect();
    let marks: String = cells.chars().map(|cell| if cell == '.' { '.' } else { '#' }).collect();
    if marks == there { Ok(()) } else { Err(format!("'atlas' shows {cells}, the root table is {there}")) }
}

/// `text` without its colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    first.chars().chain(parts.flat_map(|part| part.split_once('m').map_or("", |(_, rest)| rest).chars())).collect()
}

/// CR4 has no bit that CPUID does not offer, whatever the emulator lets pass.
fn offered(machine: &mut Machine, cr4: u64) -> Result<(), String> {
    let text = machine.command("cpu", COMMAND)?;
    let lacks =
        text.lines().find_map(|line| line.strip_prefix("lacks:")).ok_or("'cpu' does not say what the CPU lacks")?;
    let bits =
        [("pse", 4), ("pae", 5), ("pge", 7), ("umip", 11), ("la57", 12), ("pcid", 17), ("smep", 20), ("smap", 21)];
    for (name, bit) in bits {
        if cr4 >> bit & 1 != 0 && lacks.split_whitespace().any(|lack| lack == name) {
            return Err(format!("CR4 {cr4:#x} has {name} set, which CPUID does not offer"));
        }
    }
    Ok(())
}

/// What holds of any tables of Strata's: nothing writable is executable, nothing is open to ring 3, page 0 is unmapped.
fn lawful(runs: &[Run], mode: Mode, nx: bool) -> Result<(), String> {
    let half = match mode {
        Mode::Pml2 | Mode::Pml3 => 0xC000_0000,
        Mode::Pml4 => 0xFFFF_8000_0000_0000,
        Mode::Pml5 => 0xFF00_0000_0000_0000,
    };
    for run in runs {
        if nx && run.rights[1] == 'w' && run.rights[2] == 'x' {
            return Err(format!("both writable and executable: {run:x?}"));
        }
        if run.rights[3] == 'u' || run.start < half {
            return Err(format!("open to ring 3 or outside the kernel half: {run:x?}"));
        }
    }
    Ok(())
}

fn compare(seen: &[Run], said: &[Run]) -> Result<(), String> {
    for (seen, said) in seen.iter().zip(said) {
        if seen != said {
            return Err(format!("the tables hold {seen:x?}, but maps says {said:x?}"));
        }
    }
    if seen.len() == said.len() {
        Ok(())
    } else {
        Err(format!("the tables hold {} runs, maps has {}", seen.len(), said.len()))
    }
}

/// Runs the self-tests from the prompt.
pub fn self_tests(machine: &mut Machine) -> Result<String, String> {
    summary(&machine.command("selftest", COMMAND)?)
}

/// Holds the self-tests' last line against the lines before it.
pub fn summary(text: &str) -> Result<String, String> {
    let ok = text.lines().filter(|line| line.starts_with("test ") && line.trim_end().ends_with("... ok")).count();
    let failed = text.lines().find(|line| line.contains("FAILED"));
    let said = text.lines().find_map(|line| line.strip_prefix("selftest: ")).ok_or("the self-tests did not end")?;
    match failed {
        Some(line) => Err(format!("{line}: {text}")),
        None if said.trim() != format!("{ok} passed, 0 failed") || ok == 0 => {
            Err(format!("{ok} tests were ok, but: {said}"))
        }
        None => Ok(format!("{ok} self-tests")),
    }
}

#[cfg(test)]
mod tests {
    use super::{mib, ready_line, summary};

    #[test]
    fn a_summary_has_to_fit_its_lines() {
        assert!(summary("test a ... ok\ntest b ... skipped (x)\nselftest: 1 passed, 0 failed\n").is_ok());
        assert!(summary("test a ... ok\nselftest: 2 passed, 0 failed\n").is_err());
        assert!(summary("test a ... ok\ntest b ... FAILED\nselftest: 1 passed, 1 failed\n").is_err());
        assert!(summary("test a ... ok\n").is_err());
        assert!(summary("selftest: 0 passed, 0 failed\n").is_err());
    }

    #[test]
    fn fields_are_words_with_values() {
        assert_eq!(ready_line("ready: arch=i686 mode=pml2\r\n").get("mode"), Some(&"pml2"));
        assert_eq!((mib("16M"), mib("4G"), mib("4T")), (Some(16), Some(4096), None));
    }
}
