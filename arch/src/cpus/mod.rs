//! The CPUs: which there are, what each is doing, and how one asks something of the others.
//!
//! The CPU that booted has the number 0 and starts the others ([`start`]), all at once. Each then [waits](wait()) for threads to
//! run. What one CPU asks of another it notes in that CPU's [`Cpu::requests`], and interrupts it ([`request`]): to forget
//! translations ([`shootdown`]), to leave an address space ([`space`]), to stand still while the mode changes ([`park`]), or to do what all others do ([`work`]). A CPU that panics stops all others
//! ([`stop`]).
//!
//! # Who waits for whom
//!
//! A CPU that asks waits until all have answered, for a limited time ([`wait`]), and serves meanwhile what is asked of itself. The others answer in an
//! interrupt; so nobody may wait with interrupts off for what another CPU holds while it asks. The kernel keeps to this: locks
//! that are held while translations are forgotten (physical memory, the tables) are taken with interrupts on.

pub mod park;
pub mod shootdown;
pub mod space;
pub mod start;
pub mod stop;
mod wait;
pub mod work;

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use crate::percpu::{self, MAX};
use crate::{apic, interrupts, preempt, vectors};

/// What can be asked.
mod ask {
    /// To forget what the [shootdown](super::shootdown) under way names.
    pub const FLUSH: u32 = 1 << 0;
    /// To stand still.
    pub const PARK: u32 = 1 << 1;
    /// To leave an [address space](super::space) that is to be given back.
    pub const LEAVE: u32 = 1 << 2;
    /// To take part in a [cross-call](super::work).
    pub const CALL: u32 = 1 << 3;
}

/// What a CPU is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// There is none of this number.
    Absent = 0,
    /// It has taken its number and is not ready yet.
    Starting,
    /// It does not have what the page tables rely on, and was left out.
    Unfit,
    /// It runs.
    Online,
    /// It stands still while another changes the mode.
    Parked,
    /// It was stopped for good.
    Stopped,
}

impl State {
    const ALL: [Self; 6] = [Self::Absent, Self::Starting, Self::Unfit, Self::Online, Self::Parked, Self::Stopped];
}

/// What is known of a CPU.
struct Cpu {
    /// Its APIC's number.
    apic: AtomicU32,
    state: AtomicU8,
    /// What is asked of it, and not yet answered.
    requests: AtomicU32,
    /// It [waits](wait) and has promised to forget what is [stale](Self::stale) before it goes on ([`awake`]).
    idle: AtomicBool,
    /// It has something to forget.
    stale: AtomicBool,
    /// How many requests it has answered.
    answers: AtomicU32,
}

impl Cpu {
    const fn absent() -> Self {
        Self {
            apic: AtomicU32::new(0),
            state: AtomicU8::new(State::Absent as u8),
            requests: AtomicU32::new(0),
            idle: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            answers: AtomicU32::new(0),
        }
    }

    fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire)) % State::ALL.len()]
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }
}

static CPUS: [Cpu; MAX] = [const { Cpu::absent() }; MAX];

/// One more than the highest number that was ever taken.
static END: AtomicUsize = AtomicUsize::new(1);

/// What is known of a CPU, to be told.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its number; 0 is the one that booted.
    pub index: usize,
    /// Its APIC's number; 0 where no APIC is open.
    pub apic: u32,
    /// What it is doing.
    pub state: State,
    /// How many requests of other CPUs it has answered.
    pub answers: u32,
}

/// Every CPU that has a number, in their order.
pub fn all() -> impl Iterator<Item = Known> {
    let known = |(index, cpu): (usize, &Cpu)| Known {
        index,
        apic: cpu.apic.load(Ordering::Relaxed),
        // The first needs no one to say so.
        state: if index == 0 && cpu.state() == State::Absent { State::Online } else { cpu.state() },
        answers: cpu.answers.load(Ordering::Relaxed),
    };
    CPUS[..END.load(Ordering::Acquire)].iter().enumerate().map(known)
}

/// How many CPUs run.
pub fn count() -> usize {
    all().filter(|cpu| cpu.state == State::Online).count()
}

/// The CPUs that run beside this one.
fn others() -> impl Iterator<Item = (usize, &'static Cpu)> {
    let own = percpu::index();
    let cpus = CPUS[..END.load(Ordering::Acquire)].iter().enumerate();
    cpus.filter(move |(index, cpu)| *index != own && cpu.state() == State::Online)
}

/// Asks `what` of `cpu`, and interrupts it.
fn request(cpu: &Cpu, what: u32) {
    cpu.requests.fetch_or(what, Ordering::SeqCst);
    apic::send(cpu.apic.load(Ordering::Relaxed), vectors::REQUEST);
}

/// The interrupt by which something is asked of this CPU.
pub(crate) fn interrupt() {
    apic::acknowledge();
    serve(true);
    preempt::leave();
}

/// Does what is asked of this CPU. It stands still only where it `may`.
fn serve(may_park: bool) {
    let cpu = &CPUS[percpu::index()];
    let left = if may_park { 0 } else { ask::PARK };
    let asked = cpu.requests.fetch_and(left, Ordering::SeqCst) & !left;
    if asked & ask::FLUSH != 0 {
        shootdown::answer();
        cpu.answers.fetch_add(1, Ordering::Relaxed);
    }
    if asked & ask::LEAVE != 0 {
        space::leave();
        cpu.answers.fetch_add(1, Ordering::Relaxed);
    }
    if asked & ask::CALL != 0 {
        cpu.answers.fetch_add(1, Ordering::Relaxed);
        // A CPU without a thread for it takes the call when it idles.
        interrupts::without(|| _ = preempt::call());
    }
    if asked & ask::PARK != 0 {
        cpu.answers.fetch_add(1, Ordering::Relaxed);
        park::stand(cpu);
    }
}

/// Has the CPU number `index` look what there is for it to run.
pub fn kick(index: usize) {
    if let Some(cpu) = CPUS.get(index).filter(|cpu| cpu.state() == State::Online) {
        request(cpu, 0);
    }
}

/// Idle loop of a CPU that takes no part in threads.
pub fn idle() -> ! {
    interrupts::disable();
    loop {
        // SAFETY: the IDT is loaded, and nothing is locked here.
        unsafe { wait() };
    }
}

/// With interrupts off: waits for one. A [cross-call](work) that this CPU is wanted for goes to its thread for that, and is served here
/// if there is none. They are off again then.
///
/// # Safety
/// The IDT must be loaded, and nothing that a handler needs may be locked here.
pub unsafe fn wait() {
    CPUS[percpu::index()].idle.store(true, Ordering::SeqCst);
    // SAFETY: the caller's promise.
    unsafe { interrupts::take_one_unless(work::is_there) };
    awake();
    if work::is_there() && !preempt::call() {
        // SAFETY: as above.
        unsafe { interrupts::enable() };
        work::take();
        interrupts::disable();
    }
}

/// Ends the wait of this CPU: what it has promised to forget it forgets. To be called before it does anything but answer
/// interrupts. In the order of memory the forgetting comes after the promise is taken back, and whoever has something to be
/// forgotten looks at the promise after saying so: one of the two sees the other.
pub fn awake() {
    let cpu = &CPUS[percpu::index()];
    cpu.idle.store(false, Ordering::SeqCst);
    if cpu.stale.swap(false, Ordering::SeqCst) {
        crate::tlb::flush_all();
    }
}
