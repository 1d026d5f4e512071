//! Threads: who runs when, what a thread keeps when it loses its CPU, and what is given back when it ends.
//!
//! Threads that are compared with one another are pinned to the CPU that the tests run on.

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::info;
use sched::{Class, PATIENCE, Priority, Report, SLICE, ThreadId, lock};

use super::{Failure, Outcome, Verdict, expect};
use crate::threads::{self, Refusal, Work};
use crate::{Machine, cpus};

/// The CPU that the tests run on.
pub const HERE: Option<usize> = Some(0);

/// Why nothing can be shown.
const NO_THREADS: &str = "there is no timer, or no thread to idle in";
const LOADED: &str = "threads that 'threads start' has started are running; 'threads stop' ends them";

/// How many threads a test starts, at most.
const MOST: usize = 16;

/// What threads tell of themselves: how far each is, and whether they are to end.
static ROUNDS: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
static OVER: AtomicBool = AtomicBool::new(false);

/// Ticks in which whatever has nothing to wait for has come to pass, even if the emulator's host stalls.
const LONG: u32 = 200;

/// Why nothing can be shown about threads: they cannot be started, are not preempted, or share their CPU with the user's.
pub fn unusable(machine: &Machine) -> Option<&'static str> {
    if !machine.platform.contexts().is_some_and(|contexts| contexts.beats()) || threads::current().is_none() {
        return Some(NO_THREADS);
    }
    threads::load::are_loaded().then_some(LOADED)
}

/// The threads of a test, which are ended whatever comes of it.
struct Started([Option<ThreadId>; MOST]);

impl Started {
    /// Starts one more.
    fn add(&mut self, machine: &mut Machine, work: Work) -> Result<ThreadId, Failure> {
        let id = start(machine, work)?;
        let free = self.0.iter_mut().find(|slot| slot.is_none()).expect("a test starts few threads");
        Ok(*free.insert(id))
    }

    /// Starts one that counts rounds until it is to end.
    fn spinner(&mut self, machine: &mut Machine, at: usize, priority: Priority) -> Result<ThreadId, Failure> {
        ROUNDS[at].store(0, Ordering::Relaxed);
        let run = |at: usize| {
            while !OVER.load(Ordering::Relaxed) {
                ROUNDS[at].fetch_add(1, Ordering::Relaxed);
                hint::spin_loop();
            }
        };
        self.add(machine, Work { name: "test", priority, cpu: HERE, run, argument: at })
    }
}

/// How often a test is made before it counts as failed. On an emulator whose host stalls, dozens of ticks come at once afterwards, and
/// threads have their slices without an instruction in them. What is wrong with the scheduler is so every time.
const ATTEMPTS: u32 = 5;

/// Makes a test of threads, and ends those that it has started.
fn with_threads(machine: &mut Machine, test: impl Fn(&mut Machine, &mut Started) -> Result<(), Failure>) -> Verdict {
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    for attempt in 1.. {
        let mut started = Started([None; MOST]);
        let verdict = test(machine, &mut started);
        OVER.store(true, Ordering::Relaxed);
        started.0.into_iter().flatten().for_each(|id| threads::join(machine, id));
        OVER.store(false, Ordering::Relaxed);
        match verdict {
            Err(Failure::Not(what)) if attempt < ATTEMPTS => {
                info!("threads: tried again, because it was not so that {what}")
            }
            verdict => return verdict.map(|()| Outcome::Passed),
        }
    }
    unreachable!("the last attempt returns")
}

pub fn start(machine: &mut Machine, work: Work) -> Result<ThreadId, Failure> {
    threads::spawn(machine, work).map_err(refused)
}

/// The same in the address space of this number.
pub fn start_in(machine: &mut Machine, work: Work, space: usize) -> Result<ThreadId, Failure> {
    threads::spawn_in(machine, work, space).map_err(refused)
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NoStack(error) => Failure::Refused("a thread's stack", error),
        Refusal::NoThreads | Refusal::TooMany => Failure::Not("a thread can be started"),
    }
}

pub fn report(id: ThreadId) -> Option<Report> {
    threads::reports().find(|report| report.id == id)
}

fn used(id: ThreadId) -> u32 {
    report(id).map_or(0, |report| report.used)
}

