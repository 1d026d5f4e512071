//! Whether the host let a machine run.
//!
//! A guest's clocks follow the host's. While QEMU does not run, because the host is stopped, paused or has no CPU to spare, they go on
//! and the guest's CPUs do not: a time limit in the guest passes in which nothing could happen. So a row that fails meanwhile has
//! shown nothing. Linux says of each thread whether it is ready, and for how long it has run: what lies between the two is measured
//! here, four times a second.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, mem};

/// A machine that was kept from running for so long in one piece may fail for that alone: no limit in the kernel is shorter.
pub const STALL: Duration = Duration::from_secs(1);

/// How long it is between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// A thread that is ready and gets less than one part in so many of a CPU is kept from running. With all the CPUs of two machines
/// busy on a host that has two, each gets an eighth.
const PART: u32 = 20;

/// What a machine got from the host.
#[derive(Clone, Copy, Default, Debug)]
pub struct Pace {
    /// The longest time for which a thread was kept from running.
    pub stall: Duration,
    /// The time that all threads ran, together.
    pub cpu: Duration,
}

impl Pace {
    /// Both of two machines that ran one after the other.
    const fn and(self, other: Self) -> Self {
        let longer = self.stall.as_nanos() > other.stall.as_nanos();
        Self { stall: if longer { self.stall } else { other.stall }, cpu: self.cpu.saturating_add(other.cpu) }
    }
}

thread_local! {
    static SO_FAR: Cell<Pace> = const { Cell::new(Pace { stall: Duration::ZERO, cpu: Duration::ZERO }) };
}

/// What the machines that have ended on this thread got since the last call.
pub fn take() -> Pace {
    SO_FAR.take()
}

/// Watches one QEMU until it is dropped, which must be before the process is waited for.
pub struct Watch {
    shared: Arc<Shared>,
    looker: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    /// QEMU is stopped on purpose.
    excused: AtomicBool,
    /// In milliseconds.
    stall: AtomicU64,
    /// In milliseconds.
    cpu: AtomicU64,
}

impl Watch {
    /// Watches the process `pid`.
    pub fn new(pid: u32) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let looker = thread::spawn(move || {
            let mut looks = Looks::new(Instant::now());
            while !theirs.over.load(Ordering::Relaxed) {
                thread::park_timeout(LOOK);
                let threads = threads(pid);
                let held = looks.next(Instant::now(), &threads);
                if theirs.excused.load(Ordering::Relaxed) {
                    looks.excuse();
                } else {
                    theirs.stall.fetch_max(held.as_millis() as u64, Ordering::Relaxed);
                }
                theirs.cpu.store(looks.cpu.as_millis() as u64, Ordering::Relaxed);
            }
        });
        Self { shared, looker: Some(looker) }
    }

    /// Says that QEMU is stopped on purpose from now on, or no more.
    pub fn excuse(&self, excused: bool) {
        if !excused {
            // The next look still finds what was before it.
            thread::sleep(2 * LOOK);
        }
        self.shared.excused.store(excused, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(looker) = self.looker.take() {
            looker.thread().unpark();
            let _ = looker.join();
        }
        let millis = |value: &AtomicU64| Duration::from_millis(value.load(Ordering::Relaxed));
        let pace = Pace { stall: millis(&self.shared.stall), cpu: millis(&self.shared.cpu) };
        SO_FAR.set(SO_FAR.get().and(pace));
    }
}

/// A thread as Linux describes it.
#[derive(Clone, Copy, Debug)]
struct Thread {
    number: u32,
    /// `R` is ready or running, `T` stopped.
    state: char,
    ran: Duration,
}

/// The threads of the process `pid`: none where there is no such list.
fn threads(pid: u32) -> Vec<Thread> {
    let folder = format!("/proc/{pid}/task");
    let numbers = fs::read_dir(&folder).into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let times = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            thread_of(number, &stat, &times)
        })
        .collect()
}

