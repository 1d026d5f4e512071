//! The scheduler: CPUs that run threads, and threads that want to run.

use core::ops::Range;

use crate::queue::{Queue, Taken};
use crate::report::{Report, State};
use crate::sleepers::Sleepers;
use crate::sync::{
    AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Class, Mutex, Ordering, const_unless_loom, each, fence,
};
use crate::thread::{NONE, Priority, Slot, ThreadId, life};
use crate::{MOST_THREADS, SLICE};

/// What becomes of a thread that leaves its CPU, as a number beside its own.
mod left {
    pub const YIELD: u32 = 1;
    pub const BLOCK: u32 = 2;
    pub const EXIT: u32 = 3;
    /// Where that number stands.
    pub const SHIFT: u32 = 16;
}

/// A change of threads that was decided: the CPU saves its context as that of `from`, goes on with that of `to`, and
/// [arrives](Scheduler::arrive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the CPU counts as running the other thread already"]
pub struct Switch {
    /// Who ran.
    pub from: ThreadId,
    /// Who runs now.
    pub to: ThreadId,
}

/// What came of [`Scheduler::block`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a thread that has blocked must leave its CPU"]
pub enum Blocked {
    /// The thread waits to be woken, and another one runs meanwhile.
    Switch(Switch),
    /// It was woken before.
    Awake,
    /// No other thread can run, nor is there an idle one: the thread has to wait on its CPU, and to try again.
    Alone,
}

/// A CPU. But for the queue, the sleepers and `again` only it writes what is here; the others look at it to decide whom to tell
/// of a thread that is ready, and are right or not.
struct Cpu {
    queue: Mutex<Queue>,
    sleepers: Mutex<Sleepers>,
    /// How many in the queue may be taken by other CPUs, for those that do not have its lock.
    movable: AtomicU32,
    /// The slots of the thread that runs, and of the one for when there is no other, if there is one.
    current: AtomicU16,
    idle: AtomicU16,
    /// Whether they are the same.
    idling: AtomicBool,
    /// Who was left by the present thread, and why; 0 when it is settled.
    left: AtomicU32,
    /// How much of the slice is left, in ticks, and whether nobody may cut it short.
    slice: AtomicU32,
    uncut: AtomicBool,
    /// Whether another thread should be looked for.
    again: AtomicBool,
}

impl Cpu {
    const_unless_loom! {
        fn new() -> Self {
            Self {
                queue: Mutex::new(Class::Queue, Queue::new()),
                sleepers: Mutex::new(Class::Sleepers, Sleepers::new()),
                movable: AtomicU32::new(0),
                current: AtomicU16::new(NONE),
                idle: AtomicU16::new(NONE),
                idling: AtomicBool::new(false),
                left: AtomicU32::new(0),
                slice: AtomicU32::new(SLICE),
                uncut: AtomicBool::new(false),
                again: AtomicBool::new(false),
            }
        }
    }
}

/// The slots that no thread has: those that were given back, and those that were never given out.
struct Free {
    first: u16,
    fresh: u16,
}

/// Threads, and the CPUs that run them.
pub struct Scheduler<const THREADS: usize, const CPUS: usize> {
    slots: [Slot; THREADS],
    cpus: [Cpu; CPUS],
    free: Mutex<Free>,
    clock: AtomicU32,
    /// How many CPUs have nothing to do.
    idle_cpus: AtomicU32,
    /// Interrupts another CPU, so that it looks at its queue.
    kick: fn(usize),
}

impl<const THREADS: usize, const CPUS: usize> Scheduler<THREADS, CPUS> {
    const_unless_loom! {
        /// A scheduler without threads. `kick` interrupts the CPU of that number, which is another than the caller's.
        pub fn new(kick: fn(usize)) -> Self {
            assert!(THREADS <= MOST_THREADS && CPUS < NONE as usize);
            Self {
                slots: each!(Slot::new()),
                cpus: each!(Cpu::new()),
                free: Mutex::new(Class::Slots, Free { first: NONE, fresh: 0 }),
                clock: AtomicU32::new(0),
                idle_cpus: AtomicU32::new(0),
                kick,
            }
        }
    }

    /// How many threads there can be.
    pub const fn capacity(&self) -> usize {
        THREADS
    }

