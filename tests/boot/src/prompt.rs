//! The prompt as a person uses it: keys, history and completion, pasted lines, and the commands that look at the machine.

use std::time::Duration;

use crate::qemu::Machine;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pasted line, its end included, and how many of them: 10,000 characters.
const PASTED: usize = 200;
const LINES: usize = 50;

/// What is typed, and what has to be in the answer.
const TYPED: [(&str, &str); 36] = [
    ("vrsion\x01\x1b[Ce", "Strata "),
    ("rsion\x1b[Hve", "Strata "),
    ("xversion\x1b[1~\x1b[3~", "Strata "),
    ("verxsion\x1b[D\x1b[D\x1b[D\x1b[D\x7f", "Strata "),
    ("versionx y\x02\x02\x02\x0b", "Strata "),
    ("x y\x15version", "Strata "),
    ("version x\x17\x7f", "Strata "),
    // The last of these, and the one before it.
    ("\x1b[A", "Strata "),
    ("cmdline", "loader:"),
    ("\x10\x10", "Strata "),
    ("\x1b[A\x1b[A\x1b[A\x1b[Bx", "'cmdlinex' is no command"),
    ("vers\t", "Strata "),
    ("help selft\t", "selftest [NAME]"),
    ("selftest heap.g\t", "test heap.grows ... ok"),
    ("log war\t", "log: "),
    // The frame of the kernel's text, a free one, and one that stays taken: the live root is found below.
    ("frame 0x101000", "the frame allocator was never given it"),
    ("frame 0x2000000 share", "frame: the frame is free, so nobody owns it"),
    ("fra\t0x2000000", "no owner"),
    ("frame 0x2000000 give", "frame: 'give' is neither 'share' nor 'unshare'"),
    ("mem", "  page tables "),
    ("log  kernel.of.the.moon", "log: 0 of "),
    ("log info strata", "info   Strata "),
    // Memory: the kernel's first bytes, and what is not touched unasked. The image begins at 1 MiB, its text a page later.
    ("peek phys 0x101000 16 4", "0x00101000: "),
    ("peek 0", "peek: 0x0: not mapped"),
    ("peek phys 0xb8000 16", "peek: 0xb8000: no RAM, and an access may have an effect; 'force' behind it insists"),
    ("pe\tp\t0xb8000 2 2 fo\t", "0x000b8000: 07"),
    ("poke phys 0x2000000 0x12345678 4", "poke: 0x2000000: 0x12345678 written"),
    ("peek phys 0x2000000 8", "0x02000000: 78 56 34 12 "),
    ("poke phys 0x101000 0", "poke: 0x101000: kept for the kernel image; 'force' behind it insists"),
    ("poke phys 0xb8000 0x41", "poke: 0xb8000: no RAM"),
    ("poke phys 0x4000000000000 0 1 force", "poke: 0x4000000000000: a frame lies beyond the physical address width"),
    ("poke phys 0x2000001 0 4", "poke: the address is no multiple of 4"),
    ("poke phys 0x2000000 256", "poke: the value does not fit"),
    ("poke phys 0x2000000", "poke: VALUE is missing"),
    ("peek phys 0 4097", "peek: COUNT is 1 to 4096 bytes, not 4097"),
    ("peek phys 0 0", "peek: COUNT is 1 to 4096 bytes, not 0"),
];

/// Tries everything, and says what.
pub fn check(machine: &mut Machine) -> Result<String, String> {
    for (typed, expected) in TYPED {
        let answer = machine.command(typed, PATIENCE)?;
        if !answer.contains(expected) {
            return Err(format!("{typed:?} was answered by {answer:?}, not by '{expected}'"));
        }
    }
    says(machine, "given up\x03", "given up^C\r\nstrata> ")?;
    says(machine, "po\t", "po\r\npoke  poweroff\r\nstrata> po")?;
    says(machine, "\x0c", "\x1b[H\x1b[2Jstrata> po")?;
    says(machine, "\x15", "\x08\x08  \x08\x08")?;
    log(machine)?;
    uses(machine)?;
    page_table(machine)?;
    pager(machine)?;
    paste(machine)?;
    Ok(format!("{} characters pasted", PASTED * LINES))
}

/// Types `keys` and waits until `expected` is sent back.
fn says(machine: &mut Machine, keys: &str, expected: &str) -> Result<(), String> {
    let from = machine.position();
    machine.type_keys(keys)?;
    machine.wait_for(expected, from, PATIENCE).map(|_| ())
}

/// The log has its first line first, and more than the console showed.
fn log(machine: &mut Machine) -> Result<(), String> {
    let all = machine.command("log", PATIENCE)?;
    if !all.starts_with("info   Strata ") || !all.contains("\ndebug  ") {
        return Err(format!("the log is not what was logged: {all}"));
    }
    let some = machine.command("log info", PATIENCE)?;
    let expected: Vec<&str> = all.lines().filter(|line| !line.starts_with("debug ")).collect();
    let (Some(end), lines) = (expected.last(), expected.len() - 1) else { return Err("an empty log".into()) };
    let count = all.lines().count() - 1;
    if *end != format!("log: {count} of {count} lines") || !some.ends_with(&format!("log: {lines} of {count} lines\n"))
    {
        return Err(format!("the log does not count right: {all}{some}"));
    }
    Ok(())
}

