//! `hammer`: all CPUs at once on the same pages, frames and queues, for as long as one likes.
//!
//! The prompt maps pages now here, now there, and takes their table out now and then. A thread on each other CPU looks at them all
//! the time, and must never see what is no longer mapped ([`page`]). Others do so where they are stolen to, fall asleep and wake up,
//! so that CPUs idle and go on; others take and give frames, which makes new tables of old ones; and four live in address spaces
//! of their own ([`lodgers`]).

mod lodgers;
pub mod page;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

use mm::MapError;
use sched::{Priority, ThreadId, has_come};
use spin::Once;

use crate::console::Console;
use crate::threads::{self, Work};
use crate::{Machine, Memories, Platform, typed};
use lodgers::Lodgings;
use page::{Counts, Frames, Round, Seen, WIDE, Watch};

/// How long it goes on if nothing is said, and at most, in seconds.
const USUALLY: u64 = 10;
const LONGEST: u64 = 24 * 3600;

/// How many CPUs have a thread of their own that looks, at most.
const WATCHERS: usize = 64;

/// How many threads look that may be stolen, and how many take and give frames.
const ROAMERS: usize = 4;
const DEALERS: usize = 2;

/// The part of the time in which only this CPU flushes, which shows that the others would notice.
const UNFLUSHED: u32 = 10;

/// How often it tells how far it is, in seconds.
const REPORT: u32 = 10;

static WATCH: Watch = Watch::new();
static COUNTS: [Counts; WATCHERS + ROAMERS] = [const { Counts::none() }; WATCHERS + ROAMERS];

/// How often frames were taken and given, and how often there was none.
static DEALT: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// What the threads need of the machine.
struct Shared {
    platform: &'static dyn Platform,
    memory: &'static Memories,
}

static SHARED: Once<Shared> = Once::new();

/// What `hammer` was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// How long, in seconds.
    pub seconds: u64,
    /// On how many CPUs at most, the prompt's included.
    pub cpus: usize,
}

impl Wish {
    /// Reads the numbers that were given: seconds, and CPUs.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(seconds: Option<u64>, cpus: Option<u64>) -> Result<Self, &'static str> {
        let seconds = seconds.unwrap_or(USUALLY);
        let cpus = cpus.unwrap_or(threads::CPUS as u64);
        if !(1..=LONGEST).contains(&seconds) {
            return Err("a day is the longest, and a second the shortest");
        }
        match usize::try_from(cpus) {
            Ok(cpus @ 2..) => Ok(Self { seconds, cpus }),
            _ => Err("it takes two CPUs at least"),
        }
    }
}

/// Hammers as was asked for, until the time is over or something is typed.
///
/// # Errors
/// Those of the console.
pub fn run(console: &mut Console, machine: &mut Machine, wish: &Wish) -> fmt::Result {
    // Any key ends it, and is looked for here.
    typed::unwatch();
    let mut others = [0; WATCHERS];
    let mut count = 0;
    machine.platform.each_cpu(&mut |cpu| {
        if cpu.index > 0 && cpu.online && count < WATCHERS.min(wish.cpus - 1) {
            others[count] = cpu.index;
            count += 1;
        }
    });
    if count == 0 || threads::current().is_none() {
        return writeln!(console, "hammer: one CPU runs, and nobody else could see anything stale");
    }
    let mut started = [const { None }; WATCHERS + ROAMERS + DEALERS];
    let mut lodgings = Lodgings::default();
    let result = start(machine, &others[..count], &mut started).map_err(Trouble::from).and_then(|()| {
        lodgings.begin(machine)?;
        writeln!(console, "hammer: {} CPUs, {} s; a key ends it", count + 1, wish.seconds)?;
        strike(console, machine, &mut lodgings, wish.seconds)
    });
    WATCH.end();
    started.into_iter().flatten().for_each(|id| threads::join(machine, id));
    lodgings.end(machine);
    match result {
        Ok(()) => Ok(()),
        Err(Trouble::Console) => Err(fmt::Error),
        Err(Trouble::Threads(why)) => writeln!(console, "hammer: not all threads could be started: {why}"),
        Err(Trouble::Pages(why)) => writeln!(console, "hammer: the pages could not be mapped: {why}"),
    }
}

/// Why it ended before its time.
enum Trouble {
    Console,
    Threads(threads::Refusal),
    Pages(MapError),
}

