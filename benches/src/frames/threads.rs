//! B6: one thread, and two on a CPU each.
//!
//! *Scattered*: half of all frames are in use, at random places; a thread takes a batch of frames and gives it back shuffled.
//! *Local*: a thread takes 128 frames and gives them back. *Remote*: each gives back what the other took, 128 frames at
//! a time. *Mixed*: a thread holds 64 blocks of orders 0 to 9 and replaces one at random.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use super::limit::Stack;
use super::strata::Threads;
use super::{FrameAllocator, Row};
use crate::host;
use crate::rng::Rng;

const BATCH: usize = 128;
const ROUNDS: usize = 4000;
const HELD: usize = 64;
const REPLACED: usize = 300_000;

/// How often a thread looks for the other's frames before it offers its CPU to somebody else.
const PATIENCE: u32 = 2000;

/// An allocator that several threads use at once.
pub trait SharedAllocator: Sync {
    /// Tells the allocator that this thread is CPU `cpu`.
    fn enter(_cpu: usize) {}

    /// Takes a block of `order`.
    fn alloc(&self, order: u8) -> Option<u64>;

    /// Gives a block back.
    fn free(&self, first: u64, order: u8);
}

/// A lock such as kernels have: tried until it is free.
pub struct Spin<T> {
    taken: AtomicBool,
    inner: std::cell::UnsafeCell<T>,
}

