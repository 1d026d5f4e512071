//! Random programs on several simulated CPUs, held against a model that knows the rules and nothing of how they are kept.
//!
//! A CPU that has decided to leave a thread may take its time until it arrives at the next; the others go on meanwhile.

use std::cell::RefCell;

use sched::{Blocked, PACE, PATIENCE, Priority, SLICE, Scheduler, State, Switch, ThreadId, has_come};

const THREADS: usize = 14;
const CPUS: usize = 3;

thread_local! {
    /// The CPUs that were interrupted by others.
    static KICKED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Yield,
    Block,
    Exit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// In this CPU's queue since this tick, behind everybody who came before.
    Ready(usize, u32, u64),
    Running(usize),
    /// Decided, and still on its stack.
    Leaving(usize, Why),
    Blocked,
    Ended,
}

#[derive(Clone, Debug)]
struct Thread {
    id: ThreadId,
    level: usize,
    pinned: Option<usize>,
    home: usize,
    life: Life,
    /// A wake that is kept.
    wake: bool,
    /// On this CPU's list for this tick, behind everybody who came before.
    alarm: Option<(usize, u32, u64)>,
    joiner: Option<ThreadId>,
}

struct Cpu {
    idle: ThreadId,
    current: ThreadId,
    /// The switch that was decided and not made.
    pending: Option<Switch>,
    lenient: u32,
}

struct Program {
    sched: Box<Scheduler<THREADS, CPUS>>,
    cpus: Vec<Cpu>,
    threads: Vec<Thread>,
    /// How many were put into a queue or on a list so far.
    order: u64,
    seed: u64,
    /// How often what happened.
    counts: [u32; 6],
}

const STOLEN: usize = 0;
const OVERDUE: usize = 1;
const KEPT: usize = 2;
const SLEPT: usize = 3;
const JOINED: usize = 4;
const OUT_OF_SLOTS: usize = 5;

impl Program {
    fn new(seed: u64) -> Self {
        KICKED.take();
        let sched = Box::new(Scheduler::new(|cpu| KICKED.with_borrow_mut(|kicked| kicked.push(cpu))));
        let cpus = (0..CPUS).map(|cpu| {
            let idle =
                Scheduler::<THREADS, CPUS>::create(&sched, "idle", Priority::Low, Some(cpu)).expect("there is room");
            sched.adopt(cpu, idle);
            sched.set_idle(cpu, idle);
            Cpu { idle, current: idle, pending: None, lenient: 0 }
        });
        let cpus = cpus.collect();
        Self { sched, cpus, threads: Vec::new(), order: 0, seed, counts: [0; 6] }
    }