/// A thread by the contents of its files `stat` and `schedstat`.
fn thread_of(number: u32, stat: &str, times: &str) -> Option<Thread> {
    // The name before it is in brackets and may have anything in it.
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    let ran = Duration::from_nanos(times.split_whitespace().next()?.parse().ok()?);
    Some(Thread { number, state, ran })
}

/// What follows from one look to the next.
struct Looks {
    last: Instant,
    /// By thread: how long it had run, and for how long it has been kept from running.
    threads: HashMap<u32, (Duration, Duration)>,
    cpu: Duration,
}

impl Looks {
    fn new(now: Instant) -> Self {
        Self { last: now, threads: HashMap::new(), cpu: Duration::ZERO }
    }

    /// The longest time, up to `now`, for which any of these threads has been kept from running.
    fn next(&mut self, now: Instant, threads: &[Thread]) -> Duration {
        let passed = now - mem::replace(&mut self.last, now);
        // The harness itself does not run either while the whole host stands still.
        let late = passed.saturating_sub(LOOK);
        let mut longest = if late >= STALL { late } else { Duration::ZERO };
        let mut known = HashMap::new();
        for thread in threads {
            let (before, held) = self.threads.get(&thread.number).copied().unwrap_or_default();
            let ran = thread.ran.saturating_sub(before);
            self.cpu += ran;
            let is_held = thread.state == 'T' || thread.state == 'R' && ran * PART < passed;
            let held = if is_held { held + passed } else { Duration::ZERO };
            longest = longest.max(held);
            known.insert(thread.number, (thread.ran, held));
        }
        self.threads = known;
        longest
    }

    /// Counts nothing of what was so far.
    fn excuse(&mut self) {
        self.threads.values_mut().for_each(|(_, held)| *held = Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Looks every 250 ms at one thread that is in these states and has run for so many milliseconds since the last look.
    fn longest(looks: &[(char, u32)]) -> Duration {
        let begun = Instant::now();
        let (mut all, mut ran, mut now, mut longest) = (Looks::new(begun), Duration::ZERO, begun, Duration::ZERO);
        for (state, run) in looks {
            now += LOOK;
            ran += *run * MS;
            longest = longest.max(all.next(now, &[Thread { number: 7, state: *state, ran }]));
        }
        longest
    }

    #[test]
    fn only_a_thread_that_is_ready_or_stopped_is_kept_from_running() {
        assert_eq!(longest(&[('R', 250), ('S', 0), ('S', 0), ('S', 0), ('S', 0), ('R', 100)]), Duration::ZERO);
        assert_eq!(longest(&[('R', 13), ('R', 13), ('R', 13), ('R', 13), ('R', 13)]), Duration::ZERO);
        assert_eq!(longest(&[('R', 250), ('T', 0), ('T', 0), ('T', 0), ('T', 0), ('T', 0), ('R', 250)]), 1250 * MS);
        assert_eq!(longest(&[('R', 250), ('R', 12), ('R', 0), ('R', 12), ('R', 5), ('R', 20)]), 1000 * MS);
    }

    #[test]
    fn it_counts_in_one_piece() {
        assert_eq!(longest(&[('T', 0), ('T', 0), ('R', 200), ('T', 0), ('T', 0), ('T', 0)]), 750 * MS);
    }

    #[test]
    fn a_harness_that_stands_still_itself_is_noticed() {
        let begun = Instant::now();
        let mut looks = Looks::new(begun);
        let idle = Thread { number: 1, state: 'S', ran: MS };
        assert_eq!(looks.next(begun + 900 * MS, &[idle]), Duration::ZERO);
        assert_eq!(looks.next(begun + 900 * MS + 3 * STALL, &[idle]), 2750 * MS);
    }

    #[test]
    fn linux_is_understood() {
        let thread = thread_of(3, "3 (CPU 0) R) T 1 2 3 4", "93272319 500428030 255\n").expect("both are there");
        assert_eq!((thread.state, thread.ran), ('T', Duration::from_nanos(93_272_319)));
        assert!(!threads(std::process::id()).is_empty(), "a process has a thread");
    }
}
