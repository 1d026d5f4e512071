//! `fault`: failures on purpose, so that their reports can be seen and tested.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use mm::{Frames, MapRequest, PageFlags, PageRange, Rights, VirtAddr};
use sched::Priority;
use spin::Once;

use crate::console::Console;
use crate::threads::{self, Refusal, Work};
use crate::{CallFailure, Fault, Machine, Platform, cpus, typed};

/// A way to fail.
struct Kind {
    name: &'static str,
    /// What it does, in a sentence.
    does: &'static str,
    /// Does it. If that did not end in a report: why, in a sentence.
    run: fn(&Machine) -> Passed,
}

/// Why a fault was none.
enum Passed {
    /// It could not be tried, or is none on this machine.
    Words(&'static str),
    /// It can only be tried by who may change the tables.
    NeedsTables(fn(&mut Machine) -> Passed),
    /// Not all CPUs took part.
    Call(CallFailure),
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Passed::Words(why) => f.write_str(why),
            Passed::NeedsTables(_) => f.write_str("it was not tried"),
            Passed::Call(failure) => failure.fmt(f),
        }
    }
}

const UNNOTICED: &str = "the CPU let it pass";

const KINDS: [Kind; 15] = [
    Kind {
        name: "null",
        does: "Reads at address 0, where nothing is mapped.",
        run: |machine| tried(machine, Fault::Read(VirtAddr(0))),
    },
    Kind {
        name: "text",
        does: "Writes to the kernel's text, which is read-only.",
        run: |machine| tried(machine, Fault::WriteText),
    },
    Kind { name: "data", does: "Executes the kernel's data, which NX forbids.", run: data },
    Kind {
        name: "stack",
        does: "Calls itself until the stack is full.",
        run: |machine| tried(machine, Fault::OverflowStack),
    },
    Kind {
        name: "thread",
        does: "Calls itself in a thread until its stack is full.",
        run: |_| Passed::NeedsTables(in_thread),
    },
    Kind {
        name: "reserved",
        does: "Reads by way of a page-table entry with a reserved bit set.",
        run: |_| Passed::NeedsTables(reserved),
    },
    Kind { name: "divide", does: "Divides by zero.", run: |machine| tried(machine, Fault::Divide) },
    Kind { name: "others", does: "Divides by zero on all other CPUs at once.", run: others },
    Kind { name: "deaf", does: "Has another CPU shut out interrupts, and asks it for an answer.", run: deaf },
    Kind {
        name: "silent",
        does: "Has another CPU shut out interrupts, and calls all others.",
        run: |_| Passed::NeedsTables(silent),
    },
    Kind { name: "opcode", does: "Executes what is no instruction.", run: |machine| tried(machine, Fault::Opcode) },
    Kind {
        name: "double",
        does: "Faults with no stack to deliver the fault on.",
        run: |machine| tried(machine, Fault::Double),
    },
    Kind { name: "canonical", does: "Reads at an address that is not canonical.", run: canonical },
    Kind { name: "panic", does: "Panics.", run: |_| panic!("on purpose") },
    Kind {
        name: "twice",
        does: "Panics, and once more while the message is printed.",
        run: |_| panic!("{}", Unspeakable),
    },
];

/// The kinds' names.
pub const NAMES: [&str; KINDS.len()] = {
    let mut names = [""; KINDS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = KINDS[at].name;
        at += 1;
    }
    names
};

/// Where [`reserved`] reads: in the user region of every mode, where nothing is mapped.
const HERE: VirtAddr = VirtAddr(0x4000_0000);

/// Fails in the way that `word` names, or lists the ways.
pub fn run(console: &mut Console, machine: &mut Machine, word: Option<&str>) -> fmt::Result {
    let Some(word) = word else {
        return KINDS.iter().try_for_each(|kind| writeln!(console, "{:9} {}", kind.name, kind.does));
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.name == word) else {
        write!(console, "fault: '{word}' is no kind; there are")?;
        NAMES.iter().try_for_each(|name| write!(console, " {name}"))?;
        return writeln!(console);
    };
    let mut passed = (kind.run)(machine);
    if let Passed::NeedsTables(run) = passed {
        passed = run(machine);
    }
    typed::unwatch();
    writeln!(console, "fault {word}: {passed}")
}

fn tried(machine: &Machine, fault: Fault) -> Passed {
    machine.platform.fault(fault);
    Passed::Words(UNNOTICED)
}

/// All of them fail, and one reports.
fn others(machine: &Machine) -> Passed {
    let platform = machine.platform;
    match cpus::on_others(platform, &|_| platform.fault(Fault::Divide), &mut || ()) {
        Ok(0) => Passed::Words("no other CPU runs"),
        Ok(_) => Passed::Words(UNNOTICED),
        Err(failure) => Passed::Call(failure),
    }
}