    fn random(&mut self, below: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        (self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }

    fn thread(&mut self, id: ThreadId) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.id == id)
    }

    /// Whoever of the queue of `cpu` would go first at `floor`, by the rules.
    fn first(&self, cpu: usize, floor: usize) -> Option<(ThreadId, bool)> {
        let now = self.sched.now();
        let ready = self.threads.iter().filter_map(|thread| match thread.life {
            Life::Ready(at, since, order) if at == cpu => Some((thread.id, thread.level, since, order)),
            _ => None,
        });
        let ready: Vec<_> = ready.collect();
        let highest = ready.iter().map(|(_, level, ..)| *level).max()?;
        let late = ready.iter().filter(|(_, _, since, _)| now - since >= PATIENCE);
        // Who came first has waited longest; within a tick, the more important.
        let late = late.min_by_key(|(_, level, since, order)| (*since, Priority::COUNT - level, *order));
        let late = late.filter(|_| has_come(self.cpus[cpu].lenient, now));
        if let Some((id, level, ..)) = late {
            return Some((*id, *level < highest.max(floor)));
        }
        let best = ready.iter().filter(|(_, level, ..)| *level == highest && highest >= floor);
        best.min_by_key(|(.., order)| *order).map(|(id, ..)| (*id, false))
    }

    fn movable(&self, cpu: usize) -> Vec<&Thread> {
        let there =
            |thread: &&Thread| matches!(thread.life, Life::Ready(at, ..) if at == cpu) && thread.pinned.is_none();
        self.threads.iter().filter(there).collect()
    }

    /// Checks a decision, and notes it.
    fn decided(&mut self, cpu: usize, why: Why, switch: Option<Switch>) {
        let (current, idle) = (self.cpus[cpu].current, self.cpus[cpu].idle);
        let stays = why == Why::Yield && current != idle;
        let level = self.thread(current).map_or(0, |thread| thread.level);
        let own = self.first(cpu, if stays { level } else { 0 });
        let longest = (0..CPUS).filter(|other| *other != cpu).map(|other| self.movable(other).len()).max().unwrap_or(0);
        let Some(switch) = switch else {
            assert_eq!(own, None, "somebody is ready");
            assert!(stays || current == idle && longest == 0, "there is something to take");
            return;
        };
        assert_eq!(switch.from, current);
        match own {
            Some((first, overdue)) => {
                assert_eq!(switch.to, first);
                if overdue {
                    self.counts[OVERDUE] += 1;
                    self.cpus[cpu].lenient = self.sched.now() + PACE;
                }
            }
            None if longest > 0 => {
                assert!(!stays);
                let taken = self.thread(switch.to).expect("a thread").clone();
                let Life::Ready(from, _, order) = taken.life else { panic!("{taken:?} was taken") };
                assert!(from != cpu && taken.pinned.is_none(), "{taken:?}");
                let there = self.movable(from);
                assert_eq!(there.len(), longest, "not the longest queue");
                let better = |thread: &&&Thread| match thread.life {
                    Life::Ready(_, _, other) => {
                        thread.level > taken.level || thread.level == taken.level && other < order
                    }
                    _ => false,
                };
                assert_eq!(there.iter().find(better).map(|thread| thread.id), None);
                self.counts[STOLEN] += 1;
            }
            None => assert_eq!((switch.to, why == Why::Yield), (idle, false)),
        }
        for other in (0..CPUS).filter(|other| *other != cpu) {
            assert_ne!(self.cpus[other].current, switch.to, "on two CPUs");
        }
        if let Some(thread) = self.thread(switch.from) {
            thread.life = Life::Leaving(cpu, why);
        }
        if let Some(thread) = self.thread(switch.to) {
            assert!(matches!(thread.life, Life::Ready(..)), "{thread:?} runs");
            (thread.life, thread.home) = (Life::Running(cpu), cpu);
        }
        self.cpus[cpu].current = switch.to;
        self.cpus[cpu].pending = Some(switch);
    }

    fn ready(&mut self, id: ThreadId) {
        let (order, now) = (self.order, self.sched.now());
        self.order += 1;
        let thread = self.thread(id).expect("a thread");
        thread.life = Life::Ready(thread.pinned.unwrap_or(thread.home), now, order);
    }

    /// What the model makes of a wake.
    fn woken(&mut self, id: ThreadId) -> bool {
        let Some(thread) = self.thread(id) else { return false };
        match thread.life {
            Life::Ended => return false,
            Life::Blocked => self.ready(id),
            _ => {
                thread.wake = true;
                self.counts[KEPT] += 1;
            }
        }
        true
    }

    fn arrive(&mut self, cpu: usize) {
        let Some(switch) = self.cpus[cpu].pending.take() else { return };
        self.sched.arrive(cpu);
        let Some(thread) = self.thread(switch.from) else { return };
        let Life::Leaving(_, why) = thread.life else { panic!("{thread:?}") };
        match why {
            Why::Yield => self.ready(switch.from),
            Why::Block if thread.wake => {
                thread.wake = false;
                self.ready(switch.from);
            }
            Why::Block => thread.life = Life::Blocked,
            Why::Exit => {
                thread.life = Life::Ended;
                if let Some(joiner) = thread.joiner.take() {
                    self.counts[JOINED] += 1;
                    self.woken(joiner);
                }
            }
        }
    }

    fn yield_now(&mut self, cpu: usize) {
        let switch = self.sched.yield_now(cpu);
        self.decided(cpu, Why::Yield, switch);
    }

    fn tick(&mut self, cpu: usize) {
        let leave = self.sched.tick(cpu);
        let now = self.sched.now();
        let mut due: Vec<_> = self
            .threads
            .iter()
            .filter_map(|thread| {
                let (at, deadline, order) = thread.alarm?;
                (at == cpu && deadline <= now).then_some((deadline, order, thread.id))
            })
            .collect();
        due.sort_by_key(|(deadline, order, _)| (*deadline, *order));
        for (.., id) in due {
            self.counts[SLEPT] += 1;
            self.thread(id).expect("a thread").alarm = None;
            self.woken(id);
        }
        if leave {
            self.yield_now(cpu);
        }
    }

    /// One step of the thread that runs on `cpu`, or of an interrupt there.
    fn step(&mut self, cpu: usize) {
        if self.cpus[cpu].pending.is_some() {
            if self.random(2) == 0 {
                self.arrive(cpu);
            }
            return;
        }
        let current = self.cpus[cpu].current;
        let runs = current != self.cpus[cpu].idle;
        if runs && let Some((list, ..)) = self.thread(current).and_then(|thread| thread.alarm) {
            // It was woken before its tick.
            if self.random(2) == 0 {
                self.sched.forget(list, current);
                self.thread(current).expect("it runs").alarm = None;
            }
            return self.tick(cpu);
        }
        match self.random(16) {
            0..6 => self.tick(cpu),
            6 | 7 => self.yield_now(cpu),
            8 | 9 if !self.threads.is_empty() => {
                let whom = self.random(self.threads.len());
                let id = self.threads[whom].id;
                let woken = self.sched.wake(cpu, id);
                assert_eq!(woken, self.woken(id));
            }
            10 => self.spawn(cpu),
            11 | 12 if runs => {
                if self.random(2) == 0 {
                    let deadline = self.sched.now() + self.random(60) as u32;
                    self.sched.wake_at(cpu, deadline);
                    let order = self.order;
                    self.order += 1;
                    self.thread(current).expect("it runs").alarm = Some((cpu, deadline, order));
                }
                self.block(cpu);
            }
            13 if runs && self.random(3) == 0 => {
                let switch = self.sched.exit(cpu);
                self.decided(cpu, Why::Exit, switch);
            }
            14 if runs => self.join(cpu),
            _ => self.reap(),
        }
    }

    fn block(&mut self, cpu: usize) {
        let current = self.cpus[cpu].current;
        let thread = self.thread(current).expect("it runs");
        let kept = core::mem::take(&mut thread.wake);
        match self.sched.block(cpu) {
            Blocked::Awake => assert!(kept),
            Blocked::Switch(switch) => {
                assert!(!kept, "a wake was lost");
                self.decided(cpu, Why::Block, Some(switch));
            }
            Blocked::Alone => panic!("there is an idle thread"),
        }
    }

    fn spawn(&mut self, cpu: usize) {
        let priority = Priority::ALL[self.random(Priority::COUNT)];
        let pinned = Some(self.random(2 * CPUS)).filter(|cpu| *cpu < CPUS);
        let Some(id) = self.sched.create("one", priority, pinned) else {
            assert_eq!(self.threads.len() + CPUS, THREADS);
            self.counts[OUT_OF_SLOTS] += 1;
            return;
        };
        assert!(self.threads.iter().all(|thread| thread.id.index() != id.index()), "the slot is taken");
        self.sched.start(cpu, id);
        // Where it is put is not the model's to know: any CPU that it may run on.
        let home = pinned.unwrap_or_else(|| self.sched.report(id.index()).expect("a thread").cpu);
        let level = Priority::ALL.iter().position(|level| *level == priority).expect("one of them");
        let life = Life::Blocked;
        self.threads.push(Thread { id, level, pinned, home, life, wake: false, alarm: None, joiner: None });
        self.ready(id);
    }

    fn join(&mut self, cpu: usize) {
        let whom = self.random(self.threads.len());
        let (current, target) = (self.cpus[cpu].current, self.threads[whom].clone());
        if target.id == current {
            return;
        }
        let may = target.life != Life::Ended && target.joiner.is_none();
        assert_eq!(self.sched.join(cpu, target.id), may);
        assert_eq!(self.sched.has_ended(target.id), target.life == Life::Ended);
        if may {
            self.threads[whom].joiner = Some(current);
            self.block(cpu);
        }
    }

    fn reap(&mut self) {
        if let Some(at) = self.threads.iter().position(|thread| thread.life == Life::Ended) {
            let thread = self.threads.swap_remove(at);
            assert!(self.sched.drop_thread(thread.id) && !self.sched.drop_thread(thread.id));
            // An alarm of a thread that is gone would be another's.
            assert_eq!(thread.alarm, None);
        } else if let Some(thread) = self.threads.first() {
            assert!(!self.sched.drop_thread(thread.id));
        }
    }

    /// Every thread is where the model says, and whoever should be told of one was.
    fn check(&mut self) {
        for thread in &self.threads {
            let report = self.sched.report(thread.id.index()).expect("a thread");
            let state = match thread.life {
                Life::Ready(..) => State::Ready,
                Life::Running(_) | Life::Leaving(..) => State::Running,
                Life::Blocked if thread.alarm.is_some() => State::Sleeping,
                Life::Blocked => State::Blocked,
                Life::Ended => State::Ended,
            };
            assert_eq!((report.id, report.state), (thread.id, state), "{thread:?}");
            if let Life::Ready(at, ..) = thread.life {
                let busy = self.cpus[at].current != self.cpus[at].idle;
                assert!(busy || self.sched.wants_switch(at), "CPU {at} sleeps over {thread:?}");
            }
        }
        for (at, cpu) in self.cpus.iter().enumerate() {
            assert_eq!(self.sched.current(at), Some(cpu.current));
        }
    }
}

