//! The byte heap: `buddy_system_allocator`, fed from frames as it needs them.

use core::alloc::Layout;

use buddy_system_allocator::{Heap, LockedHeapWithRescue};
use mm::PAGE_SIZE;

use crate::memory;

/// One more than log2 of the largest allocation, in bytes.
const ORDERS: usize = 28;

/// The heap grows by at least so much: log2 of frames.
const LEAST_GROWTH: u32 = 4;

#[global_allocator]
static HEAP: LockedHeapWithRescue<ORDERS> = LockedHeapWithRescue::new(grow);

/// Bytes in use, and bytes the heap has.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.stats_alloc_actual(), heap.stats_total_bytes())
}

/// Gives the heap frames for an allocation that it has no room for.
///
/// Where that cannot be done the heap stays as it is and the allocation fails: there are no frames, or the frames
/// are locked by whoever asks for bytes now, and waiting for them would never end.
///
/// The frames lie in the window, so that no table has to change. On x86_64 the window moves when the mode does, and
/// what the heap gave out is then out of reach until the first mode is back: nothing may be allocated in between.
fn grow(heap: &mut Heap<ORDERS>, layout: &Layout) {
    let Some(mut memory) = memory::installed().and_then(|memory| memory.try_lock()) else { return };
    let bytes = layout.size().max(layout.align()).max(PAGE_SIZE as usize);
    let Some(frames) = bytes.div_ceil(PAGE_SIZE as usize).checked_next_power_of_two() else { return };
    let order = frames.trailing_zeros().max(LEAST_GROWTH);
    let Ok(order) = u8::try_from(order) else { return };
    let below = memory.window.frames().end();
    let Ok(owned) = memory.take(order, below) else { return };
    let start = memory.window.at(owned.run().first) as usize;
    let length = (owned.run().count * PAGE_SIZE) as usize;
    // SAFETY: the frames are ours, mapped and writable behind `start`, and are never given back or named again.
    unsafe { heap.add_to_heap(start, start + length) };
}