/// Three threads that never give their CPU up have equal shares of it.
pub fn turns(machine: &mut Machine) -> Verdict {
    const TICKS: u32 = 15 * SLICE;
    with_threads(machine, |machine, started| {
        let first = started.spinner(machine, 0, Priority::Normal)?;
        let second = started.spinner(machine, 1, Priority::Normal)?;
        let third = started.spinner(machine, 2, Priority::Normal)?;
        threads::sleep_until(threads::now().wrapping_add(TICKS));
        let shares = [first, second, third].map(used);
        let fair = shares.iter().all(|share| (TICKS / 3).abs_diff(*share) <= SLICE + 2);
        let all_ran = (0..3).all(|at| ROUNDS[at].load(Ordering::Relaxed) > 0);
        expect(fair && all_ran, "equal threads have equal shares of a CPU, to a slice")
    })
}

/// A less important thread does not run while a more important one does, until it has waited for too long.
pub fn priorities(machine: &mut Machine) -> Verdict {
    with_threads(machine, |machine, started| {
        let low = started.spinner(machine, 0, Priority::Low)?;
        let normal = started.spinner(machine, 1, Priority::Normal)?;
        let before = used(low);
        threads::sleep_until(threads::now().wrapping_add(PATIENCE / 2));
        let passed_over = used(low) == before && used(normal) >= PATIENCE / 2 - 2;
        threads::sleep_until(threads::now().wrapping_add(PATIENCE));
        let not_starved = used(low) > before;
        expect(passed_over, "a less important thread waits for a more important one")?;
        expect(not_starved, "a thread that has waited for too long has its turn")
    })
}

/// On an emulator whose host is busy several ticks come at once, before the thread that the first has woken reads the clock.
const LATE: u32 = 10;

/// Whoever sleeps goes on at his tick, whatever else runs.
pub fn sleep(machine: &mut Machine) -> Verdict {
    with_threads(machine, |machine, started| {
        started.spinner(machine, 0, Priority::Normal)?;
        let (mut early, mut late) = (false, false);
        for ticks in [1, 2, 5, 20] {
            let before = threads::now();
            threads::sleep_until(before.wrapping_add(ticks));
            let slept = threads::now().wrapping_sub(before);
            early |= slept < ticks;
            late |= slept > ticks + LATE;
        }
        expect(!early, "who sleeps for so many ticks does not go on before")?;
        expect(!late, "nor much later")
    })
}

/// Who waits for a thread's end goes on when it has ended, and a thread that has ended before is not waited for.
pub fn join(machine: &mut Machine) -> Verdict {
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let run = |ticks: usize| {
        threads::sleep_until(threads::now().wrapping_add(ticks as u32));
        ROUNDS[0].store(1, Ordering::Relaxed);
    };
    for ticks in [3, 0] {
        ROUNDS[0].store(0, Ordering::Relaxed);
        let work = Work { name: "test", priority: Priority::Normal, cpu: HERE, run, argument: ticks };
        let id = start(machine, work)?;
        if ticks == 0 {
            let since = threads::now();
            while !threads::has_ended(id) && threads::now().wrapping_sub(since) < LONG {
                threads::sleep_until(threads::now().wrapping_add(2));
            }
            expect(threads::has_ended(id), "a thread whose function has returned has ended")?;
        }
        threads::join(machine, id);
        expect(ROUNDS[0].load(Ordering::Relaxed) == 1, "whoever waits for a thread's end goes on behind it")?;
        expect(report(id).is_none(), "nothing is left of a thread whose end was waited for")?;
    }
    Ok(Outcome::Passed)
}