#[test]
fn no_thread_is_lost_or_runs_twice_and_the_rules_are_kept() {
    let mut counts = [0; 6];
    for seed in 1..=300u64 {
        let mut program = Program::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..3_000 {
            let cpu = program.random(CPUS);
            program.step(cpu);
            program.check();
        }
        // At the end everybody who is ready runs, whatever else is.
        let bound = PATIENCE + THREADS as u32 * (PACE + SLICE);
        for thread in 0..program.threads.len() {
            let id = program.threads[thread].id;
            program.woken_at_last(id);
        }
        for _ in 0..bound {
            for cpu in 0..CPUS {
                program.arrive(cpu);
                program.tick(cpu);
                program.check();
            }
            let now = program.sched.now();
            for thread in &program.threads {
                if let Life::Ready(_, since, _) = thread.life {
                    assert!(now - since <= bound + 300, "{thread:?} starves at {now}");
                }
            }
        }
        counts.iter_mut().zip(program.counts).for_each(|(sum, count)| *sum += count);
    }
    eprintln!("stolen, overdue, wakes kept, slept, joined, out of slots: {counts:?}");
    assert!(counts.iter().all(|count| *count > 300), "hardly tried: {counts:?}");
}

impl Program {
    fn woken_at_last(&mut self, id: ThreadId) {
        let woken = self.sched.wake(0, id);
        assert_eq!(woken, self.woken(id));
    }
}
