//! Failures on purpose, and what the kernel reports of them: one boot each, because a report is the end.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::check::{read_screen, ready_line};
use crate::qemu::Machine;
use crate::row::{Kernel, Mode, Row};
use crate::{BOOT, glass};

/// How long a report may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// QEMU's exit status when the kernel tells isa-debug-exit 0x11.
const FAILED: i32 = 0x11 << 1 | 1;

/// Everything that can fail: what `fault` offers at the prompt, and what comes from outside by QEMU's monitor.
pub const ALL: [&str; 17] = [
    "null",
    "text",
    "data",
    "stack",
    "thread",
    "reserved",
    "divide",
    "others",
    "deaf",
    "silent",
    "opcode",
    "double",
    "canonical",
    "panic",
    "twice",
    NMI,
    MACHINE_CHECK,
];

/// What not every CPU of a mode has, or objects to.
pub const OPTIONAL: [&str; 3] = ["data", "reserved", "canonical"];

/// What is another matter where several CPUs run.
pub const AMONG_CPUS: [&str; 4] = ["others", "deaf", "stack", NMI];

/// One of the others answers no call: what that costs is ten seconds and more, so it is tried on one machine.
pub const SILENT: [&str; 1] = ["silent"];

const NMI: &str = "nmi";
const MACHINE_CHECK: &str = "mce";

/// What the CPU objects to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Has {
    pub mode: Mode,
    /// NX: executing data is a fault.
    pub nx: bool,
    /// Entries with reserved bits.
    pub reserved: bool,
    /// One CPU.
    pub alone: bool,
    /// Machine checks that QEMU can raise.
    pub machine_check: bool,
}

impl Has {
    /// The same with other CPUs.
    pub fn among_others(mut self) -> Self {
        self.alone = false;
        self
    }
}