/// Two threads wake one another a thousand times, and no wake is lost; nor is one that comes before the block.
pub fn wakes(machine: &mut Machine) -> Verdict {
    const TURNS: u32 = 1000;
    static OTHER: lock::Lock<Option<ThreadId>> = lock::Lock::new(Class::Test, None);
    if let Some(reason) = unusable(machine) {
        return Ok(Outcome::Skipped(reason));
    }
    let Some(me) = threads::current() else { return Ok(Outcome::Skipped(NO_THREADS)) };
    threads::wake(me);
    let before = threads::now();
    threads::block();
    expect(threads::now().wrapping_sub(before) < LONG, "a wake that comes first ends the next block")?;
    // Even turns are this thread's, odd ones the other's.
    *OTHER.lock() = Some(me);
    ROUNDS[0].store(0, Ordering::Relaxed);
    let run = |_| {
        let other = *OTHER.lock();
        while let (Some(other), turn @ ..TURNS) = (other, ROUNDS[0].load(Ordering::Relaxed)) {
            if turn % 2 == 1 {
                ROUNDS[0].store(turn + 1, Ordering::Relaxed);
                threads::wake(other);
            } else {
                threads::block();
            }
        }
    };
    let id = start(machine, Work { name: "test", priority: Priority::Normal, cpu: HERE, run, argument: 0 })?;
    while let turn @ ..TURNS = ROUNDS[0].load(Ordering::Relaxed) {
        if turn % 2 == 0 {
            ROUNDS[0].store(turn + 1, Ordering::Relaxed);
            threads::wake(id);
        } else {
            threads::block();
        }
    }
    // The last turn may be this thread's: the other has yet to see it.
    threads::wake(id);
    threads::join(machine, id);
    Ok(Outcome::Passed)
}

/// A thread that never gives its CPU up loses it all the same, and one that holds a lock keeps it until it gives the lock back.
pub fn preemption(machine: &mut Machine) -> Verdict {
    with_threads(machine, |machine, started| {
        // As important as the thread that runs the tests.
        started.spinner(machine, 0, Priority::High)?;
        let rounds = || ROUNDS[0].load(Ordering::Relaxed);
        let stay = lock::stay();
        let (held, since) = (rounds(), threads::now());
        while threads::now().wrapping_sub(since) < 3 * SLICE {
            hint::spin_loop();
        }
        let kept = rounds() == held;
        drop(stay);
        // That it was put off for was followed up at once.
        let followed_up = rounds() != held;
        let (before, since) = (rounds(), threads::now());
        while rounds() == before && threads::now().wrapping_sub(since) < 4 * SLICE {
            hint::spin_loop();
        }
        expect(kept, "a thread that must stay on its CPU is not preempted")?;
        expect(followed_up, "a switch that was put off is made when the last lock is given back")?;
        expect(rounds() != before, "a thread that does not give its CPU up is preempted")
    })
}

/// All registers and the flags are what they were when a thread has its CPU again.
pub fn registers(machine: &mut Machine) -> Verdict {
    const TICKS: u32 = 12 * SLICE;
    static PLATFORM: spin::Once<&'static dyn crate::Platform> = spin::Once::new();
    PLATFORM.call_once(|| machine.platform);
    // What was lost, of both.
    ROUNDS[0].store(0, Ordering::Relaxed);
    let run = |seed| {
        let Some(contexts) = PLATFORM.get().and_then(|platform| platform.contexts()) else { return };
        while !OVER.load(Ordering::Relaxed) {
            ROUNDS[0].fetch_add(contexts.hold(seed) as u32, Ordering::Relaxed);
        }
    };
    let outcome = with_threads(machine, |machine, started| {
        let work = |cpu, argument| Work { name: "test", priority: Priority::Normal, cpu, run, argument };
        let first = started.add(machine, work(HERE, 0x1234_5678))?;
        let second = started.add(machine, work(HERE, 0x6543_2100))?;
        // Two on each of the other CPUs, too.
        let mut others = 0;
        for cpu in 1..MOST / 2 {
            if !cpus::runs(machine, cpu) {
                continue;
            }
            started.add(machine, work(Some(cpu), 0x1234_5678 + cpu))?;
            started.add(machine, work(Some(cpu), 0x6543_2100 + cpu))?;
            others += 1;
        }
        threads::sleep_until(threads::now().wrapping_add(TICKS));
        let both_ran = [first, second].iter().all(|id| used(*id) >= TICKS / 2 - SLICE - 2);
        expect(both_ran, "two threads that hold registers took turns")?;
        // How much of an emulator's time another CPU has is for its host to say.
        let all_ran = |started: &Started| started.0.iter().flatten().all(|id| used(*id) > 0);
        for _ in 0..20 {
            if !all_ran(started) {
                threads::sleep_until(threads::now().wrapping_add(TICKS));
            }
        }
        expect(all_ran(started), "so did two on each other CPU")?;
        if others > 0 {
            info!("threads.registers: passed on {} CPUs at once", others + 1);
        }
        Ok(())
    })?;
    expect(ROUNDS[0].load(Ordering::Relaxed) == 0, "every register and the flags survive the loss of the CPU")?;
    Ok(outcome)
}