    /// The clock, in ticks since the start. It wraps.
    pub fn now(&self) -> u32 {
        self.clock.load(Ordering::Relaxed)
    }

    /// The thread that runs on `cpu`, if that takes part.
    pub fn current(&self, cpu: usize) -> Option<ThreadId> {
        let index = self.cpus.get(cpu)?.current.load(Ordering::Relaxed);
        self.slots.get(usize::from(index)).map(|slot| slot.id(index))
    }

    /// What is known of the thread in the slot number `index`, if there is one. It may have changed when this returns.
    pub fn report(&self, index: usize) -> Option<Report> {
        let slot = self.slots.get(index)?;
        let word = slot.word.get();
        let home = usize::from(slot.home.load(Ordering::Relaxed));
        let idle = self.cpus.get(home).is_some_and(|cpu| usize::from(cpu.idle.load(Ordering::Relaxed)) == index);
        let state = match word.life() {
            life::READY => State::Ready,
            // An idle thread is in no queue, and is always ready.
            life::RUNNING if idle && self.cpus[home].current.load(Ordering::Relaxed) != index as u16 => State::Ready,
            life::RUNNING => State::Running,
            life::BLOCKED if slot.alarmed.load(Ordering::Relaxed) => State::Sleeping,
            life::BLOCKED => State::Blocked,
            life::ENDED => State::Ended,
            _ => return None,
        };
        Some(Report {
            id: ThreadId::new(index as u16, word.generation()),
            name: slot.name.try_with(|name| *name).unwrap_or("?"),
            state,
            priority: slot.priority(),
            cpu: home,
            pinned: slot.pinned().is_some(),
            idle,
            used: slot.used.load(Ordering::Relaxed),
            stack: slot.stack[0].load(Ordering::Relaxed)..slot.stack[1].load(Ordering::Relaxed),
            context: slot.context.load(Ordering::Relaxed),
        })
    }

    /// Whether the thread has ended and left its stack. A thread whose slot is another's by now has.
    pub fn has_ended(&self, id: ThreadId) -> bool {
        let word = self.slots[id.index()].word.get();
        word.generation() != id.generation() || matches!(word.life(), life::ENDED | life::FREE)
    }

    /// Where the context of `id` is kept while it does not run.
    pub fn context(&self, id: ThreadId) -> &AtomicUsize {
        &self.slots[id.index()].context
    }

    /// Makes a thread that does not run yet, on `cpu` only if that is given. `None` if there are as many as there can be.
    pub fn create(&self, name: &'static str, priority: Priority, cpu: Option<usize>) -> Option<ThreadId> {
        let index = self.free.with(|free| {
            if free.first != NONE {
                let index = free.first;
                free.first = self.slots[usize::from(index)].next.load(Ordering::Relaxed);
                return Some(index);
            }
            let index = Some(free.fresh).filter(|fresh| usize::from(*fresh) < THREADS)?;
            free.fresh += 1;
            Some(index)
        })?;
        let slot = &self.slots[usize::from(index)];
        slot.name.with(|there| *there = name);
        slot.priority.store(priority as u8, Ordering::Relaxed);
        let cpu = cpu.map_or(NONE, |cpu| cpu as u16);
        slot.pinned.store(cpu, Ordering::Relaxed);
        slot.home.store(cpu, Ordering::Relaxed);
        slot.used.store(0, Ordering::Relaxed);
        slot.joiner.store(0, Ordering::Relaxed);
        self.set_stack(ThreadId::new(index, 0), 0..0);
        // Nobody else changes the word of a free slot.
        let _ = slot.word.change(|word| Some(word.next_generation()));
        Some(slot.id(index))
    }

    /// Says where the stack of a new thread lies.
    pub fn set_stack(&self, id: ThreadId, stack: Range<usize>) {
        let slot = &self.slots[id.index()];
        slot.stack[0].store(stack.start, Ordering::Relaxed);
        slot.stack[1].store(stack.end, Ordering::Relaxed);
    }

