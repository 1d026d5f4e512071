//! What the prompt understands.

use core::fmt::{self, Write};

use mm::VirtAddr;

use super::{usage, words};
use crate::console::Console;
use crate::{Machine, audit, selftest, show};

/// One command.
struct Command {
    name: &'static str,
    /// What may follow the name: `ADDR` has to, `[NAME]` may.
    arguments: &'static str,
    /// What it does, in a sentence.
    does: &'static str,
    run: fn(&mut Console, &mut Machine, &[&str]) -> fmt::Result,
}

const COMMANDS: [Command; 12] = [
    Command { name: "help", arguments: "[COMMAND]", does: "Lists the commands, or tells about one.", run: help },
    Command {
        name: "paging",
        arguments: "",
        does: "Shows the paging mode, why it was chosen, and what follows from it.",
        run: |console, machine, _| show::paging(console, machine),
    },
    Command {
        name: "cpu",
        arguments: "",
        does: "Shows what CPUID says about the CPU.",
        run: |console, machine, _| show::cpu(console, machine),
    },
    Command {
        name: "mem",
        arguments: "",
        does: "Shows the memory map, the zones and their free blocks by order, and the heap.",
        run: |console, machine, _| show::mem(console, machine),
    },
    Command {
        name: "maps",
        arguments: "",
        does: "Lists what the live tables map, neighbours that are alike in one line.",
        run: |console, machine, _| show::maps(console, machine),
    },
    Command { name: "walk", arguments: "ADDR", does: "Follows one address through the live tables.", run: walk },
    Command {
        name: "audit",
        arguments: "",
        does: "Looks for what must not be in the live tables, word by word.",
        run: |console, machine, _| audit::report(console, machine),
    },
    Command {
        name: "selftest",
        arguments: "[NAME]",
        does: "Runs the self-tests whose names begin with NAME, or all.",
        run: |console, machine, words| {
            let passed = selftest::run(console, machine, words.first().unwrap_or(&""));
            passed.map(|_| ())
        },
    },
    Command {
        name: "cmdline",
        arguments: "",
        does: "Shows the command line and who handed it over.",
        run: |console, machine, _| {
            writeln!(console, "loader:       {}", machine.boot.loader)?;
            writeln!(console, "command line: {}", machine.boot.command_line)
        },
    },
    Command {
        name: "reboot",
        arguments: "",
        does: "Restarts the machine.",
        run: |_, machine, _| machine.platform.reboot(),
    },
    Command { name: "poweroff", arguments: "", does: "Turns the machine off.", run: power_off },
    Command {
        name: "version",
        arguments: "",
        does: "Shows which Strata this is.",
        run: |console, machine, _| writeln!(console, "Strata {} for {}", env!("CARGO_PKG_VERSION"), machine.boot.arch),
    },
];

/// As many words as the longest command has, its name included.
const MOST_WORDS: usize = 2;

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
    if let Some(name) = words.first() {
        return match COMMANDS.iter().find(|command| command.name == *name) {
            Some(command) => writeln!(console, "{} {}\n  {}", command.name, command.arguments, command.does),
            None => writeln!(console, "help: '{name}' is no command; 'help' lists them"),
        };
    }
    for command in &COMMANDS {
        writeln!(console, "{:9}{:10} {}", command.name, command.arguments, command.does)?;
    }
    Ok(())
}

fn walk(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    match words::number(words[0]) {
        Ok(address) => show::walk(console, machine, VirtAddr(address)),
        Err(reason) => writeln!(console, "walk: '{}' is no address: {reason}", words[0]),
    }
}

fn power_off(console: &mut Console, machine: &mut Machine, _: &[&str]) -> fmt::Result {
    machine.platform.power_off();
    writeln!(console, "this machine does not turn itself off for Strata; it is safe to switch it off")
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, MOST_WORDS};

    #[test]
    fn every_command_can_be_told_apart_and_its_help_fits_a_line() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..at].iter().all(|other| other.name != command.name), "{} twice", command.name);
            assert!(command.name.len() <= 8 && command.arguments.len() <= 9, "{}: too wide", command.name);
            assert!(20 + command.does.len() < 100, "{}: too long", command.name);
            assert!(command.does.ends_with('.'), "{}: no sentence", command.name);
            assert!(command.arguments.split_ascii_whitespace().count() < MOST_WORDS, "{}: too many", command.name);
        }
    }
}