// SAFETY: `with` lets in one thread at a time.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    /// A lock around `inner`.
    pub fn new(inner: T) -> Self {
        Self { taken: AtomicBool::new(false), inner: std::cell::UnsafeCell::new(inner) }
    }

    /// Does `work` while no other thread does.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        while self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.taken.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
        // SAFETY: the exchange let this thread in alone.
        let result = work(unsafe { &mut *self.inner.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

struct Locked<A>(Spin<A>);

impl<A: FrameAllocator + Send> SharedAllocator for Locked<A> {
    #[inline(never)]
    fn alloc(&self, order: u8) -> Option<u64> {
        self.0.with(|inner| inner.alloc(order))
    }

    #[inline(never)]
    fn free(&self, first: u64, order: u8) {
        self.0.with(|inner| inner.free(first, order));
    }
}

/// The limit: a stack for each thread, so that nothing is shared.
struct Unlocked;

thread_local! {
    static STACK: std::cell::RefCell<Stack> = std::cell::RefCell::new(Stack::new());
}

impl SharedAllocator for Unlocked {
    #[inline(never)]
    fn alloc(&self, order: u8) -> Option<u64> {
        STACK.with_borrow_mut(|stack| stack.alloc(order))
    }

    #[inline(never)]
    fn free(&self, first: u64, order: u8) {
        STACK.with_borrow_mut(|stack| stack.free(first, order));
    }
}

/// The workloads for an allocator that is not made for several threads: behind one lock.
pub fn locked<A: FrameAllocator + Send>() -> Vec<Row> {
    all(&Locked(Spin::new(A::new())), A::ORDERS)
}

/// The workloads for one that is.
pub fn shared<A: FrameAllocator + SharedAllocator>() -> Vec<Row> {
    all(&A::new(), true)
}

/// The workloads for Strata's caches.
pub fn cached() -> Vec<Row> {
    all(&Threads::new(), true)
}

/// The workloads for the limit.
pub fn unlocked() -> Vec<Row> {
    all(&Unlocked, true)
}

fn all(allocator: &impl SharedAllocator, orders: bool) -> Vec<Row> {
    let mut rows = vec![
        ("B6 local 1T", on_threads(1, allocator, local)),
        ("B6 local 2T", on_threads(2, allocator, local)),
        ("B6 remote 2T", on_threads(2, allocator, remote)),
    ];
    rows.extend(scattered_rows(allocator));
    if orders {
        rows.push(("B6 mixed 1T", on_threads(1, allocator, mixed)));
        rows.push(("B6 mixed 2T", on_threads(2, allocator, mixed)));
    }
    rows
}

/// The rows of scattered memory: batches of these sizes, on one thread and on two.
const SCATTERED: [[&str; 2]; 3] = [
    ["B6 scattered 64 1T", "B6 scattered 64 2T"],
    ["B6 scattered 256 1T", "B6 scattered 256 2T"],
    ["B6 scattered 1024 1T", "B6 scattered 1024 2T"],
];

/// Takes half of the frames, at random places, measures, and gives them back.
fn scattered_rows<S: SharedAllocator>(allocator: &S) -> Vec<Row> {
    let mut held: Vec<u32> = std::iter::from_fn(|| allocator.alloc(0)).map(|frame| frame as u32).collect();
    Rng(13).shuffle(&mut held);
    let half = held.split_off(held.len() / 2);
    half.into_iter().for_each(|frame| allocator.free(frame.into(), 0));
    let works: [Work<S>; 3] = [scattered::<S, 64>, scattered::<S, 256>, scattered::<S, 1024>];
    let mut rows = Vec::new();
    for (names, work) in SCATTERED.into_iter().zip(works) {
        for (threads, name) in (1..).zip(names) {
            rows.push((name, on_threads(threads, allocator, work)));
        }
    }
    held.into_iter().for_each(|frame| allocator.free(frame.into(), 0));
    rows
}

/// What the threads exchange: a box for the frames of each, and whether it is full.
struct Exchange {
    boxes: [Mutex<Vec<u32>>; 2],
    full: [AtomicUsize; 2],
    start: Barrier,
    longest: AtomicU32,
}

type Work<S> = fn(&S, usize, &Exchange) -> u64;

/// Nanoseconds an operation, of the slower thread.
fn on_threads<S: SharedAllocator>(threads: usize, allocator: &S, work: Work<S>) -> f64 {
    let exchange = Exchange {
        boxes: [const { Mutex::new(Vec::new()) }; 2],
        full: [const { AtomicUsize::new(0) }; 2],
        start: Barrier::new(threads),
        longest: AtomicU32::new(0),
    };
    std::thread::scope(|scope| {
        for cpu in 0..threads {
            let exchange = &exchange;
            scope.spawn(move || {
                host::pin((host::cpus() + cpu).saturating_sub(threads) % host::cpus());
                S::enter(cpu);
                // Once to warm up.
                work(allocator, cpu, exchange);
                exchange.start.wait();
                let start = host::cpu_time();
                let operations = work(allocator, cpu, exchange);
                let picoseconds = (host::cpu_time() - start) * 1000 / operations;
                exchange.longest.fetch_max(picoseconds as u32, Ordering::Relaxed);
            });
        }
    });
    f64::from(exchange.longest.into_inner()) / 1000.0
}

fn take(allocator: &impl SharedAllocator, into: &mut Vec<u32>) {
    for _ in 0..BATCH {
        let Some(frame) = allocator.alloc(0) else { unreachable!("memory is nearly empty") };
        into.push(frame as u32);
    }
}

fn local<S: SharedAllocator>(allocator: &S, _cpu: usize, _exchange: &Exchange) -> u64 {
    let mut held = Vec::with_capacity(BATCH);
    for _ in 0..ROUNDS {
        take(allocator, &mut held);
        held.drain(..).for_each(|frame| allocator.free(frame.into(), 0));
    }
    (2 * BATCH * ROUNDS) as u64
}

/// Only the allocator's time counts: the order in which frames are given back is drawn before.
fn scattered<S: SharedAllocator, const SIZE: usize>(allocator: &S, cpu: usize, _exchange: &Exchange) -> u64 {
    let mut rng = Rng(17 + cpu as u64);
    let mut order: Vec<u32> = (0..SIZE as u32).collect();
    rng.shuffle(&mut order);
    let mut held = Vec::with_capacity(SIZE);
    let rounds = BATCH * ROUNDS / SIZE;
    for _ in 0..rounds {
        held.extend((0..SIZE).filter_map(|_| allocator.alloc(0)));
        for at in &order {
            if let Some(frame) = held.get(*at as usize) {
                allocator.free(*frame, 0);
            }
        }
        held.clear();
    }
    (2 * SIZE * rounds) as u64
}

fn remote<S: SharedAllocator>(allocator: &S, cpu: usize, exchange: &Exchange) -> u64 {
    let wait = |cpu: usize, state: usize| {
        let mut tries = 0;
        while exchange.full[cpu].load(Ordering::Acquire) != state {
            std::hint::spin_loop();
            tries += 1;
            // The other thread may not have its CPU: a busy machine is no reason to wait for a whole time slice.
            if tries % PATIENCE == 0 {
                std::thread::yield_now();
            }
        }
    };
    let mut held = Vec::with_capacity(BATCH);
    for _ in 0..ROUNDS {
        take(allocator, &mut held);
        wait(cpu, 0);
        if let Ok(mut to) = exchange.boxes[cpu].lock() {
            std::mem::swap(&mut *to, &mut held);
        }
        exchange.full[cpu].store(1, Ordering::Release);
        wait(1 - cpu, 1);
        if let Ok(mut from) = exchange.boxes[1 - cpu].lock() {
            std::mem::swap(&mut *from, &mut held);
        }
        exchange.full[1 - cpu].store(0, Ordering::Release);
        held.drain(..).for_each(|frame| allocator.free(frame.into(), 0));
    }
    (2 * BATCH * ROUNDS) as u64
}

fn mixed<S: SharedAllocator>(allocator: &S, cpu: usize, _exchange: &Exchange) -> u64 {
    let mut rng = Rng(11 + cpu as u64);
    let take = |rng: &mut Rng| {
        let order = rng.below(10) as u8;
        let Some(first) = allocator.alloc(order) else { unreachable!("memory is nearly empty") };
        (first as u32, order)
    };
    let mut held: Vec<(u32, u8)> = (0..HELD).map(|_| take(&mut rng)).collect();
    for _ in 0..REPLACED {
        let at = rng.below(HELD as u64) as usize;
        allocator.free(held[at].0.into(), held[at].1);
        held[at] = take(&mut rng);
    }
    held.into_iter().for_each(|(first, order)| allocator.free(first.into(), order));
    2 * (HELD + REPLACED) as u64
}
