//! Several CPUs at once, in every order that the memory model allows: `just test-loom`.
//!
//! A stack is a cell that one CPU at a time may touch: loom ends the model if two do without one's seeing the other's end.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use sched::{Blocked, CrossCall, Decision, Priority, Scheduler, State, Switch, ThreadId};

/// Two CPUs, each with an idle thread, and room for three more.
struct Machine {
    sched: Scheduler<5, 2>,
    stacks: [UnsafeCell<()>; 5],
}

// SAFETY: loom itself sees to the cells.
unsafe impl Sync for Machine {}
// SAFETY: as above.
unsafe impl Send for Machine {}

impl Machine {
    /// Both CPUs idle.
    fn new() -> Self {
        let machine = Self { sched: Scheduler::new(|_| ()), stacks: core::array::from_fn(|_| UnsafeCell::new(())) };
        for cpu in 0..2 {
            let idle = machine.create("idle", Some(cpu));
            machine.sched.adopt(cpu, idle);
            machine.sched.set_idle(cpu, idle);
        }
        machine
    }

    fn create(&self, name: &'static str, cpu: Option<usize>) -> ThreadId {
        self.sched.create(name, Priority::Normal, cpu).expect("there is room")
    }

    /// A new thread that `cpu` runs from here on.
    fn run(&self, name: &'static str, cpu: usize) -> ThreadId {
        let id = self.create(name, None);
        self.sched.start(cpu, id);
        self.switch(cpu, self.sched.yield_now(cpu).expect("it is ready"));
        assert_eq!(self.sched.current(cpu), Some(id));
        id
    }

    /// Saves one context and loads the other, as a CPU does it: on either stack.
    fn switch(&self, cpu: usize, switch: Switch) {
        self.touch(switch.from);
        self.touch(switch.to);
        self.sched.arrive(cpu);
        self.touch(switch.to);
    }

    fn touch(&self, id: ThreadId) {
        self.stacks[id.index()].with_mut(|_| ());
    }

    fn yield_now(&self, cpu: usize) -> Option<Switch> {
        let switch = self.sched.yield_now(cpu);
        if let Some(switch) = switch {
            self.switch(cpu, switch);
        }
        switch
    }

    /// Tells whether the thread that runs on `cpu` waits now.
    fn block(&self, cpu: usize) -> bool {
        match self.sched.block(cpu) {
            Blocked::Switch(switch) => self.switch(cpu, switch),
            Blocked::Awake => return false,
            Blocked::Alone => unreachable!("there is an idle thread"),
        }
        true
    }

    fn state(&self, id: ThreadId) -> State {
        self.sched.report(id.index()).expect("a thread").state
    }
}

/// Runs `model` with as many changes of threads against their will as find every error that was ever planted here.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

const PREEMPTIONS: usize = 6;

/// Runs `first` as CPU 0 and `second` as CPU 1.
fn both(
    machine: Machine,
    first: impl FnOnce(&Machine),
    second: impl FnOnce(&Machine) + Send + 'static,
) -> Arc<Machine> {
    let machine = Arc::new(machine);
    let other = machine.clone();
    let cpu = thread::spawn(move || second(&other));
    first(&machine);
    cpu.join().expect("no panic");
    machine
}

#[test]
fn a_thread_is_taken_only_when_its_stack_was_left() {
    check(|| {
        let machine = Machine::new();
        let a = machine.run("a", 0);
        let b = machine.create("b", Some(0));
        machine.sched.start(0, b);
        let machine = both(
            machine,
            |machine| assert!(machine.yield_now(0).is_some()),
            |machine| {
                machine.yield_now(1);
            },
        );
        assert_eq!(machine.sched.current(0), Some(b));
        let taken = machine.sched.current(1) == Some(a);
        assert_eq!(machine.state(a), if taken { State::Running } else { State::Ready });
    });
}

#[test]
#[should_panic]
fn arriving_before_the_stack_is_left_is_noticed() {
    check(|| {
        let machine = Machine::new();
        machine.run("a", 0);
        let b = machine.create("b", Some(0));
        machine.sched.start(0, b);
        both(
            machine,
            |machine| {
                let switch = machine.sched.yield_now(0).expect("b is ready");
                machine.sched.arrive(0);
                machine.touch(switch.from);
            },
            |machine| {
                machine.yield_now(1);
            },
        );
    });
}

#[test]
fn one_of_two_cpus_gets_a_thread_that_is_ready() {
    check(|| {
        let machine = Machine::new();
        let a = machine.create("a", None);
        machine.sched.start(0, a);
        let machine = both(
            machine,
            |machine| {
                machine.yield_now(0);
            },
            |machine| {
                machine.yield_now(1);
            },
        );
        assert_eq!([0, 1].into_iter().filter(|cpu| machine.sched.current(*cpu) == Some(a)).count(), 1);
    });
}

#[test]
fn a_wake_is_not_lost_whenever_it_comes() {
    check(|| {
        let machine = Machine::new();
        let a = machine.run("a", 0);
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        let machine = both(
            machine,
            move |machine| {
                if !flag.load(Ordering::Acquire) {
                    machine.block(0);
                }
            },
            move |machine| {
                set.store(true, Ordering::Release);
                machine.sched.wake(1, a);
                machine.yield_now(1);
            },
        );
        // It runs on one of them, or is in the first one's queue and the first one knows.
        assert!(match machine.state(a) {
            State::Running => true,
            State::Ready => machine.sched.wants_switch(0),
            _ => false,
        });
    });
}