impl From<fmt::Error> for Trouble {
    fn from(_: fmt::Error) -> Self {
        Self::Console
    }
}

impl From<threads::Refusal> for Trouble {
    fn from(why: threads::Refusal) -> Self {
        Self::Threads(why)
    }
}

impl From<lodgers::Trouble> for Trouble {
    fn from(why: lodgers::Trouble) -> Self {
        match why {
            lodgers::Trouble::Thread(why) => Self::Threads(why),
            lodgers::Trouble::Pages(why) => Self::Pages(why),
        }
    }
}

impl From<MapError> for Trouble {
    fn from(why: MapError) -> Self {
        Self::Pages(why)
    }
}

/// Starts all threads, and notes those that were.
fn start(machine: &mut Machine, others: &[usize], started: &mut [Option<ThreadId>]) -> Result<(), threads::Refusal> {
    let (platform, memory) = (machine.platform, machine.memory);
    SHARED.call_once(|| Shared { platform, memory });
    WATCH.begin();
    let mut forgotten = Seen::default();
    COUNTS.iter().for_each(|counts| forgotten.take(counts));
    DEALT.store(0, Ordering::Relaxed);
    REFUSED.store(0, Ordering::Relaxed);
    let watchers = others.iter().enumerate().map(|(at, cpu)| ("watcher", Some(*cpu), watcher as fn(usize), at));
    let roamers = (WATCHERS..WATCHERS + ROAMERS).map(|at| ("roamer", None, roamer as fn(usize), at));
    let dealers = (0..DEALERS).map(|at| ("dealer", None, dealer as fn(usize), at));
    for (slot, (name, cpu, run, argument)) in started.iter_mut().zip(watchers.chain(roamers).chain(dealers)) {
        let work = Work { name, priority: Priority::Normal, cpu, run, argument };
        // Who looks does so in the kernel's own space; who does not look runs in any.
        *slot = Some(match name {
            "dealer" => threads::spawn(machine, work)?,
            _ => threads::spawn_in(machine, work, threads::OWN)?,
        });
    }
    Ok(())
}