    /// Drops a thread that was made and never started, or that has ended. Tells whether it was one.
    pub fn drop_thread(&self, id: ThreadId) -> bool {
        let slot = &self.slots[id.index()];
        let dropped = slot.word.change(|word| {
            let over = word.generation() == id.generation() && matches!(word.life(), life::NEW | life::ENDED);
            over.then(|| word.with_life(life::FREE).with_wake(false))
        });
        if dropped.is_ok() {
            self.free.with(|free| {
                slot.next.store(free.first, Ordering::Relaxed);
                free.first = id.index() as u16;
            });
        }
        dropped.is_ok()
    }

    /// Makes the code that runs on `cpu` the thread `id`, a new one.
    pub fn adopt(&self, cpu: usize, id: ThreadId) {
        let slot = &self.slots[id.index()];
        slot.home.store(cpu as u16, Ordering::Relaxed);
        let _ = slot.word.change(|word| Some(word.with_life(life::RUNNING)));
        self.cpus[cpu].current.store(id.index() as u16, Ordering::Relaxed);
    }

    /// Has `cpu` run the thread `id`, a new one or the one that it runs, when there is no other, and lets it take part from here
    /// on.
    pub fn set_idle(&self, cpu: usize, id: ThreadId) {
        let (slot, this) = (&self.slots[id.index()], &self.cpus[cpu]);
        slot.home.store(cpu as u16, Ordering::Relaxed);
        slot.pinned.store(cpu as u16, Ordering::Relaxed);
        let _ = slot.word.change(|word| Some(word.with_life(life::RUNNING)));
        if usize::from(this.current.load(Ordering::Relaxed)) == id.index() {
            this.idling.store(true, Ordering::Relaxed);
            self.idle_cpus.fetch_add(1, Ordering::Relaxed);
        }
        this.idle.store(id.index() as u16, Ordering::Release);
    }

    /// Whether `cpu` takes part.
    pub fn takes_part(&self, cpu: usize) -> bool {
        self.cpus.get(cpu).is_some_and(|cpu| cpu.idle.load(Ordering::Acquire) != NONE)
    }

    /// Has the new thread `id` run, where it is pinned to, or else where least is waiting.
    pub fn start(&self, cpu: usize, id: ThreadId) {
        let slot = &self.slots[id.index()];
        if slot.pinned().is_none() {
            let load = |cpu: &usize| {
                let cpu = &self.cpus[*cpu];
                cpu.movable.load(Ordering::Relaxed) + u32::from(!cpu.idling.load(Ordering::Relaxed))
            };
            // This CPU, if no other has less to do.
            let others = (0..CPUS).filter(|other| *other != cpu && self.takes_part(*other));
            let home = others.filter(|other| load(other) < load(&cpu)).min_by_key(load).unwrap_or(cpu);
            slot.home.store(home as u16, Ordering::Relaxed);
        }
        if slot.word.change(|word| (word.life() == life::NEW).then(|| word.with_life(life::READY))).is_ok() {
            self.enqueue(cpu, id.index() as u16);
        }
    }

    /// Lets others run that are as important as the present thread or more, or have waited for too long.
    pub fn yield_now(&self, cpu: usize) -> Option<Switch> {
        self.depart(cpu, left::YIELD)
    }

    /// Has the present thread wait until it is [woken](Self::wake).
    pub fn block(&self, cpu: usize) -> Blocked {
        let current = usize::from(self.cpus[cpu].current.load(Ordering::Relaxed));
        if self.slots[current].word.change(|word| word.has_wake().then(|| word.with_wake(false))).is_ok() {
            return Blocked::Awake;
        }
        self.depart(cpu, left::BLOCK).map_or(Blocked::Alone, Blocked::Switch)
    }

    /// Ends the present thread. `None` if no other can run, nor is there an idle one.
    pub fn exit(&self, cpu: usize) -> Option<Switch> {
        self.depart(cpu, left::EXIT)
    }