/// What comes of a kind.
#[derive(Default)]
struct Expected {
    /// The words after `panic: `, an address between the two.
    message: (&'static str, String),
    /// Where it happened: a function, or a file.
    place: &'static str,
    /// The last line of the walk of the address, if there is one.
    walk: Option<&'static str>,
    /// Who has to be among the callers.
    caller: &'static str,
}

/// Tries `kinds`, each on a machine of its own, or one after the other where the kernel goes on. Tells of all that fail.
pub fn check(row: &Row, iso: &Path, folder: &Path, has: &Has, kinds: &[&str]) -> Result<String, String> {
    let mut running = None;
    let (mut reported, mut passed, mut failed) = (0, 0, Vec::new());
    for kind in kinds.iter().copied().filter(|kind| *kind != MACHINE_CHECK || has.machine_check) {
        let machine = running.take().map_or_else(|| start(row, iso, folder, has.mode), Ok);
        let tried = machine.and_then(|machine| match goes_on(kind, has) {
            Some(sentence) => answer(machine, kind, sentence).map(|machine| {
                running = Some(machine);
                passed += 1;
            }),
            None => fail(machine, kind, row.kernel, has.mode).map(|()| reported += 1),
        });
        if let Err(error) = tried {
            failed.push(format!("fault {kind}: {error}"));
        }
    }
    if let Some(mut machine) = running {
        wrong_kind(&mut machine)?;
    }
    if failed.is_empty() { Ok(format!("{reported} reports, {passed} in words")) } else { Err(failed.join("\n  ")) }
}

/// A kind that is no fault there is answered by `sentence`, and the prompt is there again.
fn answer(mut machine: Machine, kind: &str, sentence: &str) -> Result<Machine, String> {
    let answer = machine.command(&format!("fault {kind}"), PATIENCE)?;
    let said = answer.lines().any(|line| line == format!("fault {kind}: {sentence}"));
    if said { Ok(machine) } else { Err(format!("'{sentence}' was expected, not {answer}")) }
}

/// A kind that is one is reported, and QEMU is left.
fn fail(mut machine: Machine, kind: &str, kernel: Kernel, mode: Mode) -> Result<(), String> {
    if kind == "others" {
        // However busy they are.
        machine.command("threads start 4", PATIENCE)?;
    }
    let from = machine.position();
    match kind {
        NMI => machine.send_monitor("nmi"),
        // Processor 0, bank 1: valid, uncorrected, enabled, context corrupt; restart possible, in progress.
        MACHINE_CHECK => machine.send_monitor("mce 0 1 0xb200000000000000 5 0 0"),
        kind => machine.type_keys(&format!("fault {kind}\r")),
    }?;
    ended(&mut machine, from, kind, kernel, mode)
}

/// Waits for the report of a failure behind `from`, and for QEMU's end.
fn ended(machine: &mut Machine, from: usize, kind: &str, kernel: Kernel, mode: Mode) -> Result<(), String> {
    let text = machine.rest(from, PATIENCE)?;
    let status = machine.exit_status(PATIENCE)?;
    report(&text, kernel, mode, &expected(kind, kernel, mode)?).map_err(|error| format!("{error}: {text}"))?;
    if status == FAILED { Ok(()) } else { Err(format!("QEMU's exit status is {status}, not {FAILED}")) }
}

/// Fails in the way `kind` on a machine that cannot be left, and holds the page on the screen against COM1: all that a
/// photo of it has to show is there, whatever its size.
pub fn screen(row: &Row, iso: &Path, folder: &Path, mode: Mode, kind: &str) -> Result<String, String> {
    let mut machine = start(row, iso, folder, mode)?;
    let from = machine.position();
    machine.type_keys(&format!("fault {kind}\r"))?;
    machine.wait_for("called from:", from, PATIENCE)?;
    let mut read = Err(String::new());
    for _ in 0..20 {
        // COM1 comes first, the screen is drawn a moment later.
        thread::sleep(Duration::from_millis(200));
        let said = machine.received(from);
        let (shown, columns) = read_screen(&mut machine, row)?;
        read = said
            .find("panic: ")
            .ok_or_else(|| "no panic on COM1".into())
            .and_then(|at| glass::page(&said[at..], &shown, columns).map(|page| (page, said.clone())));
        if read.is_ok() {
            break;
        }
    }
    let (page, said) = read?;
    report(&said, row.kernel, mode, &expected(kind, row.kernel, mode)?).map_err(|error| format!("{error}: {said}"))?;
    let page = page.join("\n");
    let named = [
        format!("\nStrata {} (", env!("CARGO_PKG_VERSION")),
        format!(") for {}, in {}: ", row.kernel.name(), mode.name()),
        "\nCPU: ".into(),
        "\ncommand line: 'a-word'".into(),
        " cr2 ".into(),
        format!(" in {}:\n  level {} at 0x", mode.name(), mode.levels()),
        "\ncalled from:\n   0: 0x".into(),
        "\n   2: 0x".into(),
    ];
    match named.iter().find(|part| !page.contains(part.as_str())) {
        Some(part) => Err(format!("the screen does not show {part:?}: {page}")),
        None => Ok(format!("the panic is on the screen, {} lines", page.lines().count())),
    }
}

/// A kind that is none is answered by those that there are.
fn wrong_kind(machine: &mut Machine) -> Result<(), String> {
    let answer = machine.command("fault xyzzy", PATIENCE)?;
    let mut prompt = ALL.iter().filter(|kind| ![NMI, MACHINE_CHECK].contains(kind));
    if answer.starts_with("fault: 'xyzzy' is no kind; there are") && prompt.all(|kind| answer.contains(kind)) {
        Ok(())
    } else {
        Err(format!("a wrong kind is answered by {answer}"))
    }
}

/// Waits for the report of an NMI behind `from`, and for QEMU's end.
pub fn nmi(machine: &mut Machine, from: usize, kernel: Kernel, mode: Mode) -> Result<(), String> {
    ended(machine, from, NMI, kernel, mode)
}

/// Boots as far as the prompt.
pub fn start(row: &Row, iso: &Path, folder: &Path, mode: Mode) -> Result<Machine, String> {
    let machine = Machine::start(row, iso, folder)?;
    let text = machine.wait_for("\nstrata> ", 0, BOOT)?;
    let ready = text.lines().find(|line| line.starts_with("ready: ")).ok_or("no ready line")?;
    let mode = mode.name();
    match ready_line(ready).get("mode") {
        Some(name) if *name == mode => Ok(machine),
        _ => Err(format!("the mode is not {mode}: {ready}")),
    }
}

/// The sentence of a kind that is no fault there.
fn goes_on(kind: &str, has: &Has) -> Option<&'static str> {
    match kind {
        "others" | "deaf" | "silent" if has.alone => Some("no other CPU runs"),
        "silent" => Some("CPU 1 did not take part in time"),
        "data" if !has.nx => Some("this CPU lets data be executed: no NX"),
        "reserved" if !has.reserved => {
            Some("there is none: without large pages no bit of this mode's entries is reserved")
        }
        "canonical" if has.mode.va_bits() == 32 => {
            Some("there is none: a 32-bit CPU has no address that is not canonical")
        }
        _ => None,
    }
}

