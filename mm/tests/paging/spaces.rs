//! Address spaces: what they share with the kernel's tree and with one another, and what they do not.

use mm::{AddressSpace, Frame, MapError, MapRequest, PAGE_SIZE, PageFlags, PageRange, Rights, Seen, VirtAddr};

use crate::kernel_map::{Kernel, kernel, paging};
use crate::machine::MODES;

const HERE: VirtAddr = VirtAddr(0x6000_0000);

fn page(at: VirtAddr, frame: u64, rights: Rights) -> MapRequest {
    MapRequest { range: PageRange::new(at, 1), first: Frame(frame), flags: PageFlags::new(rights) }
}

/// The leaves of the kernel half.
fn kernel_half(kernel: &Kernel, tables: &mm::PageMap) -> Vec<mm::Mapping> {
    let mut leaves = Vec::new();
    let half = tables.paging().routines.info.kernel_half();
    tables.visit(&kernel.machine.memory, &mut |seen| match seen {
        Seen::Leaf(leaf) if leaf.start >= half => leaves.push(leaf),
        _ => {}
    });
    leaves
}

fn free(kernel: &mut Kernel, space: AddressSpace) {
    // SAFETY: it was never loaded.
    unsafe { kernel.map.free_space(&mut kernel.machine.memory, space) };
}

#[test]
fn the_kernel_half_is_the_kernels_whatever_comes_and_goes() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let before = kernel.machine.memory.free_frames();
        let space = kernel.map.new_space(&mut kernel.machine.memory).expect("room");
        assert_eq!(kernel_half(&kernel, space.tables()), kernel_half(&kernel, kernel.map.tables()), "{mode:?}");
        // Enough stacks for tables of their own.
        let mut stacks = Vec::new();
        let tlb = kernel.machine.tlb(kernel.cpu, space.tables().root());
        for _ in 0..80 {
            stacks.push(kernel.map.map_stack(&mut kernel.machine.memory, 0).expect("room"));
        }
        let shared = kernel_half(&kernel, space.tables());
        assert_eq!(shared, kernel_half(&kernel, kernel.map.tables()), "{mode:?}: with stacks");
        let first = stacks[0].pages().start;
        assert!(tlb.answers(first.0).iter().any(Option::is_some), "{mode:?}: a CPU in the space reaches a stack");
        for stack in stacks {
            tlb.watch_books(&mut kernel.machine.memory);
            kernel.map.unmap_stack(&mut kernel.machine.memory, &tlb, stack);
        }
        assert!(tlb.answers(first.0).iter().all(Option::is_none), "{mode:?}: a stale translation");
        assert_eq!(
            kernel_half(&kernel, space.tables()),
            kernel_half(&kernel, kernel.map.tables()),
            "{mode:?}: without"
        );
        drop(tlb);
        free(&mut kernel, space);
        assert_eq!(kernel.machine.memory.free_frames(), before, "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn user_halves_have_nothing_in_common() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let before = kernel.machine.memory.free_frames();
        let memory = &mut kernel.machine.memory;
        let one = kernel.map.new_space(memory).expect("room");
        let other = kernel.map.new_space(memory).expect("room");
        assert_ne!(one.number(), other.number());
        one.map(memory, &page(HERE, 100, Rights::WRITE)).expect("free");
        other.map(memory, &page(HERE, 101, Rights::WRITE)).expect("free");
        let frame = |tables: &mm::PageMap, memory: &mm::Memory| tables.query(memory, HERE).map(|leaf| leaf.frame);
        assert_eq!(frame(one.tables(), memory), Some(Frame(100)));
        assert_eq!(frame(other.tables(), memory), Some(Frame(101)));
        assert_eq!(frame(kernel.map.tables(), memory), None);
        // SAFETY: no CPU runs.
        unsafe { one.unmap(memory, PageRange::new(HERE, 1), None).expect("mapped").forget(memory) };
        assert_eq!(frame(other.tables(), memory), Some(Frame(101)));
        free(&mut kernel, one);
        free(&mut kernel, other);
        assert_eq!(kernel.machine.memory.free_frames(), before, "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn what_is_not_the_users_is_refused() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let memory = &mut kernel.machine.memory;
        let space = kernel.map.new_space(memory).expect("room");
        let half = space.tables().paging().routines.info.kernel_half();
        assert_eq!(space.map(memory, &page(half, 1, Rights::WRITE)), Err(MapError::NotOffered), "{mode:?}");
        assert_eq!(space.map(memory, &page(VirtAddr(0), 1, Rights::WRITE)), Err(MapError::NotOffered), "{mode:?}");
        let global = page(HERE, 1, Rights::WRITE | Rights::GLOBAL);
        assert_eq!(space.map(memory, &global), Err(MapError::NotOffered), "{mode:?}");
        let last = PageRange::new(VirtAddr(half.0 - PAGE_SIZE), 2);
        assert!(space.unmap(memory, last, None).is_err(), "{mode:?}");
        // There is an end to them, and a number comes again.
        let mut spaces = Vec::new();
        let refusal = loop {
            match kernel.map.new_space(memory) {
                Ok(space) => spaces.push(space),
                Err(error) => break error,
            }
        };
        // With the kernel's own and the first.
        let all = spaces.len() + 2 == AddressSpace::MOST;
        assert_eq!(refusal, if all { MapError::TooMany } else { MapError::NoMemory }, "{mode:?}");
        assert!((3..AddressSpace::MOST - 1).contains(&spaces.len()), "{mode:?}");
        let left = spaces.remove(1);
        let number = left.number();
        free(&mut kernel, left);
        let again = kernel.map.new_space(&mut kernel.machine.memory).expect("room");
        assert_eq!(again.number(), number);
        // No other mode can be entered that they do not have.
        let paging = paging(mode);
        assert!(matches!(
            kernel.map.twin(&mut kernel.machine.memory, paging, core::iter::empty()),
            Err(MapError::NotOffered)
        ));
        for space in spaces.into_iter().chain([space, again]) {
            free(&mut kernel, space);
        }
        kernel.shut_down();
    }
}
