//! The rules, one at a time: what runs when.

use sched::{Blocked, PACE, PATIENCE, Priority, SLICE, Scheduler, State, Switch, ThreadId};

type Small = Scheduler<16, 2>;

/// CPU 0 runs a thread called `first`, with an idle one beside it.
fn one_cpu(priority: Priority) -> (Small, ThreadId, ThreadId) {
    let sched = Small::new(|cpu| panic!("CPU {cpu} takes no part"));
    let first = sched.create("first", priority, None).expect("there is room");
    sched.adopt(0, first);
    let idle = sched.create("idle", Priority::Low, Some(0)).expect("there is room");
    sched.set_idle(0, idle);
    (sched, first, idle)
}

fn spawn(sched: &Small, name: &'static str, priority: Priority) -> ThreadId {
    let id = sched.create(name, priority, None).expect("there is room");
    sched.start(0, id);
    id
}

/// Makes the switch that was decided.
fn go(sched: &Small, switch: Option<Switch>) -> Option<ThreadId> {
    let switch = switch?;
    assert_eq!(sched.current(0), Some(switch.to));
    sched.arrive(0);
    Some(switch.to)
}

fn block(sched: &Small) -> ThreadId {
    match sched.block(0) {
        Blocked::Switch(switch) => go(sched, Some(switch)).expect("a switch"),
        other => panic!("{other:?}"),
    }
}

fn state(sched: &Small, id: ThreadId) -> State {
    sched.report(id.index()).expect("a thread").state
}

/// Ticks, and leaves the CPU if it should be left; tells who runs then.
fn tick(sched: &Small) -> ThreadId {
    if sched.tick(0) {
        go(sched, sched.yield_now(0));
    }
    sched.current(0).expect("somebody runs")
}

#[test]
fn equals_take_turns_of_one_slice() {
    let (sched, first, _) = one_cpu(Priority::Normal);
    let second = spawn(&sched, "second", Priority::Normal);
    let third = spawn(&sched, "third", Priority::Normal);
    let ran: Vec<ThreadId> = (0..SLICE * 6).map(|_| tick(&sched)).collect();
    let turns: Vec<(ThreadId, usize)> = ran.chunk_by(|a, b| a == b).map(|turn| (turn[0], turn.len())).collect();
    let slice = SLICE as usize;
    assert_eq!(turns[0], (first, slice - 1));
    for (at, turn) in turns[1..turns.len() - 1].iter().enumerate() {
        assert_eq!(*turn, ([second, third, first][at % 3], slice));
    }
    let used = [first, second, third].map(|id| sched.report(id.index()).expect("a thread").used);
    assert_eq!(used, [2 * SLICE; 3]);
}

#[test]
fn the_more_important_runs_at_once_and_the_less_important_when_it_may() {
    let (sched, first, idle) = one_cpu(Priority::Normal);
    let low = spawn(&sched, "low", Priority::Low);
    assert!(!sched.wants_switch(0));
    assert_eq!(sched.yield_now(0), None, "nobody as important is ready");
    let high = spawn(&sched, "high", Priority::High);
    assert!(sched.wants_switch(0));
    assert_eq!(go(&sched, sched.yield_now(0)), Some(high));
    assert_eq!(block(&sched), first);
    assert_eq!(block(&sched), low);
    assert_eq!(block(&sched), idle);
    assert!(sched.wake(0, low) && sched.wake(0, high) && sched.wake(0, first));
    assert!(sched.wants_switch(0), "an idle CPU looks at once");
    assert_eq!(go(&sched, sched.yield_now(0)), Some(high));
    assert_eq!(go(&sched, sched.exit(0)), Some(first));
    assert_eq!(state(&sched, high), State::Ended);
}

#[test]
fn whoever_is_passed_over_for_too_long_has_a_whole_slice_and_no_more() {
    let (sched, first, _) = one_cpu(Priority::High);
    let low = spawn(&sched, "low", Priority::Low);
    let mut waited = 0;
    while tick(&sched) == first {
        waited += 1;
    }
    assert!((PATIENCE - 1..PATIENCE + SLICE).contains(&waited), "{waited}");
    let high = spawn(&sched, "high", Priority::High);
    assert!(!sched.wants_switch(0), "the slice is not cut short");
    let turn = (1..).find(|_| tick(&sched) != low);
    assert_eq!(turn, Some(SLICE));
    assert_eq!(sched.current(0), Some(first));
    assert_eq!(state(&sched, high), State::Ready);
}

#[test]
fn nobody_starves_and_the_important_keep_most_of_the_time() {
    let (sched, first, _) = one_cpu(Priority::High);
    let others: Vec<ThreadId> = (0..12).map(|n| spawn(&sched, "other", Priority::ALL[n % 2])).collect();
    let bound = PATIENCE + 12 * (PACE + SLICE);
    let mut last = [0; 16];
    for now in 0..20_000u32 {
        last[tick(&sched).index()] = now;
        for id in &others {
            assert!(now - last[id.index()] <= bound, "{} waits for {}", id.index(), now - last[id.index()]);
        }
    }
    let used = sched.report(first.index()).expect("a thread").used;
    assert!((15_000..17_000).contains(&used), "{used}");
}

#[test]
fn a_wake_before_the_block_is_kept_once() {
    let (sched, first, idle) = one_cpu(Priority::Normal);
    assert!(sched.wake(0, first) && sched.wake(0, first));
    assert_eq!(sched.block(0), Blocked::Awake);
    // And one that comes when the block is decided and the stack not left.
    let Blocked::Switch(switch) = sched.block(0) else { panic!("nothing was kept") };
    assert_eq!(switch.to, idle);
    assert!(sched.wake(0, first));
    assert_eq!(sched.yield_now(0), None, "no CPU may find it yet");
    sched.arrive(0);
    assert_eq!(state(&sched, first), State::Ready);
    assert_eq!(go(&sched, sched.yield_now(0)), Some(first));
    assert_eq!(block(&sched), idle, "the wake was taken");
}

