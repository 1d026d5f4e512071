//! What the prompt understands.

use core::fmt::{self, Write};

use sched::Priority;

use super::{answers, usage};
use crate::console::Console;
use crate::{Machine, audit, bench, clock, fault, log, peek, power, selftest, show};

/// One command.
struct Command {
    name: &'static str,
    /// What may follow the name: `ADDR` has to, `[NAME]` may.
    arguments: &'static str,
    /// What it does, in a sentence.
    does: &'static str,
    /// It, used, and what it says then.
    example: (&'static str, &'static str),
    /// What the arguments may be.
    choices: Choices,
    run: fn(&mut Console, &mut Machine, &[&str]) -> fmt::Result,
}

/// What the arguments of a command may be, as far as that is fixed.
#[derive(Clone, Copy)]
enum Choices {
    /// They are not fixed.
    Anything,
    /// A command.
    Commands,
    /// These words, by the argument's place.
    Words(&'static [&'static [&'static str]]),
}

const COMMANDS: [Command; 23] = [
    Command {
        name: "help",
        arguments: "[COMMAND]",
        does: "Lists the commands, or tells about one.",
        example: ("help version", "version\n  Shows which Strata this is."),
        choices: Choices::Commands,
        run: help,
    },
    Command {
        name: "paging",
        arguments: "",
        does: "Shows the paging mode, why it was chosen, and what follows from it.",
        example: (
            "paging",
            "pml4: NOXPA on the command line\n\
             shape:    4 levels of 8-byte entries, 9 index bits, 48 virtual address bits, root at 0x3fc8000\n\
             ...",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| show::paging(console, machine),
    },
    Command {
        name: "cpu",
        arguments: "",
        does: "Shows what CPUID says about the CPU.",
        example: (
            "cpu",
            "vendor:    GenuineIntel\n\
             ...\n\
             has:   tsc msr mtrr pse pse36 pae pge pat nx lm\n\
             lacks: page1gb la57 pcid invpcid smep smap umip pku",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| show::cpu(console, machine),
    },
    Command {
        name: "cpus",
        arguments: "",
        does: "Shows the CPUs, and how often one asked others to forget translations.",
        example: (
            "cpus",
            "CPU  APIC  state    mode  answers\n\
             0    0     online   pml5  0\n\
             1    1     online   pml5  12\n\
             shootdowns: 12, in which 12 CPUs were asked\n\
             address spaces: kept warm by PCID on 2 of 2 CPUs; 34 entered, 12 of them warm",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| show::cpus(console, machine),
    },
    Command {
        name: "mem",
        arguments: "",
        does: "Shows the memory map, free blocks by zone and order, and what memory is used for.",
        example: (
            "mem",
            "memory map:\n\
             \x20 0x000000000000-0x000000000fff           4 KiB  reserved\n\
             \x20 0x000000001000-0x00000009efff         632 KiB  usable\n\
             ...",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| show::mem(console, machine),
    },
    Command {
        name: "frame",
        arguments: "ADDR [share|unshare]",
        does: "Shows what the frame at ADDR is; with a second word, counts an owner more or less.",
        example: (
            "frame 0x2000000",
            "frame 0x2000 (0x2000000-0x2000fff): usable\n\
             \x20 free, part of a block of order 12 from frame 0x2000 on, in zone low\n\
             \x20 no owner\n\
             \x20 in the aperture at 0xc2000000",
        ),
        choices: Choices::Words(&[&[], &[answers::SHARE, answers::UNSHARE]]),
        run: answers::show_frame,
    },
    Command {
        name: "maps",
        arguments: "",
        does: "Lists what the live tables map, neighbours that are alike in one line.",
        example: (
            "maps",
            "0xffff800000001000-0xffff80000009efff 632K rw--g 4K wb aperture -> 0x1000\n\
             ...\n\
             maps: 14 mappings, 13 tables",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| show::maps(console, machine),
    },
    Command {
        name: "walk",
        arguments: "ADDR",
        does: "Follows one address through the live tables.",
        example: (
            "walk 0xffffffff80101000",
            "level 4 at 0x3fc8ff8: 0x0000000003fc7023  table at 0x3fc7000, rwx-- [511]\n\
             ...\n\
             0xffffffff80101000 -> 0x101000: r-x-g wb, 4K page (text)",
        ),
        choices: Choices::Anything,
        run: answers::walk,
    },
    Command {
        name: "atlas",
        arguments: "[WHERE]",
        does: "Draws the root table, or the table that maps the address WHERE; 'keys' walks through all.",
        example: (
            "atlas 0xc0100000",
            "pml3, a table of level 1 at 0x3fd0000: an entry covers 4 KiB\n\
             0xc0000000 .wwwwwwwwwwwwwww...",
        ),
        choices: Choices::Words(&[&[answers::BROWSE]]),
        run: answers::show_atlas,
    },
    Command {
        name: "audit",
        arguments: "",
        does: "Looks for what must not be in the live tables, word by word.",
        example: ("audit", "audit: 1141 entries, 13 tables, 0 findings"),
        choices: Choices::Anything,
        run: |console, machine, _| audit::report(console, machine),
    },
    Command {
        name: "bench",
        arguments: "[cpus]",
        does: "Measures paging and frames on one CPU or more, in cycles; with -icount in instructions.",
        example: (
            "bench",
            "bench: cycles of the time-stamp counter, the least of 9 rounds\n\
             map a page                       612\n\
             ...",
        ),
        choices: Choices::Words(&[&[bench::CPUS]]),
        run: |console, machine, words| bench::run(console, machine, words.first().copied()),
    },
    Command {
        name: "selftest",
        arguments: "[NAME]",
        does: "Runs the self-tests whose names begin with NAME, or all.",
        example: (
            "selftest heap",
            "test heap.grows ... ok\n\
             selftest: 1 passed, 0 failed",
        ),
        choices: Choices::Words(&[&selftest::NAMES]),
        run: |console, machine, words| {
            let passed = selftest::run(console, machine, words.first().unwrap_or(&""));
            passed.map(|_| ())
        },
    },
    Command {
        name: "hammer",
        arguments: "[SECONDS] [CPUS]",
        does: "Has all CPUs, or so many, at the same pages for SECONDS (10); none may see what is gone.",
        example: (
            "hammer 1 2",
            "hammer: 2 CPUs, 1 s; a key ends it\n\
             ...\n\
             hammer: where one CPU alone flushes, 21409 of 151224 words are stale\n\
             hammer: ok, no word is stale",
        ),
        choices: Choices::Anything,
        run: answers::run_hammer,
    },
    Command {
        name: "threads",
        arguments: "[start|stop] [COUNT] [PRIORITY]",
        does: "Lists the threads; starts such as only use a CPU, or stops them.",
        example: (
            "threads",
            "number  name        state     priority  cpu    ticks  space  stack\n\
             \x20    0  prompt      running   high        0!      31      0   2304 of 131072\n\
             ...",
        ),
        choices: Choices::Words(&[&LOADS, &[], &PRIORITIES]),
        run: answers::show_threads,
    },
    Command {
        name: "log",
        arguments: "[LEVEL] [TEXT]",
        does: "Shows the kernel's log: what is as grave as LEVEL and has TEXT in it, or all.",
        example: (
            "log info aperture",
            "info   memory: 65020 KiB of RAM, 63048 KiB of it free, 65020 KiB within reach of the aperture\n\
             log: 1 of 7 lines",
        ),
        choices: Choices::Words(&[&LEVELS]),
        run: answers::show_log,
    },
    Command {
        name: "fault",
        arguments: "[KIND]",
        does: "Fails in the way that KIND says, to show the report; alone it lists the kinds.",
        example: (
            "fault null",
            "panic: page fault: the kernel read 0x0, but nothing is mapped there (error code 0x0)\n\
             ...",
        ),
        choices: Choices::Words(&[&fault::NAMES]),
        run: |console, machine, words| fault::run(console, machine, words.first().copied()),
    },
    Command {
        name: "peek",
        arguments: "[phys|virt] ADDR [COUNT] [WIDTH] [force]",
        does: "Shows memory: COUNT bytes (64) from ADDR on in words of WIDTH bytes (1).",
        example: ("peek phys 0x101000 16 4", "0x00101000: 006a006a 000ff0e9 801f0f00 00000000  |j.j.............|"),
        choices: Choices::Words(&[&SPACES, &[], FORCE, FORCE, FORCE]),
        run: peek::peek,
    },
    Command {
        name: "poke",
        arguments: "[phys|virt] ADDR VALUE [WIDTH] [force]",
        does: "Writes VALUE, WIDTH bytes of it (1), to memory that nobody has; to any with 'force'.",
        example: (
            "poke virt 0xffffffff80101000 0x90",
            "poke: 0xffffffff80101000: mapped read-only; 'force' behind it insists",
        ),
        choices: Choices::Words(&[&SPACES, &[], FORCE, FORCE, FORCE]),
        run: peek::poke,
    },
    Command {
        name: "uptime",
        arguments: "",
        does: "Shows how long the kernel has run, and which clock says so.",
        example: (
            "uptime",
            "up:         12.345 s since the kernel began\n\
             clock:      TSC, 2899.998 MHz\n\
             calibrated: by the HPET, 100.000 MHz\n\
             steady:     the CPU promises to count at one rate",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| clock::uptime(console, machine),
    },
    Command {
        name: "cmdline",
        arguments: "",
        does: "Shows the command line and who handed it over.",
        example: (
            "cmdline",
            "loader:       GRUB 2.06\n\
             command line: NOXPA",
        ),
        choices: Choices::Anything,
        run: |console, machine, _| {
            writeln!(console, "loader:       {}", machine.boot.loader.escape_debug())?;
            writeln!(console, "command line: {}", machine.boot.command_line.escape_debug())
        },
    },
    Command {
        name: "reboot",
        arguments: "",
        does: "Restarts the machine.",
        example: ("reboot", "(the firmware's first words)"),
        choices: Choices::Anything,
        run: |_, machine, _| power::restart(machine),
    },
    Command {
        name: "poweroff",
        arguments: "",
        does: "Turns the machine off.",
        example: ("poweroff", "(and on a machine that Strata cannot turn off, that it may be switched off)"),
        choices: Choices::Anything,
        run: answers::power_off,
    },
    Command {
        name: "version",
        arguments: "",
        does: "Shows which Strata this is.",
        example: ("version", concat!("Strata ", env!("CARGO_PKG_VERSION"), " for x86_64")),
        choices: Choices::Anything,
        run: |console, machine, _| writeln!(console, "Strata {} for {}", env!("CARGO_PKG_VERSION"), machine.boot.arch),
    },
];

/// The commands' names.
const NAMES: [&str; COMMANDS.len()] = {
    let mut names = [""; COMMANDS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = COMMANDS[at].name;
        at += 1;
    }
    names
};

/// The kinds of address, and what insists.
const SPACES: [&str; 2] = ["phys", "virt"];
const FORCE: &[&str] = &["force"];

/// The commands' names, and the line that is each one's example.
#[cfg(feature = "inject")]
pub const EXAMPLES: [(&str, &str); COMMANDS.len()] = {
    let mut lines = [("", ""); COMMANDS.len()];
    let mut at = 0;
    while at < lines.len() {
        lines[at] = (COMMANDS[at].name, COMMANDS[at].example.0);
        at += 1;
    }
    lines
};

/// What is done about threads beside listing them, and how important those are that are started.
const LOADS: [&str; 2] = ["start", "stop"];
const PRIORITIES: [&str; Priority::COUNT] = {
    let mut names = [""; Priority::COUNT];
    let mut at = 0;
    while at < names.len() {
        names[at] = Priority::ALL[at].name();
        at += 1;
    }
    names
};

/// The log's levels.
const LEVELS: [&str; log::LEVELS.len()] = {
    let mut names = [""; log::LEVELS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = log::LEVELS[at].0;
        at += 1;
    }
    names
};

/// What the word number `index` of a line that begins with `line` may be, as far as that is fixed.
pub fn choices(line: &str, index: usize) -> &'static [&'static str] {
    let Some(place) = index.checked_sub(1) else { return &NAMES };
    let name = line.split_ascii_whitespace().next().unwrap_or_default();
    let command = COMMANDS.iter().find(|command| command.name == name);
    match command.map_or(Choices::Anything, |command| command.choices) {
        Choices::Commands if place == 0 => &NAMES,
        Choices::Words(words) => words.get(place).copied().unwrap_or_default(),
        Choices::Commands | Choices::Anything => &[],
    }
}

/// As many words as the longest command has, its name included.
const MOST_WORDS: usize = 6;

/// Does what `line` says, or says what is wrong with it.
pub fn answer(console: &mut Console, machine: &mut Machine, line: &str) -> fmt::Result {
    // One word more than any command takes, so that a superfluous one is seen.
    let mut words = [""; MOST_WORDS + 1];
    let mut count = 0;
    for (slot, word) in words.iter_mut().zip(line.split_ascii_whitespace()) {
        *slot = word;
        count += 1;
    }
    let Some((name, arguments)) = words[..count].split_first() else { return Ok(()) };
    #[cfg(feature = "inject")]
    if *name == "starve" {
        return super::starve::run(console, machine);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == *name) else {
        return writeln!(console, "'{name}' is no command; 'help' lists them");
    };
    match usage::check(command.arguments, arguments) {
        Ok(()) => (command.run)(console, machine, arguments),
        Err(misuse) if command.arguments.is_empty() => writeln!(console, "{name}: {misuse}: it takes no argument"),
        Err(misuse) => writeln!(console, "{name}: {misuse}: {name} {}", command.arguments),
    }
}

fn help(console: &mut Console, _: &mut Machine, words: &[&str]) -> fmt::Result {
    let Some(name) = words.first() else {
        for command in &COMMANDS {
            writeln!(console, "{:9} {}", command.name, command.does)?;
        }
        return writeln!(console, "'help COMMAND' tells more of one, with an example. Ctrl-C ends any command.");
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == *name) else {
        return writeln!(console, "help: '{name}' is no command; 'help' lists them");
    };
    let (example, answer) = command.example;
    let space = if command.arguments.is_empty() { "" } else { " " };
    writeln!(console, "{}{space}{}\n  {}", command.name, command.arguments, command.does)?;
    // Indented: at a line's begin, the prompt is where one types.
    writeln!(console, "for example:\n  strata> {example}")?;
    answer.lines().try_for_each(|line| writeln!(console, "  {line}"))
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, MOST_WORDS, choices};
    use crate::prompt::usage;

    #[test]
    fn every_command_can_be_told_apart_and_its_help_fits_a_line() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..at].iter().all(|other| other.name != command.name), "{} twice", command.name);
            assert!(command.name.len() <= 9 && 1 + command.name.len() + command.arguments.len() < 80);
            assert!(10 + command.does.len() < 100, "{}: too long", command.name);
            assert!(command.does.ends_with('.'), "{}: no sentence", command.name);
            assert!(command.arguments.split_ascii_whitespace().count() < MOST_WORDS, "{}: too many", command.name);
        }
    }

    #[test]
    fn every_command_has_an_example_that_it_would_accept() {
        for command in &COMMANDS {
            let (example, answer) = command.example;
            let words: Vec<&str> = example.split_ascii_whitespace().collect();
            assert_eq!(words.first(), Some(&command.name));
            assert_eq!(usage::check(command.arguments, &words[1..]), Ok(()), "{example}");
            assert!(!answer.is_empty() && answer.lines().all(|line| line.len() < 100), "{example}");
        }
    }

    #[test]
    fn what_may_stand_where_is_known_where_it_is_fixed() {
        assert!(choices("", 0).contains(&"maps"));
        assert!(choices("help ma", 1).contains(&"maps"));
        assert!(choices("selftest ", 1).contains(&"lift.hundred_times"));
        assert!(choices("help maps ", 2).is_empty() && choices("maps ", 1).is_empty() && choices("x ", 1).is_empty());
    }
}
