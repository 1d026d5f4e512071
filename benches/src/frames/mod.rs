//! Frames: the workloads B1 to B9 over 4M of them, which are 16 GiB.

mod bitmap;
mod buddy_alloc;
mod buddy_slab;
mod buddy_system;
mod churn;
mod latency;
mod limit;
mod memories;
mod order0;
mod strata;
mod summary_buddy;
mod threads;

use crate::host;

/// How many frames there are.
pub const FRAMES: u64 = 4 << 20;

/// What is measured, under the names that `docs/performance.md` explains.
pub const WORKLOADS: [&str; 8] = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"];

/// A crate's frame allocator, of [`FRAMES`] frames that are all free. `alloc` and `free` are one call into the crate
/// each, and are never inlined into the workload's loop.
pub trait FrameAllocator: Sized {
    /// Whether it has blocks larger than a frame and finds them without a search.
    const ORDERS: bool = true;

    /// A new one.
    fn new() -> Self;

    /// Whether what it hands out are blocks, whose neighbours it knows.
    const BLOCKS: bool = true;

    /// Takes a block of `order`. The number of its first frame.
    fn alloc(&mut self, order: u8) -> Option<u64>;

    /// Gives a block back.
    fn free(&mut self, first: u64, order: u8);

    /// Bytes of metadata outside the frames or carved out of them, if that is constant; and the microseconds that
    /// set-up took without what the host needs to find the memory.
    fn set_up() -> Option<(u64, f64)>;
}

/// What a workload came to: the column's name, and the figure.
pub type Row = (&'static str, f64);

/// Runs a workload once.
pub type Run = Box<dyn Fn(&str) -> Vec<Row>>;

const B3: churn::Names =
    (["B3 alloc", "B3 free", "B3 pair", "B3 failed %", "B3 2M %"], ["B3 pair 1024", "B3 pair 4096"]);
const B4: churn::Names =
    (["B4 alloc", "B4 free", "B4 pair", "B4 failed %", "B4 2M %"], ["B4 pair 1024", "B4 pair 4096"]);
const B4_AFTER_FULL: [&str; 5] = ["B4 99 % alloc", "B4 99 % free", "B4 99 % pair", "B4 99 % failed %", "B4 99 % 2M %"];

fn sample<A: FrameAllocator>(workload: &str) -> Vec<Row> {
    match workload {
        "B1" => order0::fill_and_free::<A>(),
        "B2" => order0::pairs::<A>(),
        "B3" if A::ORDERS => churn::mixed::<A>(50, B3),
        "B4" if A::ORDERS => [churn::mixed::<A>(95, B4), churn::mixed_after_full::<A>(B4_AFTER_FULL)].concat(),
        "B5" if A::ORDERS => latency::at_95::<A>(),
        "B7" => churn::single::<A>(),
        "B8" => {
            let Some((bytes, microseconds)) = A::set_up() else { return Vec::new() };
            vec![("B8 bytes a frame", bytes as f64 / FRAMES as f64), ("B9 set-up", microseconds)]
        }
        _ => Vec::new(),
    }
}

/// The contestants, each with what runs its workloads.
pub fn contestants() -> Vec<(&'static str, Run)> {
    fn of<A: FrameAllocator + 'static>(name: &'static str, threads: fn() -> Vec<Row>) -> (&'static str, Run) {
        let run = move |workload: &str| if workload == "B6" { threads() } else { sample::<A>(workload) };
        (name, Box::new(run))
    }
    vec![
        of::<limit::Stack>("limit", threads::unlocked),
        of::<strata::Cached>("**Strata**", || [threads::cached(), memories::rows()].concat()),
        of::<strata::Core>("Strata, no cache", threads::locked::<strata::Core>),
        of::<buddy_system::Buddy>("buddy_system FrameAllocator", threads::locked::<buddy_system::Buddy>),
        of::<bitmap::Bitmap>("bitmap-allocator", threads::locked::<bitmap::Bitmap>),
        of::<buddy_alloc::Buddy>("buddy-alloc", threads::locked::<buddy_alloc::Buddy>),
        of::<buddy_slab::Buddy>("buddy-slab-allocator", threads::locked::<buddy_slab::Buddy>),
        of::<summary_buddy::Buddy>("frame-alloc SummaryBuddy", threads::shared::<summary_buddy::Buddy>),
        of::<summary_buddy::Depot>("frame-alloc Depot", threads::shared::<summary_buddy::Depot>),
    ]
}

/// Nanoseconds for each of `operations`, of this thread's time on its CPU: what else runs there does not count.
fn timed(operations: u64, work: impl FnOnce()) -> f64 {
    let start = host::cpu_time();
    work();
    (host::cpu_time() - start) as f64 / operations as f64
}

/// Microseconds that `work` takes, and what it makes.
fn microseconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = host::cpu_time();
    let made = std::hint::black_box(work());
    (made, (host::cpu_time() - start) as f64 / 1000.0)
}