/// Remaps for so long, with the flush and then without, and says what came of it.
fn strike(console: &mut Console, machine: &mut Machine, lodgings: &mut Lodgings, seconds: u64) -> Result<(), Trouble> {
    let mut frames = Frames::take(machine)?;
    let begun = threads::now();
    let struck = flushed(console, machine, &mut frames, lodgings, seconds).and_then(|(seen, lodged)| {
        let rounds = frames.rounds();
        // A part of the time that it took, which a key may have cut short.
        let ticks = (threads::now().wrapping_sub(begun) / UNFLUSHED).max(1);
        writeln!(console, "  and one CPU alone flushes: {rounds} rounds, {} words read", seen.words)?;
        Ok((seen, lodged, rounds, unflushed(machine, &mut frames, ticks)?))
    });
    let given_back = frames.give_back(machine);
    let (seen, lodged, rounds, bitten) = struck?;
    given_back?;
    let (dealt, refused) = (DEALT.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
    writeln!(
        console,
        "hammer: {rounds} rounds, {} words read, {} looks at nothing, {dealt} blocks of frames dealt, {refused} refused",
        seen.words, seen.nothing
    )?;
    writeln!(
        console,
        "hammer: in {} address spaces {} words read, {} as of other spaces; {} flushes asked {} other CPUs",
        lodgers::COUNT,
        lodged.words,
        lodged.foreign,
        lodged.flushes,
        lodged.asked
    )?;
    let stale = seen.stale + lodged.stale;
    if stale > 0 {
        writeln!(console, "hammer: {stale} words were stale")?;
    }
    writeln!(console, "hammer: where one CPU alone flushes, {} of {} words are stale", bitten.stale, bitten.words)?;
    let verdict = match seen {
        _ if lodged.foreign > 0 => "FAILED: a thread saw another address space than its own",
        _ if stale > 0 => "FAILED: a CPU used a translation that was flushed",
        Seen { words: 0, .. } => "nothing is known: no other CPU came to look",
        _ if bitten.stale == 0 => "no word is stale, and none is where one CPU alone flushes",
        _ => "ok, no word is stale",
    };
    Ok(writeln!(console, "hammer: {verdict}")?)
}

/// Remaps with the flush on every CPU, until the time is over or something is typed.
fn flushed(
    console: &mut Console,
    machine: &mut Machine,
    frames: &mut Frames,
    lodgings: &mut Lodgings,
    seconds: u64,
) -> Result<(Seen, lodgers::Seen), Trouble> {
    let mmu = machine.platform.mmu();
    let second = machine.platform.time().ticks_per_second as u32;
    let begun = threads::now();
    let (end, mut next) = (begun.wrapping_add(seconds as u32 * second), begun.wrapping_add(REPORT * second));
    let (mut seen, mut lodged) = (Seen::default(), lodgers::Seen::default());
    while !has_come(end, threads::now()) && typed::read(machine.platform).is_none() {
        let kind = match frames.rounds() % 16 {
            3 => Round::Trim,
            7 => Round::Wide,
            _ => Round::Narrow,
        };
        frames.remap(machine, &WATCH, mmu, kind)?;
        lodgings.move_one(machine, frames.rounds(), &mut lodged)?;
        COUNTS.iter().for_each(|counts| seen.take(counts));
        Lodgings::ask(&mut lodged);
        if has_come(next, threads::now()) {
            let passed = next.wrapping_sub(begun) / second;
            next = next.wrapping_add(REPORT * second);
            let (rounds, words, stale) = (frames.rounds(), seen.words, seen.stale);
            writeln!(console, "  {passed} s: {rounds} rounds, {words} words read, {stale} stale")?;
        }
    }
    Ok((seen, lodged))
}

/// Remaps with a flush on this CPU only, for this many ticks or until something is typed. No table is taken out: its frame would be
/// another's while CPUs go on using it.
fn unflushed(machine: &mut Machine, frames: &mut Frames, ticks: u32) -> Result<Seen, MapError> {
    let mmu = machine.platform.mmu_here();
    let end = threads::now().wrapping_add(ticks);
    let mut seen = Seen::default();
    while !has_come(end, threads::now()) && typed::read(machine.platform).is_none() {
        frames.remap(machine, &WATCH, mmu, Round::Narrow)?;
        COUNTS.iter().for_each(|counts| seen.take(counts));
    }
    Ok(seen)
}

/// Looks, on its CPU, until it is over.
fn watcher(at: usize) {
    let Some(shared) = SHARED.get() else { return };
    while !WATCH.is_over() {
        look(shared, at);
    }
}

/// Looks from wherever it is, a thousand times, and then lets others run, or sleeps.
fn roamer(at: usize) {
    let Some(shared) = SHARED.get() else { return };
    while !WATCH.is_over() {
        (0..100).for_each(|_| look(shared, at));
        threads::yield_now();
        (0..100).for_each(|_| look(shared, at));
        threads::sleep_until(threads::now().wrapping_add(1));
    }
}

/// Looks at the first page several times, and at one of the others.
fn look(shared: &Shared, at: usize) {
    for page in 0..WIDE {
        (0..3).for_each(|_| WATCH.look(shared.platform, 0, &COUNTS[at]));
        WATCH.look(shared.platform, page, &COUNTS[at]);
    }
}

/// Takes frames and gives them back, a few times a tick.
fn dealer(_: usize) {
    let Some(shared) = SHARED.get() else { return };
    while !WATCH.is_over() {
        for order in (0..4).cycle().take(64) {
            let mut memory = shared.memory.lock();
            let end = memory.window.frames().end();
            match memory.take(order, end) {
                Ok(frames) => {
                    drop(memory);
                    DEALT.fetch_add(1, Ordering::Relaxed);
                    shared.memory.lock().put(frames);
                }
                Err(_) => _ = REFUSED.fetch_add(1, Ordering::Relaxed),
            }
        }
        threads::sleep_until(threads::now().wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, USUALLY, Wish};
    use crate::threads::CPUS;

    #[test]
    fn what_is_asked_for_has_bounds() {
        assert_eq!(Wish::new(None, None), Ok(Wish { seconds: USUALLY, cpus: CPUS }));
        assert_eq!(Wish::new(Some(3), Some(2)), Ok(Wish { seconds: 3, cpus: 2 }));
        assert!(Wish::new(Some(0), None).is_err() && Wish::new(Some(LONGEST + 1), None).is_err());
        assert!(Wish::new(None, Some(0)).is_err() && Wish::new(None, Some(1)).is_err());
    }
}