fn expected(kind: &str, kernel: Kernel, mode: Mode) -> Result<Expected, String> {
    let word = if kernel == Kernel::I686 { 4 } else { 8 };
    let plain = |message: &'static str, place: &'static str| Expected {
        message: (message, String::new()),
        place,
        walk: None,
        caller: " boot_main+",
    };
    let page = |did: &'static str, why: &str, place: &'static str, walk: &'static str| Expected {
        message: (did, format!(", but {why}")),
        walk: Some(walk),
        ..plain(did, place)
    };
    Ok(match kind {
        "null" => page(
            "page fault: the kernel read 0x0",
            "nothing is mapped there (error code 0x0)",
            " arch::fault::read+",
            "  nothing",
        ),
        "text" => page(
            "page fault: the kernel wrote to 0x",
            "it has no right to (error code 0x3)",
            " arch::fault::write_text+",
            ", r-x-",
        ),
        "data" => Expected {
            caller: " arch::fault::execute_data+",
            ..page(
                "page fault: the kernel executed 0x",
                "it has no right to (error code 0x11)",
                " no symbol for ",
                ", rw--",
            )
        },
        // Whether P is set in the error code is not the same on all of them.
        "reserved" => page(
            "page fault: the kernel read 0x40000000",
            "an entry on the way has a reserved bit set (error code 0x",
            " arch::fault::read+",
            "  page at 0x0, r",
        ),
        "stack" => Expected {
            message: ("stack overflow: 0x", " lies in the guard page below the kernel's stack".into()),
            walk: Some("  nothing"),
            caller: " arch::fault::deeper+",
            ..plain("", " arch::fault::deeper+")
        },
        "thread" => Expected {
            message: ("stack overflow: 0x", " lies in the guard pages below the stack of thread ".into()),
            walk: Some("  nothing"),
            caller: " arch::fault::deeper+",
            ..plain("", " arch::fault::deeper+")
        },
        "double" => Expected {
            message: (
                "double fault, error code 0x0: an exception could not be delivered; the last page fault was about 0x",
                format!("{:x}", 16 - word),
            ),
            walk: Some("  nothing"),
            ..plain("", " arch::fault::double_fault+")
        },
        "divide" => plain("divide error, error code 0x0", " arch::fault::divide+"),
        // Were the reports of several CPUs mixed, one of the two lines would not be found in its place.
        "others" => Expected {
            caller: " kernel::threads::life::begin",
            ..plain("divide error, error code 0x0", " arch::fault::divide+")
        },
        // Which of them, nobody knows: the first that comes.
        "deaf" => Expected {
            message: ("CPU ", " does not answer when it is asked to forget translations".into()),
            ..plain("", " arch/src/cpus/wait.rs:")
        },
        "opcode" => plain("invalid opcode, error code 0x0", " arch::fault::invalid_opcode+"),
        "canonical" => Expected {
            message: (
                "general protection, error code 0x0: not canonical in pml",
                format!(" {:#x}", 1u64 << (mode.va_bits() - 1)),
            ),
            ..plain("", " arch::fault::read+")
        },
        "panic" => plain("on purpose", " kernel/src/fault.rs:"),
        "twice" => Expected {
            caller: "",
            ..plain("inside the report of a panic: the message of a panic fails, on purpose", " kernel/src/fault.rs:")
        },
        // They hit whoever runs: the prompt, or the thread in which the CPU idles.
        // They come whatever runs: the idle thread, whose first function nobody has called, among others.
        NMI => Expected { caller: "", ..plain("non-maskable interrupt, error code 0x0", " 0x") },
        MACHINE_CHECK => Expected { caller: "", ..plain("machine check, error code 0x0", " 0x") },
        kind => return Err(format!("'{kind}' is no kind")),
    })
}