#[test]
fn two_wakes_put_a_thread_into_one_queue() {
    check(|| {
        let machine = Machine::new();
        let a = machine.run("a", 0);
        let machine = both(
            machine,
            move |machine| {
                if machine.block(0) {
                    machine.sched.wake(0, a);
                    machine.yield_now(0);
                }
            },
            move |machine| {
                machine.sched.wake(1, a);
                machine.yield_now(1);
            },
        );
        assert!([0, 1].into_iter().filter(|cpu| machine.sched.current(*cpu) == Some(a)).count() < 2);
        assert_ne!(machine.state(a), State::Blocked);
    });
}

#[test]
fn an_idle_cpu_is_told_of_a_thread_in_another_queue_or_sees_it() {
    check(|| {
        let machine = Machine::new();
        let busy = machine.run("busy", 0);
        machine.run("done", 1);
        let pinned = machine.create("pinned", Some(0));
        machine.sched.start(0, pinned);
        let machine = both(
            machine,
            |machine| {
                // What ran is ready then, in this CPU's queue.
                assert!(machine.yield_now(0).is_some());
            },
            |machine| {
                assert!(machine.block(1));
                machine.yield_now(1);
            },
        );
        assert_eq!(machine.sched.current(0), Some(pinned));
        assert!(machine.sched.current(1) == Some(busy) || machine.sched.wants_switch(1));
    });
}

#[test]
fn whoever_joins_sees_the_end_and_the_stack_left() {
    check(|| {
        let machine = Machine::new();
        let worker = machine.run("worker", 0);
        let joiner = machine.run("joiner", 1);
        let machine = both(
            machine,
            |machine| machine.switch(0, machine.sched.exit(0).expect("the idle thread")),
            move |machine| {
                let waits = machine.sched.join(1, worker);
                if waits && machine.block(1) {
                    return;
                }
                // It was not put to sleep, so this is the end, and the stack may be unmapped.
                assert!(machine.sched.has_ended(worker));
                machine.touch(worker);
                assert!(machine.sched.drop_thread(worker));
            },
        );
        assert!(machine.sched.has_ended(worker));
        assert_ne!(machine.state(joiner), State::Blocked);
    });
}

#[test]
fn nobody_is_woken_by_a_tick_that_was_taken_back() {
    check(|| {
        let machine = Machine::new();
        let a = machine.run("a", 0);
        machine.sched.wake_at(0, 1);
        machine.block(0);
        // Woken early, it has moved to the other CPU.
        machine.sched.wake(1, a);
        machine.yield_now(1);
        both(
            machine,
            |machine| {
                machine.sched.tick(0);
            },
            move |machine| {
                machine.sched.forget(0, a);
                // A wake by the tick has come by now or never comes.
                if !machine.block(1) {
                    assert!(machine.block(1));
                }
                machine.touch(machine.sched.current(1).expect("idle"));
            },
        );
    });
}

/// A call from CPU 0 to CPU 1, whose work is a cell that only the initiator touches before and after.
struct Call {
    call: CrossCall<2>,
    work: UnsafeCell<u32>,
}

// SAFETY: loom itself sees to the cell.
unsafe impl Sync for Call {}
// SAFETY: as above.
unsafe impl Send for Call {}

impl Call {
    /// CPU 1 looks once, and takes the call if it sees one.
    fn serve(&self) {
        if !self.call.take(1) {
            return;
        }
        let decision = loop {
            match self.call.decision() {
                Some(decision) => break decision,
                None => thread::yield_now(),
            }
        };
        if decision == Decision::Go {
            // SAFETY: loom itself sees to the cell, here and below.
            self.work.with_mut(|work| unsafe { *work += 1 });
        }
        self.call.finish(1);
    }

    /// CPU 0 calls CPU 1 twice, and gives up each time if it has not come yet. Returns how often the work was done.
    fn initiate(&self) -> u32 {
        let mut gone = 0;
        for _ in 0..2 {
            self.call.begin(0).expect("no other call");
            // SAFETY: as above.
            self.work.with_mut(|work| unsafe { *work += 10 });
            self.call.want(1);
            thread::yield_now();
            if self.call.all_came() {
                self.call.go();
                gone += 1;
            } else {
                self.call.cancel();
            }
            while !self.call.is_over() {
                thread::yield_now();
            }
            // SAFETY: as above.
            self.work.with_mut(|work| unsafe { *work += 10 });
            self.call.end();
        }
        gone
    }
}

#[test]
fn the_initiator_has_its_work_back_when_the_call_is_over() {
    check(|| {
        let call = Arc::new(Call { call: CrossCall::new(), work: UnsafeCell::new(0) });
        let other = call.clone();
        let cpu = thread::spawn(move || other.serve());
        let gone = call.initiate();
        cpu.join().expect("no panic");
        // SAFETY: as above.
        call.work.with(|work| assert_eq!(unsafe { *work }, 40 + gone));
    });
}