    /// Settles what becomes of the thread that the present one was switched to from. Its context is saved, and this runs on the
    /// stack of the present one.
    pub fn arrive(&self, cpu: usize) {
        let was = self.cpus[cpu].left.load(Ordering::Relaxed);
        self.cpus[cpu].left.store(0, Ordering::Relaxed);
        let index = was as u16;
        let Some(slot) = self.slots.get(usize::from(index)).filter(|_| was != 0) else { return };
        if index == self.cpus[cpu].idle.load(Ordering::Relaxed) {
            return;
        }
        match was >> left::SHIFT {
            left::YIELD => {
                let _ = slot.word.change(|word| Some(word.with_life(life::READY)));
                self.enqueue(cpu, index);
            }
            left::BLOCK => {
                let settled = slot.word.change(|word| {
                    let life = if word.has_wake() { life::READY } else { life::BLOCKED };
                    Some(word.with_life(life).with_wake(false))
                });
                if settled.is_ok_and(|word| word.has_wake()) {
                    self.enqueue(cpu, index);
                }
            }
            _ => {
                let _ = slot.word.change(|word| Some(word.with_life(life::ENDED)));
                if let Some(joiner) = slot.end_join() {
                    self.wake(cpu, joiner);
                }
            }
        }
    }

    /// Has the thread `id` go on, or if it has not blocked yet, not wait when it does. Tells whether there is such a thread.
    pub fn wake(&self, cpu: usize, id: ThreadId) -> bool {
        let woken = self.slots[id.index()].word.change(|word| match word.life() {
            _ if word.generation() != id.generation() => None,
            life::BLOCKED => Some(word.with_life(life::READY)),
            life::READY | life::RUNNING => Some(word.with_wake(true)),
            _ => None,
        });
        if woken.is_ok_and(|word| word.life() == life::BLOCKED) {
            self.enqueue(cpu, id.index() as u16);
        }
        woken.is_ok()
    }

    /// Has the end of `id` wake the present thread. `false` if it has ended already, or if another thread waits for that: nobody
    /// will be woken then.
    pub fn join(&self, cpu: usize, id: ThreadId) -> bool {
        let Some(whom) = self.current(cpu) else { return false };
        let slot = &self.slots[id.index()];
        slot.word.get().generation() == id.generation() && slot.join(whom).is_ok()
    }

    /// Has the tick `deadline` wake the present thread. It is on this CPU's list from here on, wherever it goes, until
    /// [`forget`](Self::forget) takes it off, and can be on one list only.
    pub fn wake_at(&self, cpu: usize, deadline: u32) {
        let this = &self.cpus[cpu];
        let current = this.current.load(Ordering::Relaxed);
        this.sleepers.with(|sleepers| sleepers.add(&self.slots, current, deadline));
    }

    /// Takes the thread `id` off the list of `cpu`, if it is still on it: no tick will wake it any more.
    pub fn forget(&self, cpu: usize, id: ThreadId) {
        self.cpus[cpu].sleepers.with(|sleepers| sleepers.remove(&self.slots, id.index() as u16));
    }

    /// A tick of this CPU's timer; the first CPU's moves the clock. Wakes who is to be woken, and tells whether another thread
    /// should be [looked for](Self::yield_now).
    pub fn tick(&self, cpu: usize) -> bool {
        if cpu == 0 {
            self.clock.fetch_add(1, Ordering::Relaxed);
        }
        let (now, this) = (self.now(), &self.cpus[cpu]);
        let Some(slot) = self.slots.get(usize::from(this.current.load(Ordering::Relaxed))) else { return false };
        slot.used.fetch_add(1, Ordering::Relaxed);
        // Woken while the list is locked, so that nobody is woken after he was taken off it.
        this.sleepers.with(|sleepers| {
            while let Some(index) = sleepers.due(&self.slots, now) {
                self.wake(cpu, self.slots[usize::from(index)].id(index));
            }
        });
        let slice = this.slice.load(Ordering::Relaxed).saturating_sub(1);
        this.slice.store(slice, Ordering::Relaxed);
        if slice == 0 {
            this.uncut.store(false, Ordering::Relaxed);
            this.again.store(true, Ordering::Relaxed);
        }
        this.idling.load(Ordering::Relaxed) || this.again.load(Ordering::Relaxed)
    }

    /// Whether another thread should be looked for: the slice is over, or somebody more important is ready.
    pub fn wants_switch(&self, cpu: usize) -> bool {
        self.cpus[cpu].again.load(Ordering::Relaxed)
    }