/// What memory is used for adds up to all of it.
fn uses(machine: &mut Machine) -> Result<(), String> {
    let memory = machine.command("mem", PATIENCE)?;
    let lines = memory.lines().skip_while(|line| *line != "use, in KiB:").skip(1);
    let numbers = lines.take_while(|line| line.starts_with("  ")).map(|line| line.rsplit(' ').next()?.parse().ok());
    let numbers: Vec<u64> = numbers.collect::<Option<_>>().ok_or(format!("no numbers: {memory}"))?;
    match numbers.split_last() {
        Some((all, parts)) if parts.len() > 5 && parts.iter().sum::<u64>() == *all => Ok(()),
        _ => Err(format!("what memory is used for does not add up: {memory}")),
    }
}

/// The live root is not written to unasked, and neither is text by the address at which it runs.
fn page_table(machine: &mut Machine) -> Result<(), String> {
    let maps = machine.command("maps", PATIENCE)?;
    let field = |name: &str, place: fn(&str) -> Option<&str>| {
        maps.lines().find(|line| line.contains(name)).and_then(place).map(str::to_string).ok_or(format!("no {name}"))
    };
    let root = field(" self-map ", |line| line.rsplit(' ').next())?;
    let told = machine.command(&format!("frame {root}"), PATIENCE)?;
    if !told.contains("in use, part of a block of order 0") || !told.contains("it is one of the live page tables") {
        return Err(format!("the frame of the root at {root}: {told}"));
    }
    for (change, owners) in [
        ("share", "  2 owners\n"),
        ("share", "  3 owners\n"),
        ("unshare", "  2 owners\n"),
        ("unshare", "  one owner\n"),
    ] {
        let told = machine.command(&format!("frame {root} {change}"), PATIENCE)?;
        if !told.contains(owners) {
            return Err(format!("'frame {root} {change}': {told}"));
        }
    }
    let text = field(" text ", |line| line.split('-').next())?;
    for (command, reason) in [
        (format!("poke phys {root} 0"), format!("poke: {root}: a page table; 'force' behind it insists")),
        (format!("poke virt {text} 0x90"), format!("poke: {text}: mapped read-only; 'force' behind it insists")),
    ] {
        let answer = machine.command(&command, PATIENCE)?;
        if answer.trim_end() != reason {
            return Err(format!("'{command}' was answered by {answer:?}, not by {reason:?}"));
        }
    }
    let audit = machine.command("audit", PATIENCE)?;
    if audit.contains(" 0 findings") { Ok(()) } else { Err(audit) }
}

/// What is asked for on the keyboard stops after a screenful, and what is asked for on COM1 does not.
fn pager(machine: &mut Machine) -> Result<(), String> {
    const COMMAND: &str = "peek phys 0x101000 1024";
    let whole = machine.command(COMMAND, PATIENCE)?;
    if whole.lines().count() != 64 {
        return Err(format!("{} lines of 64: {whole}", whole.lines().count()));
    }
    let from = machine.position();
    // The line that was typed last comes back with the arrow key.
    press(machine, "up")?;
    press(machine, "ret")?;
    let page = machine.wait_for("-- more --", from, PATIENCE)?;
    if page.lines().count() != 1 + 24 + 1 {
        return Err(format!("a page of {} lines: {page}", page.lines().count()));
    }
    let from = machine.position();
    press(machine, "spc")?;
    machine.wait_for("-- more --", from, PATIENCE)?;
    let from = machine.position();
    press(machine, "q")?;
    machine.wait_for("strata> ", from, PATIENCE).map(|_| ())
}

/// Presses a key of the PS/2 keyboard.
fn press(machine: &mut Machine, key: &str) -> Result<(), String> {
    let said = machine.monitor(&format!("sendkey {key}"));
    std::thread::sleep(Duration::from_millis(150));
    said.map(|_| ())
}

/// Sends 10,000 characters in one go while the kernel is busy; each line of them has to be answered, in order.
fn paste(machine: &mut Machine) -> Result<(), String> {
    let lines: Vec<String> =
        (0..LINES).map(|number| format!("help {:x<width$}", number, width = PASTED - "help \r".len())).collect();
    let from = machine.position();
    machine.type_keys(&format!("selftest\r{}\r", lines.join("\r")))?;
    let last = format!("help: '{}' is no command; 'help' lists them\r\nstrata> ", &lines[LINES - 1][5..]);
    let said = machine.wait_for(&last, from, PATIENCE)?;
    let mut rest = said.as_str();
    for line in &lines {
        let answer = format!("strata> {line}\r\nhelp: '{}' is no command; 'help' lists them\r\n", &line[5..]);
        let Some((_, behind)) = rest.split_once(&answer) else {
            return Err(format!("'{line}' was pasted and not answered; what came is {} letters long", said.len()));
        };
        rest = behind;
    }
    Ok(())
}
