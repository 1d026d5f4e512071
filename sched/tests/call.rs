//! Cross-calls: all do it or none does, and the initiator returns behind all of them.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sched::{CrossCall, Decision};

/// Takes the call on `cpu` as soon as it is wanted, and runs `work` if that is the decision.
fn target(call: &CrossCall<4>, cpu: usize, work: impl FnOnce()) {
    while !call.take(cpu) {
        thread::yield_now();
    }
    let decision = loop {
        match call.decision() {
            Some(decision) => break decision,
            None => thread::yield_now(),
        }
    };
    if decision == Decision::Go {
        work();
    }
    call.finish(cpu);
}

#[test]
fn every_target_runs_the_work_once_and_the_initiator_sees_it() {
    let call = CrossCall::<4>::new();
    for round in 1..=200 {
        let ran = AtomicUsize::new(0);
        call.begin(0).expect("no other call");
        thread::scope(|scope| {
            for cpu in 1..4 {
                call.want(cpu);
                let (call, ran) = (&call, &ran);
                scope.spawn(move || target(call, cpu, || _ = ran.fetch_add(cpu, Ordering::Relaxed)));
            }
            while !call.all_came() {
                thread::yield_now();
            }
            assert_eq!(ran.load(Ordering::Relaxed), 0, "round {round}: a target runs before all have come");
            call.go();
            while !call.is_over() {
                thread::yield_now();
            }
            assert_eq!(ran.load(Ordering::Relaxed), 1 + 2 + 3);
        });
        call.end();
        assert!((0..4).all(|cpu| !call.take(cpu)), "the call is over");
    }
}

#[test]
fn one_that_does_not_come_is_named_and_nobody_runs_the_work() {
    let call = CrossCall::<4>::new();
    let ran = AtomicUsize::new(0);
    for _ in 0..200 {
        call.begin(3).expect("no other call");
        thread::scope(|scope| {
            for cpu in [0, 2] {
                call.want(cpu);
            }
            let (call, ran) = (&call, &ran);
            scope.spawn(move || target(call, 0, || _ = ran.fetch_add(1, Ordering::Relaxed)));
            while call.is_wanted(0) {
                thread::yield_now();
            }
            assert!(!call.all_came() && call.is_wanted(2) && !call.is_wanted(0));
            call.cancel();
            while !call.is_over() {
                thread::yield_now();
            }
        });
        call.end();
        assert!(!call.take(2), "it comes too late");
    }
    assert_eq!(ran.into_inner(), 0);
}

#[test]
fn one_call_at_a_time_and_the_other_is_named() {
    let call = CrossCall::<4>::new();
    assert_eq!(call.begin(2), Ok(()));
    assert_eq!(call.begin(0), Err(2));
    call.end();
    assert_eq!(call.begin(0), Ok(()));
}