    /// Decides who runs next if the present thread leaves.
    fn depart(&self, cpu: usize, how: u32) -> Option<Switch> {
        let this = &self.cpus[cpu];
        let (current, idle) = (this.current.load(Ordering::Relaxed), this.idle.load(Ordering::Relaxed));
        this.again.store(false, Ordering::Relaxed);
        let stays = how == left::YIELD && current != idle;
        let floor = if stays { self.slots[usize::from(current)].priority().level() } else { 0 };
        let now = self.now();
        let own = this.queue.with(|queue| {
            let taken = queue.pop(&self.slots, floor, now);
            this.movable.store(queue.movable, Ordering::Relaxed);
            taken
        });
        let other = || Some(Taken { index: self.steal(cpu)?, overdue: false });
        let taken = if stays { own } else { own.or_else(other) };
        this.slice.store(SLICE, Ordering::Relaxed);
        this.uncut.store(taken.is_some_and(|taken| taken.overdue), Ordering::Relaxed);
        let to = match taken {
            Some(Taken { index, .. }) => index,
            None if how == left::YIELD || idle == NONE => return None,
            None => idle,
        };
        self.settle_idling(cpu, to == idle);
        let slot = &self.slots[usize::from(to)];
        slot.home.store(cpu as u16, Ordering::Relaxed);
        let _ = slot.word.change(|word| Some(word.with_life(life::RUNNING)));
        this.left.store(how << left::SHIFT | u32::from(current), Ordering::Relaxed);
        this.current.store(to, Ordering::Relaxed);
        Some(Switch { from: self.slots[usize::from(current)].id(current), to: slot.id(to) })
    }

    fn settle_idling(&self, cpu: usize, idling: bool) {
        match (self.cpus[cpu].idling.load(Ordering::Relaxed), idling) {
            (false, true) => {
                self.cpus[cpu].idling.store(true, Ordering::Relaxed);
                self.idle_cpus.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                self.cpus[cpu].idling.store(false, Ordering::Relaxed);
                self.idle_cpus.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Takes a thread from the longest queue of the other CPUs.
    fn steal(&self, cpu: usize) -> Option<u16> {
        // Either this CPU sees what was put into a queue, or whoever put it there sees that this CPU idles (see `enqueue`).
        fence(Ordering::SeqCst);
        let length = |other: &usize| self.cpus[*other].movable.load(Ordering::Relaxed);
        let others = (0..CPUS).filter(|other| *other != cpu && length(other) > 0);
        let victim = &self.cpus[others.max_by_key(length)?];
        victim.queue.with(|queue| {
            let stolen = queue.steal(&self.slots);
            victim.movable.store(queue.movable, Ordering::Relaxed);
            stolen
        })
    }

    /// Puts a thread that is ready into a queue, and tells a CPU that should know.
    fn enqueue(&self, cpu: usize, index: u16) {
        let slot = &self.slots[usize::from(index)];
        let home = usize::from(slot.home.load(Ordering::Relaxed));
        let home = if self.takes_part(home) { home } else { cpu };
        let there = &self.cpus[home];
        let (pinned, level) = (slot.pinned().is_some(), slot.priority().level());
        // Behind the lock another CPU may have the thread, and whatever is in the slot then.
        there.queue.with(|queue| {
            queue.push(&self.slots, index, self.now());
            there.movable.store(queue.movable, Ordering::Relaxed);
        });
        fence(Ordering::SeqCst);
        let running = self.slots.get(usize::from(there.current.load(Ordering::Relaxed)));
        let outranks = running.is_none_or(|running| level > running.priority().level());
        if there.idling.load(Ordering::Relaxed) || outranks && !there.uncut.load(Ordering::Relaxed) {
            self.tell(cpu, home);
        } else if !pinned && self.idle_cpus.load(Ordering::Relaxed) > 0 {
            let mut others = (0..CPUS).filter(|other| *other != home);
            if let Some(other) = others.find(|other| self.cpus[*other].idling.load(Ordering::Relaxed)) {
                self.tell(cpu, other);
            }
        }
    }

    /// Has the CPU `whom` look for another thread.
    fn tell(&self, cpu: usize, whom: usize) {
        self.cpus[whom].again.store(true, Ordering::Relaxed);
        if whom != cpu {
            (self.kick)(whom);
        }
    }
}
