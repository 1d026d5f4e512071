//! The order of locks: what is out of order is a panic that names both.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use sched::lock::{self, Hooks};
use sched::order::{Class, Held};
use sched::{Lock, Priority, Scheduler};

thread_local! {
    /// Each test runs on a thread, which stands for a CPU.
    static CPU: &'static Held = Box::leak(Box::new(Held::none()));
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        lock::install(Hooks {
            cpu: || CPU.with(|cpu| std::ptr::from_ref(*cpu) as usize),
            raise: || COUNT.set(COUNT.get() + 1),
            lower: || COUNT.set(COUNT.get() - 1),
            held: || COUNT.get(),
            classes: || CPU.with(|cpu| *cpu),
        });
    });
}

/// What `work` panics with.
fn panics(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it is out of order");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn in_order_nothing_is_said() {
    install();
    let (heap, memory, log) = (Lock::new(Class::Heap, 1), Lock::new(Class::Memory, 2), Lock::new(Class::Log, 3));
    let com1 = Lock::new(Class::Com1, ());
    for _ in 0..2 {
        let heap = heap.lock();
        let memory = memory.lock();
        let log = log.lock();
        let com1 = com1.lock();
        let sleepers = lock::mark(Class::Sleepers);
        drop(lock::mark(Class::Queue));
        drop((heap, memory, sleepers, log, com1));
        // All of them were given back, so the first may be taken again.
        assert_eq!(lock::held(), 0);
    }
}

#[test]
fn out_of_order_both_are_named() {
    install();
    let (heap, memory) = (Lock::new(Class::Heap, ()), Lock::new(Class::Memory, ()));
    let guard = memory.lock();
    assert_eq!(panics(|| drop(heap.lock())), "the heap is locked while this CPU holds memory");
    assert_eq!(panics(|| drop(heap.lock_unless_held_here())), "the heap is locked while this CPU holds memory");
    // Whoever does not wait may ask; but what he has then counts.
    drop(guard);
    let log = Lock::new(Class::Log, ());
    let guard = log.try_lock().expect("nobody has it");
    assert_eq!(panics(|| drop(memory.lock())), "memory is locked while this CPU holds the log");
    drop(guard);
    drop(memory.lock());
}

#[test]
fn two_of_a_class_are_out_of_order() {
    install();
    let (one, other) = (Lock::new(Class::Memory, ()), Lock::new(Class::Memory, ()));
    let guard = one.lock();
    assert_eq!(panics(|| drop(other.lock())), "memory is locked while this CPU holds memory");
    drop(guard);
}

#[test]
fn what_is_held_alone_neither_follows_nor_leads() {
    install();
    let (stacks, memory) = (Lock::new(Class::Stacks, ()), Lock::new(Class::Memory, ()));
    let guard = stacks.lock();
    assert_eq!(panics(|| drop(memory.lock())), "memory is locked while this CPU holds what is kept of threads");
    drop(guard);
    let guard = memory.lock();
    assert_eq!(panics(|| drop(stacks.lock())), "what is kept of threads is locked while this CPU holds memory");
    drop(guard);
}

#[test]
fn behind_one_with_interrupts_off_no_other_is_waited_for() {
    install();
    let com1 = Lock::new(Class::Com1, ());
    let mark = lock::mark(Class::Receiver);
    assert_eq!(panics(|| drop(com1.lock())), "COM1 is locked while this CPU holds COM1's receiver");
    drop(mark);
    // The scheduler's locks are among them: it is asked with interrupts off, and whatever lock is held.
    let sched = Scheduler::<4, 1>::new(|_| ());
    let guard = com1.lock();
    assert!(sched.create("first", Priority::Normal, None).is_some());
    drop(guard);
    let mark = lock::mark(Class::Queue);
    assert_eq!(
        panics(|| assert!(sched.create("second", Priority::Normal, None).is_none())),
        "the list of free threads is locked while this CPU holds the queue of a CPU"
    );
    drop(mark);
}

#[test]
fn translations_are_flushed_with_memory_at_most() {
    install();
    let (memory, stacks) = (Lock::new(Class::Memory, ()), Lock::new(Class::Stacks, ()));
    lock::flushing();
    let guard = memory.lock();
    lock::flushing();
    drop(guard);
    let guard = stacks.lock();
    lock::flushing();
    drop(guard);
    for class in Class::ALL.into_iter().filter(|class| !matches!(class, Class::Memory | Class::Stacks)) {
        let mark = lock::mark(class);
        let expected = format!("translations are flushed on all CPUs while this CPU holds {class}");
        assert_eq!(panics(lock::flushing), expected);
        drop(mark);
    }
    lock::flushing();
}
