//! What commands do that take arguments: these are read here, and what is wrong with them is said.

use core::fmt::{self, Write};

use mm::{PhysAddr, VirtAddr};
use sched::Priority;

use super::words;
use crate::console::Console;
use crate::{Machine, atlas, hammer, log, power, show, threads};

/// What `frame` takes behind the address.
pub const SHARE: &str = "share";
pub const UNSHARE: &str = "unshare";

/// What `atlas` takes in the place of an address.
pub const BROWSE: &str = "keys";

pub fn show_frame(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    let address = match words::number(words[0]) {
        Ok(address) => PhysAddr(address),
        Err(reason) => return writeln!(console, "frame: '{}' is no address: {reason}", words[0]),
    };
    let change = match words.get(1) {
        None => None,
        Some(&SHARE) => Some(show::Change::Share),
        Some(&UNSHARE) => Some(show::Change::Unshare),
        Some(word) => return writeln!(console, "frame: '{word}' is neither '{SHARE}' nor '{UNSHARE}'"),
    };
    show::frame(console, machine, address.frame(), change)
}

pub fn show_atlas(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    let Some(place) = words.first() else { return atlas::overview(console, machine) };
    if *place == BROWSE {
        return atlas::browse(console, machine);
    }
    match words::number(place) {
        Ok(address) if machine.map.tables().paging().routines.info.is_canonical(VirtAddr(address)) => {
            atlas::around(console, machine, VirtAddr(address))
        }
        Ok(address) => writeln!(console, "atlas: {address:#x} is no address that this mode has"),
        Err(reason) => writeln!(console, "atlas: '{place}' is neither '{BROWSE}' nor an address: {reason}"),
    }
}

pub fn walk(console: &mut Console, machine: &mut Machine, words: &[&str]) -> fmt::Result {
    match words::number(words[0]) {
        Ok(address) => show::walk(console, machine, VirtAddr(address)),
        Err(reason) => writeln!(console, "walk: '{}' is no address: {reason}", words[0]),
    }
}

pub fn show_log(console: &mut Console, _: &mut Machine, words: &[&str]) -> fmt::Result {
    let level = |word: &str| log::LEVELS.iter().find(|(name, _)| *name == word).map(|(_, level)| *level);
    let (least, text) = match words {
        [] => (None, ""),
        [word] => level(word).map_or((None, *word), |level| (Some(level), "")),
        [word, text, ..] => match level(word) {
            Some(level) => (Some(level), *text),
            None => return writeln!(console, "log: '{word}' is no level; there are error, warn, info and debug"),
        },
    };
    log::show(console, least.unwrap_or(log::Level::Trace), text)
}

pub fn power_off(console: &mut Console, machine: &mut Machine, _: &[&str]) -> fmt::Result {
    power::off(machine);
    writeln!(console, "this machine does not turn itself off for Strata; it is safe to switch it off")
}

pub fn run_hammer(console: &mut Console, machine: &mut Machine, arguments: &[&str]) -> fmt::Result {
    let mut numbers = [None; 2];
    for (number, word) in numbers.iter_mut().zip(arguments) {
        match words::number(word) {
            Ok(given) => *number = Some(given),
            Err(why) => return writeln!(console, "hammer: '{word}' is no number: {why}"),
        }
    }
    match hammer::Wish::new(numbers[0], numbers[1]) {
        Ok(wish) => hammer::run(console, machine, &wish),
        Err(why) => writeln!(console, "hammer: {why}"),
    }
}

/// The most threads that are started at once: beyond that it is a slip of the finger.
const MOST_LOADS: u64 = 1000;

pub fn show_threads(console: &mut Console, machine: &mut Machine, arguments: &[&str]) -> fmt::Result {
    let Some((what, arguments)) = arguments.split_first() else { return show::threads(console) };
    match (*what, arguments) {
        ("stop", []) => return threads::load::stop(console, machine),
        ("stop", [word, ..]) => return writeln!(console, "threads stop: '{word}' is too much: it takes no argument"),
        ("start", _) => {}
        (word, _) => return writeln!(console, "threads: '{word}' is neither 'start' nor 'stop'"),
    }
    let count = match arguments.first().map_or(Ok(1), |word| words::number(word)) {
        Ok(count @ 1..=MOST_LOADS) => count,
        Ok(count) => return writeln!(console, "threads start: {count} is not a number from 1 to {MOST_LOADS}"),
        Err(why) => return writeln!(console, "threads start: '{}' is no number: {why}", arguments[0]),
    };
    let named = |word: &&str| Priority::ALL.into_iter().find(|priority| priority.name() == *word);
    match arguments.get(1).map_or(Some(Priority::Normal), named) {
        Some(priority) => threads::load::start(console, machine, count, priority),
        None => writeln!(console, "threads start: '{}' is no priority; there are low, normal and high", arguments[1]),
    }
}
