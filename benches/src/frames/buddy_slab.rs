//! `buddy_slab_allocator::BuddyAllocator`: lists through a descriptor for each frame.

use buddy_slab_allocator::BuddyAllocator;

use super::{FRAMES, FrameAllocator, microseconds};
use crate::host::Mapping;

const PAGE: usize = 4096;

/// The allocator and where its frames begin.
pub struct Buddy {
    inner: BuddyAllocator<PAGE>,
    memory: Mapping,
}

// SAFETY: its pointers lead into a mapping that nobody else has; whoever holds the allocator may use it.
unsafe impl Send for Buddy {}

/// Room for the frames and their descriptors. Only the descriptors are touched.
fn memory() -> (Mapping, usize) {
    let descriptors = BuddyAllocator::<PAGE>::required_meta_size(FRAMES as usize * PAGE);
    let bytes = FRAMES as usize * PAGE + descriptors.next_multiple_of(4 << 20);
    let memory = Mapping::new(bytes, 2 << 20);
    // SAFETY: the mapping is that large and ours.
    unsafe { memory.at().write_bytes(0, descriptors) };
    (memory, bytes)
}

fn made(memory: &Mapping, bytes: usize) -> BuddyAllocator<PAGE> {
    let mut inner = BuddyAllocator::new();
    // SAFETY: the mapping is that large, is used for nothing else and is kept as long as the allocator.
    let outcome = unsafe { inner.init(std::slice::from_raw_parts_mut(memory.at(), bytes)) };
    assert!(outcome.is_ok(), "{outcome:?}");
    inner
}

impl FrameAllocator for Buddy {
    fn new() -> Self {
        let (memory, bytes) = memory();
        Self { inner: made(&memory, bytes), memory }
    }

    #[inline(never)]
    fn alloc(&mut self, order: u8) -> Option<u64> {
        // Blocks are aligned within the memory, which itself is not: asking for an alignment would find none.
        let at = self.inner.alloc_pages(1 << order, PAGE).ok()?;
        Some(((at - self.memory.at() as usize) / PAGE) as u64)
    }

    #[inline(never)]
    fn free(&mut self, first: u64, order: u8) {
        self.inner.dealloc_pages(self.memory.at() as usize + first as usize * PAGE, 1 << order);
    }

    fn set_up() -> Option<(u64, f64)> {
        let (memory, bytes) = memory();
        let (_, time) = microseconds(|| made(&memory, bytes));
        Some((BuddyAllocator::<PAGE>::required_meta_size(FRAMES as usize * PAGE) as u64, time))
    }
}

/// What the crate asks of its platform: nothing of it is used by the buddy allocator on its own.
mod platform {
    use buddy_slab_allocator::SlabPoolTrait;
    use buddy_slab_allocator::interface::BuddySlabIf;

    struct Platform;

    #[ax_crate_interface::impl_interface]
    impl BuddySlabIf for Platform {
        fn virt_to_phys(vaddr: usize) -> usize {
            vaddr
        }

        fn slab_pool() -> &'static dyn SlabPoolTrait {
            unreachable!("the slabs are not used")
        }
    }
}
