//! The prompt as a person uses it: keys, history and completion, pasted lines, and the commands that look at the machine.

use std::time::Duration;

use crate::qemu::Machine;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pasted line, its end included, and how many of them: 10,000 characters.
const PASTED: usize = 200;
const LINES: usize = 50;

/// What is typed, and what has to be in the answer.
const TYPED: [(&str, &str); 17] = [
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
    ("log  kernel.of.the.moon", "log: 0 of "),
    ("log info strata", "info   Strata "),
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
    says(machine, "p\t", "p\r\npaging  poweroff\r\nstrata> p")?;
    says(machine, "\x0c", "\x1b[H\x1b[2Jstrata> p")?;
    says(machine, "\x15", "\x08 \x08")?;
    log(machine)?;
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