/// One of the others shuts out interrupts and so does not forget a translation when it is asked to. Ends in a report by who asks.
fn deaf(machine: &Machine) -> Passed {
    let platform = machine.platform;
    let Some(contexts) = platform.contexts().filter(|_| cpus::count(machine) > 1) else {
        return Passed::Words("no other CPU runs");
    };
    let (is_deaf, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let work = |_| {
        contexts.masked(&mut || {
            // The first that comes here; the others go on.
            if !is_deaf.swap(true, Ordering::SeqCst) {
                while !over.load(Ordering::SeqCst) {
                    core::hint::spin_loop();
                }
            }
        });
    };
    let called = cpus::on_others(platform, &work, &mut || {
        while !is_deaf.load(Ordering::SeqCst) {
            core::hint::spin_loop();
        }
        platform.mmu().flush_page(HERE);
        over.store(true, Ordering::SeqCst);
    });
    called.map_or_else(Passed::Call, |_| Passed::Words("it has answered all the same"))
}

fn data(machine: &Machine) -> Passed {
    machine.platform.fault(Fault::ExecuteData);
    Passed::Words(match (machine.map.tables().paging().limits.no_execute, machine.features.nx) {
        (true, _) => UNNOTICED,
        (false, true) => "this mode lets data be executed: its entries have no NX",
        (false, false) => "this CPU lets data be executed: no NX",
    })
}

fn canonical(machine: &Machine) -> Passed {
    match machine.map.tables().paging().routines.info.va_bits {
        ..=32 => Passed::Words("there is none: a 32-bit CPU has no address that is not canonical"),
        // The first address behind the lower half.
        bits => tried(machine, Fault::Read(VirtAddr(1 << (bits - 1)))),
    }
}

/// Sets a reserved bit on the way to a page and reads it. The page is there so that the way is.
fn reserved(machine: &mut Machine) -> Passed {
    let (memory, mmu) = (&mut *machine.memory.lock(), machine.platform.mmu());
    let Ok(frame) = memory.take(0, Frames::ANYWHERE) else {
        return Passed::Words("no frame is free for the page to be read");
    };
    let (range, flags) = (PageRange::new(HERE, 1), PageFlags::new(Rights::empty()));
    let why = match machine.map.map_user(memory, &MapRequest { range, first: frame.run().first, flags }) {
        Err(_) => "the page to be read cannot be mapped",
        Ok(()) => {
            let platform = machine.platform;
            let tried = machine.map.with_reserved_bit(memory, mmu, HERE, || platform.fault(Fault::Read(HERE)));
            let cleared = machine.map.unmap_user(memory, range, None).map(|stale| stale.flush(memory, mmu));
            let trimmed = machine.map.trim_user(memory).map(|stale| stale.flush(memory, mmu));
            match (tried, cleared.and(trimmed)) {
                (_, Err(_)) => "the page that was read cannot be unmapped",
                (None, _) => "there is none: without large pages no bit of this mode's entries is reserved",
                (Some(()), _) => UNNOTICED,
            }
        }
    };
    memory.put(frame);
    Passed::Words(why)
}

/// Overflows the stack of a thread.
fn in_thread(machine: &mut Machine) -> Passed {
    static PLATFORM: Once<&'static dyn Platform> = Once::new();
    PLATFORM.call_once(|| machine.platform);
    let overflow = |_| PLATFORM.get().into_iter().for_each(|platform| platform.fault(Fault::OverflowStack));
    let work = Work { name: "deep", priority: Priority::Normal, cpu: None, run: overflow, argument: 0 };
    match threads::spawn(machine, work) {
        Ok(id) => {
            threads::join(machine, id);
            Passed::Words(UNNOTICED)
        }
        Err(refusal) => not_started(refusal),
    }
}

fn not_started(refusal: Refusal) -> Passed {
    Passed::Words(match refusal {
        Refusal::NoStack(_) => "there is no memory for a thread's stack",
        _ => "no thread can be started",
    })
}

/// Calls all other CPUs while a thread on one of them shuts out interrupts.
fn silent(machine: &mut Machine) -> Passed {
    static IS_SILENT: AtomicBool = AtomicBool::new(false);
    static OVER: AtomicBool = AtomicBool::new(false);
    static PLATFORM: Once<&'static dyn Platform> = Once::new();
    let platform = *PLATFORM.call_once(|| machine.platform);
    let mut other = None;
    platform.each_cpu(&mut |cpu| other = other.or(Some(cpu.index).filter(|index| *index > 0 && cpu.online)));
    let Some(other) = other.filter(|_| platform.contexts().is_some()) else {
        return Passed::Words("no other CPU runs");
    };
    let run = |_| {
        let Some(contexts) = PLATFORM.get().and_then(|platform| platform.contexts()) else { return };
        contexts.masked(&mut || {
            IS_SILENT.store(true, Ordering::SeqCst);
            while !OVER.load(Ordering::SeqCst) {
                core::hint::spin_loop();
            }
        });
    };
    IS_SILENT.store(false, Ordering::SeqCst);
    OVER.store(false, Ordering::SeqCst);
    let work = Work { name: "silent", priority: Priority::High, cpu: Some(other), run, argument: 0 };
    let id = match threads::spawn(machine, work) {
        Ok(id) => id,
        Err(refusal) => return not_started(refusal),
    };
    while !IS_SILENT.load(Ordering::SeqCst) && !typed::ended(platform) {
        threads::yield_now();
    }
    let called = cpus::on_others(platform, &|_| (), &mut || ());
    OVER.store(true, Ordering::SeqCst);
    threads::join(machine, id);
    called.map_or_else(Passed::Call, |_| Passed::Words("all have taken part all the same"))
}

/// A message that fails when it is printed.
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter) -> fmt::Result {
        panic!("the message of a panic fails, on purpose")
    }
}

#[cfg(test)]
mod tests {
    use super::KINDS;

    #[test]
    fn every_kind_can_be_told_apart_and_says_what_it_does() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..at].iter().all(|other| other.name != kind.name), "{} twice", kind.name);
            assert!(kind.name.len() <= 9 && kind.does.ends_with('.'), "{}", kind.name);
        }
    }
}