#[test]
fn sleepers_are_woken_in_the_order_of_their_ticks() {
    let (sched, first, idle) = one_cpu(Priority::Normal);
    let [a, b, c] = ["a", "b", "c"].map(|name| spawn(&sched, name, Priority::Normal));
    for (id, ticks) in [(first, 30), (a, 10), (b, 20), (c, 10)] {
        assert_eq!(sched.current(0), Some(id));
        sched.wake_at(0, sched.now() + ticks);
        block(&sched);
        assert_eq!(state(&sched, id), State::Sleeping);
    }
    // Woken by somebody else, and off the list then.
    sched.wake(0, b);
    assert_eq!(go(&sched, sched.yield_now(0)), Some(b));
    sched.forget(0, b);
    assert_eq!(block(&sched), idle);
    let mut woken = Vec::new();
    for _ in 0..40 {
        tick(&sched);
        while sched.current(0) != Some(idle) {
            woken.push((sched.current(0).expect("somebody runs"), sched.now()));
            block(&sched);
        }
    }
    assert_eq!(woken, [(a, 10), (c, 10), (first, 30)]);
    assert_eq!(state(&sched, b), State::Blocked);
}

#[test]
fn an_end_wakes_who_waits_for_it_and_the_slot_is_given_out_again() {
    let (sched, first, _) = one_cpu(Priority::Normal);
    let worker = spawn(&sched, "worker", Priority::Normal);
    assert!(!sched.has_ended(worker) && !sched.drop_thread(worker));
    assert!(sched.join(0, worker) && !sched.join(0, worker));
    assert_eq!(block(&sched), worker);
    let switch = sched.exit(0).expect("the idle thread");
    assert!(!sched.has_ended(worker), "it has not left its stack");
    assert!(!sched.drop_thread(worker), "nor may its stack go");
    go(&sched, Some(switch));
    assert!(sched.has_ended(worker));
    assert_eq!(state(&sched, first), State::Ready);
    go(&sched, sched.yield_now(0));
    assert!(!sched.join(0, worker), "too late");
    assert!(sched.drop_thread(worker) && !sched.drop_thread(worker));
    let next = spawn(&sched, "next", Priority::Normal);
    assert_eq!((next.index(), next == worker), (worker.index(), false));
    assert!(sched.has_ended(worker) && !sched.has_ended(next));
    assert!(!sched.wake(0, worker) && !sched.join(0, worker), "the slot is another's");
}

#[test]
fn slots_run_out_and_come_back() {
    let (sched, ..) = one_cpu(Priority::Normal);
    let made: Vec<ThreadId> =
        (0..14).map(|_| sched.create("one", Priority::Low, None).expect("there is room")).collect();
    assert_eq!(sched.create("more", Priority::Low, None), None);
    assert!(sched.drop_thread(made[3]));
    let again = sched.create("again", Priority::Low, None).expect("one was given back");
    assert_eq!(again.index(), made[3].index());
    assert_eq!(sched.create("more", Priority::Low, None), None);
}

#[test]
fn without_an_idle_thread_a_block_is_refused_until_somebody_is_there() {
    let sched = Small::new(|_| ());
    let first = sched.create("first", Priority::Normal, None).expect("there is room");
    sched.adopt(0, first);
    assert_eq!((sched.block(0), sched.exit(0)), (Blocked::Alone, None));
    let second = spawn(&sched, "second", Priority::Low);
    assert_eq!(block(&sched), second);
    sched.wake(0, first);
    assert_eq!(go(&sched, sched.yield_now(0)), Some(first));
}

#[test]
fn an_idle_cpu_takes_from_another_but_not_what_is_pinned() {
    let sched = Small::new(|cpu| KICKED.with(|kicked| kicked.set(Some(cpu))));
    for cpu in 0..2 {
        let idle = sched.create("idle", Priority::Low, Some(cpu)).expect("there is room");
        sched.adopt(cpu, idle);
        sched.set_idle(cpu, idle);
    }
    let pinned = sched.create("pinned", Priority::High, Some(0)).expect("there is room");
    sched.start(1, pinned);
    assert_eq!(KICKED.take(), Some(0), "it idles");
    assert_eq!(sched.yield_now(1), None, "pinned to the other");
    let free = sched.create("free", Priority::Low, None).expect("there is room");
    let taken = sched.yield_now(0).expect("the pinned one");
    assert_eq!(taken.to, pinned);
    sched.arrive(0);
    sched.start(0, free);
    assert_eq!(KICKED.take(), Some(1), "there is less to do there");
    let taken = sched.yield_now(1).expect("its own");
    assert_eq!(taken.to, free);
    sched.arrive(1);
    // It ran there last, so it comes back there; and when that CPU is busy, the other one takes it.
    let Blocked::Switch(_) = sched.block(1) else { panic!("nothing was kept") };
    sched.arrive(1);
    let Blocked::Switch(_) = sched.block(0) else { panic!("nothing was kept") };
    sched.arrive(0);
    sched.wake(0, free);
    assert_eq!(KICKED.take(), Some(1));
    let taken = sched.yield_now(0).expect("the idle one takes it");
    assert_eq!((taken.to, sched.report(free.index()).expect("a thread").cpu), (free, 0));
    assert_eq!(sched.yield_now(1), None);
}

thread_local! {
    static KICKED: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}
