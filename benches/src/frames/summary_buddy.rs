//! `frame_alloc`: lock-free bitmaps, and per-CPU magazines on top of them.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ptr::{NonNull, with_exposed_provenance_mut};

use frame_alloc::{CpuId, DepotAllocator, PageSize, PhysicalAllocator, Provenance, RegionInit, SummaryBuddyAllocator};

use super::threads::SharedAllocator;
use super::{FRAMES, FrameAllocator, microseconds};
use crate::host::Mapping;

const BASE: PageSize = PageSize::from_log2(12);
const ORDERS: usize = 19;

/// Physical addresses are the host's.
pub struct Identity;

// SAFETY: all addresses come from one mapping, whose provenance `init` exposes.
unsafe impl Provenance for Identity {
    unsafe fn create(phys: usize) -> NonNull<u8> {
        // SAFETY: addresses of the mapping are not null.
        unsafe { NonNull::new_unchecked(with_exposed_provenance_mut(phys)) }
    }

    unsafe fn destroy<T>(at: NonNull<T>) -> usize {
        at.addr().get()
    }
}

thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// Which of the two benchmark threads asks.
pub struct Thread;

impl CpuId for Thread {
    fn current_cpu() -> usize {
        CPU.get()
    }
}

type Inner = SummaryBuddyAllocator<ORDERS, Identity>;

/// Either, with the address of its first frame.
pub struct With<A> {
    inner: Box<A>,
    base: usize,
    #[expect(dead_code, reason = "the bitmaps lie in it")]
    memory: Mapping,
}

/// The bitmaps.
pub type Buddy = With<Inner>;

/// With magazines, of the size that the crate proposes.
pub type Depot = With<DepotAllocator<Inner, Thread, 2>>;

/// How the two are made.
pub trait Made: PhysicalAllocator + RegionInit {
    fn made() -> Self;
}

impl Made for Inner {
    fn made() -> Self {
        Self::new(BASE)
    }
}

impl Made for DepotAllocator<Inner, Thread, 2> {
    fn made() -> Self {
        Self::new(BASE, Inner::new(BASE))
    }
}

/// The frames, aligned to the largest block. The bitmaps are carved out of them.
fn memory() -> Mapping {
    let memory = Mapping::new(FRAMES as usize * 4096, 1 << 30);
    // SAFETY: the mapping is that large and ours; the bitmaps will lie here. Touched now, so that nobody pays later.
    unsafe { memory.at().write_bytes(0, 4 << 20) };
    memory
}

fn init<A: Made>(inner: &A, memory: &Mapping) -> usize {
    let base = memory.at().expose_provenance();
    // SAFETY: the frames are ours and mapped, aligned to the largest block, and nobody else uses the allocator yet.
    unsafe { inner.init_region(base, FRAMES as usize * 4096) };
    base
}

impl<A: Made> FrameAllocator for With<A> {
    fn new() -> Self {
        let (inner, memory) = (Box::new(A::made()), memory());
        let base = init(&*inner, &memory);
        Self { inner, base, memory }
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        self.take(order)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        self.give(first, order);
    }

    fn set_up() -> Option<(u64, f64)> {
        let (inner, memory) = (Box::new(A::made()), memory());
        let (_, time) = microseconds(|| init(&*inner, &memory));
        // Two bits a frame, summed over the orders.
        Some((FRAMES / 4, time))
    }
}

impl<A: Made> With<A> {
    #[inline(always)]
    fn take(&self, order: u8) -> Option<u64> {
        let count = NonZeroUsize::MIN.checked_shl(order)?;
        let at = self.inner.allocate_physical(BASE, count).ok()?;
        Some(((at - self.base) >> 12) as u64)
    }

    #[inline(always)]
    fn give(&self, first: u64, order: u8) {
        let Some(count) = NonZeroUsize::MIN.checked_shl(order) else { return };
        // SAFETY: the workloads give back what they took, once.
        unsafe { self.inner.deallocate_physical(BASE, count, self.base + ((first as usize) << 12)) };
    }
}

trait Shifted: Sized {
    fn checked_shl(self, order: u8) -> Option<Self>;
}

impl Shifted for NonZeroUsize {
    #[inline(always)]
    fn checked_shl(self, order: u8) -> Option<Self> {
        Self::new(self.get() << order)
    }
}

impl<A: Made + Sync> SharedAllocator for With<A> {
    fn enter(cpu: usize) {
        CPU.set(cpu);
    }

    #[inline(never)]
    fn alloc(&self, order: u8) -> Option<u64> {
        self.take(order)
    }

    #[inline(never)]
    fn free(&self, first: u64, order: u8) {
        self.give(first, order);
    }
}
