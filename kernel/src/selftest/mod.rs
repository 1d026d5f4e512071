//! The self-tests: the kernel tries itself on the machine that it runs on.
//!
//! Each leaves everything as it found it, frames included. A test that this machine cannot show anything with says why
//! it was skipped and is not counted.

mod audit;
mod cache;
mod cpus;
mod everywhere;
mod exhaustion;
mod frames;
mod heap;
mod high;
mod lift;
mod memory;
mod model;
mod rights;
mod scattered;
mod self_map;
mod spaces;
mod stacks;
mod threads;
mod together;
mod user;
mod verdicts;

use core::fmt::{self, Write};

use mm::{MapError, VirtAddr};

use crate::audit::What;
use crate::console::Console;
use crate::{CallFailure, Machine, Platform, typed};
use everywhere::everywhere;

/// How a test ended that did not fail.
enum Outcome {
    Passed,
    /// Why this machine has nothing to show.
    Skipped(&'static str),
}

/// Why a test failed.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// What should have been so.
    Not(&'static str),
    /// The same, and where it was not.
    NotAt(&'static str, VirtAddr),
    /// A change that should have worked was refused.
    Refused(&'static str, MapError),
    /// The audit did not find this, planted there.
    NotFound(What, VirtAddr),
    /// The CPU did something else than the walker says, and than the table of deviations allows.
    Verdict(verdicts::Case),
    /// Ctrl-C came first, so it is not known.
    Ended,
    /// Not all CPUs took part.
    Call(CallFailure),
    /// Frames were lost, or came from nowhere.
    Lost { before: u64, after: u64 },
}

type Verdict = Result<Outcome, Failure>;

/// A test's name, and the test.
type Test = (&'static str, fn(&mut Machine) -> Verdict);

const TESTS: [Test; 41] = [
    ("frames.pairs", |machine| everywhere(machine, "frames.pairs", frames::pairs)),
    ("frames.refusals", |machine| everywhere(machine, "frames.refusals", frames::refusals)),
    ("frames.model", |machine| everywhere(machine, "frames.model", model::programs)),
    ("frames.owners", |machine| everywhere(machine, "frames.owners", frames::owners)),
    ("frames.exhaustion", frames::exhaustion),
    ("heap.grows", heap::grows),
    ("heap.shrinks", heap::shrinks),
    ("paging.every_size", user::every_size),
    ("paging.refusals", user::refusals),
    ("paging.split_and_merge", user::split_and_merge),
    ("paging.protect", user::protect),
    ("paging.remap", user::remap),
    ("paging.list", scattered::list),
    ("paging.cursor", scattered::cursor),
    ("paging.exhaustion", exhaustion::of_tables),
    ("self_map.agrees", |machine| everywhere(machine, "self_map.agrees", self_map::agrees)),
    ("rights.user_half", |machine| everywhere(machine, "rights.user_half", rights::user_half)),
    ("rights.verdicts", verdicts::verdicts),
    ("audit.finds_what_is_planted", audit::finds_what_is_planted),
    ("cache.devices", cache::devices),
    ("memory.high", high::beyond_aperture),
    ("threads.turns", threads::turns),
    ("threads.priorities", threads::priorities),
    ("threads.sleep", threads::sleep),
    ("threads.join", threads::join),
    ("threads.wakes", threads::wakes),
    ("threads.preemption", threads::preemption),
    ("threads.registers", threads::registers),
    ("threads.stacks", stacks::stacks),
    ("threads.refusals", stacks::refusals),
    ("lift.hundred_times", lift::hundred_times),
    ("memory.dealing", memory::dealing),
    ("memory.pressure", memory::pressure),
    ("memory.mode_changes", memory::mode_changes),
    ("spaces.changes", together::changes),
    ("cpus.registers", cpus::registers),
    ("cpus.timers", cpus::timers),
    ("cpus.shootdown", cpus::shootdown),
    ("spaces.warm", spaces::warm),
    ("spaces.remap", spaces::remap),
    ("spaces.reuse", spaces::reuse),
];

/// The tests' names.
pub const NAMES: [&str; TESTS.len()] = {
    let mut names = [""; TESTS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TESTS[at].0;
        at += 1;
    }
    names
};

/// How many tests passed, and how many did not.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs the tests whose names begin with `prefix`, until Ctrl-C if a command runs them. Returns whether all ran and none failed.
///
/// # Errors
/// Those of the console.
pub fn run(console: &mut Console, machine: &mut Machine, prefix: &str) -> Result<bool, fmt::Error> {
    let count = TESTS.iter().filter(|(name, _)| name.starts_with(prefix)).count();
    if count == 0 {
        writeln!(console, "selftest: no test's name begins with '{prefix}'")?;
        for (name, _) in TESTS {
            writeln!(console, "  {name}")?;
        }
        return Ok(false);
    }
    let mut tally = Tally::default();
    let ran = run_each(console, machine, prefix, &mut tally);
    if typed::unwatch() {
        let Tally { passed, failed, skipped } = tally;
        let rest = count - passed - failed - skipped;
        writeln!(console, "selftest: {passed} passed, {failed} failed, {rest} of {count} not run")?;
        return Ok(false);
    }
    ran?;
    writeln!(console, "selftest: {} passed, {} failed", tally.passed, tally.failed)?;
    Ok(tally.failed == 0)
}

fn run_each(console: &mut Console, machine: &mut Machine, prefix: &str, tally: &mut Tally) -> fmt::Result {
    for (name, test) in TESTS.iter().filter(|(name, _)| name.starts_with(prefix)) {
        let before = machine.memory.lock().free_frames();
        let verdict = test(machine);
        let after = machine.memory.lock().free_frames();
        // What the heap has taken it may keep.
        let verdict = match verdict {
            Ok(_) if before != after && !name.starts_with("heap.") => Err(Failure::Lost { before, after }),
            verdict => verdict,
        };
        if typed::ended(machine.platform) && verdict.is_err() {
            // It was cut short, which is no failure.
            return Err(fmt::Error);
        }
        match verdict {
            Ok(Outcome::Passed) => {
                tally.passed += 1;
                writeln!(console, "test {name} ... ok")?;
            }
            Ok(Outcome::Skipped(reason)) => {
                tally.skipped += 1;
                writeln!(console, "test {name} ... skipped ({reason})")?;
            }
            Err(failure) => {
                tally.failed += 1;
                writeln!(console, "  {failure}")?;
                writeln!(console, "test {name} ... FAILED")?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Failure::Not(what) => write!(f, "not so: {what}"),
            Failure::NotAt(what, at) => write!(f, "not so at {at:#x}: {what}"),
            Failure::Refused(what, error) => write!(f, "{what}: {error}"),
            Failure::NotFound(what, at) => write!(f, "planted at {at:#x} and not found: {what}"),
            Failure::Verdict(case) => case.fmt(f),
            Failure::Ended => f.write_str("ended by Ctrl-C"),
            Failure::Call(failure) => failure.fmt(f),
            Failure::Lost { before, after } => write!(f, "{before} frames were free before, {after} are now"),
        }
    }
}

/// `Ok` if `is` so.
fn expect(is: bool, what: &'static str) -> Result<(), Failure> {
    if is { Ok(()) } else { Err(Failure::Not(what)) }
}

/// `Ok` if Ctrl-C has not ended the command. A test that takes seconds asks now and then.
fn not_ended(platform: &dyn Platform) -> Result<(), Failure> {
    if typed::ended(platform) { Err(Failure::Ended) } else { Ok(()) }
}

impl From<CallFailure> for Failure {
    fn from(failure: CallFailure) -> Self {
        Failure::Call(failure)
    }
}

/// Gives a refusal the name of what was refused.
trait Named<T> {
    fn named(self, what: &'static str) -> Result<T, Failure>;
}

impl<T> Named<T> for Result<T, MapError> {
    fn named(self, what: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Refused(what, error))
    }
}