/// Holds the report in `text` against what has to be in it.
fn report(text: &str, kernel: Kernel, mode: Mode, expected: &Expected) -> Result<(), String> {
    let (begin, end) = &expected.message;
    let is_message = |line: &&str| line.starts_with("panic: ") && line[7..].starts_with(begin) && line.contains(end);
    let message = text.lines().find(is_message).ok_or(format!("no line 'panic: {begin}...{end}...'"))?;
    let behind: Vec<&str> = text.lines().skip_while(|line| *line != message).skip(1).collect();
    // Where there are several CPUs, it is said which one it was.
    let place = behind.iter().find(|line| !line.starts_with("  on CPU ")).copied().unwrap_or_default();
    if !place.starts_with("  at ") || !place.contains(expected.place) {
        return Err(format!("the place is '{place}', not in{}", expected.place));
    }
    let by_cpu = place.starts_with("  at 0x");
    let names: &[&str] = match kernel {
        Kernel::I686 => &["eip ", "esp ", "ebp ", "cr2 ", "eax ", "edi ", "cs 8", "eflags "],
        Kernel::X86_64 => &["rip ", "rsp ", "rbp ", "cr2 ", "rax ", "r15 ", "cs 8", "rflags "],
    };
    if let Some(name) = names.iter().find(|name| by_cpu && !behind.iter().any(|line| line.contains(*name))) {
        return Err(format!("the register '{name}' is not shown"));
    }
    if let Some(end) = expected.walk {
        walk(message, &behind, mode, end)?;
    }
    let callers: Vec<&&str> = behind.iter().skip_while(|line| **line != "called from:").skip(1).collect();
    if !expected.caller.is_empty() && !callers.iter().any(|line| line.contains(expected.caller)) {
        return Err(format!("{} is not among those who called", expected.caller));
    }
    Ok(())
}

/// The address in the message is the one in CR2 and the one that is walked, level by level, as far as `end`.
fn walk(message: &str, behind: &[&str], mode: Mode, end: &str) -> Result<(), String> {
    // The last number but the error code.
    let numbers = message.split("(error code").next().into_iter().flat_map(str::split_whitespace);
    let mut address = numbers.filter_map(|word| word.strip_prefix("0x")).map(|word| word.trim_end_matches([',', ':']));
    let address = address.next_back().ok_or("no address")?;
    let width = if mode.va_bits() == 32 { 8 } else { 16 };
    if !behind.iter().any(|line| line.contains(&format!("cr2 {address:0>width$}"))) {
        return Err(format!("CR2 does not hold {address}"));
    }
    let heading = format!("the way to 0x{address} in {}:", mode.name());
    let steps: Vec<&&str> = behind
        .iter()
        .skip_while(|line| **line != heading)
        .skip(1)
        .take_while(|line| line.starts_with("  level "))
        .collect();
    let levels = (1..=mode.levels()).rev();
    let in_order = steps.iter().zip(levels).all(|(line, level)| line.starts_with(&format!("  level {level} at 0x")));
    match steps.last() {
        Some(last) if in_order && last.contains(end) => Ok(()),
        last => Err(format!("the walk of {address} ends with {last:?}, not with '{end}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::{expected, report};
    use crate::row::{Kernel, Mode};

    const NULL: &str = "fault null\n\npanic: page fault: the kernel read 0x0, but nothing is mapped there (error code 0x0)\n  \
        at 0xc0 arch::fault::read+0x4\neip 00000001  esp 00000002  ebp 00000003  cr2 00000000\neax 00000000\nedi 0\n\
        cs 8  eflags 200286\nthe way to 0x0 in pml2:\n  level 2 at 0x3fc0000: 0x0  nothing\ncalled from:\n   \
        0: 0xc1 boot_main+0x1\n";

    #[test]
    fn a_report_needs_all_its_parts() {
        let check = |text: &str| {
            let expected = expected("null", Kernel::I686, Mode::Pml2)?;
            report(text, Kernel::I686, Mode::Pml2, &expected)
        };
        assert_eq!(check(NULL), Ok(()));
        for part in
            ["panic:", "read 0x0", "arch::fault::", "eax ", "cr2 00000000", "way to", "level 2", "nothing\n", "boot_"]
        {
            assert!(check(&NULL.replace(part, "")).is_err(), "{part}");
        }
    }
}
