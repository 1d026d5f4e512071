//! Kernel stacks in the dynamic region: their guards, their frames, and what happens when there are too many.

use mm::{Frame, MapError, PAGE_SIZE, PageRange, Rights, Stack, VirtAddr};

use crate::kernel_map::{Kernel, RAM, kernel, kernel_of, paging};
use crate::machine::mmu::Mode;
use crate::machine::{FULL, MODES, cpu};

/// The pages of `stack` are mapped for the kernel to write, and the page below and the one behind are not mapped.
fn check(kernel: &Kernel, stack: &Stack) {
    let memory = &kernel.machine.memory;
    let PageRange { start, pages } = stack.pages();
    let first = kernel.map.tables().query(memory, start).expect("mapped").frame;
    for page in 0..pages {
        let at = start.offset(page * PAGE_SIZE);
        let leaf = kernel.map.tables().query(memory, at).expect("mapped");
        assert_eq!(leaf.frame, Frame(first.0 + page));
        assert!(leaf.flags.rights.contains(Rights::WRITE) && !leaf.flags.rights.contains(Rights::USER));
        assert_eq!(kernel.map.name_of(at), "stacks");
    }
    let below = VirtAddr(start.0 - 1);
    assert_eq!(kernel.map.tables().query(memory, below), None);
    assert_eq!(kernel.map.name_of(below), "stacks");
    assert_eq!(stack.top(), start.offset(pages * PAGE_SIZE));
    assert_eq!(kernel.map.tables().query(memory, stack.top()), None, "the next stack's guard");
}

#[test]
fn stacks_have_guards_and_their_frames_come_home() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let root = kernel.map.tables().root();
        let tlb = kernel.machine.tlb(kernel.cpu, root);
        let free = kernel.machine.memory.free_frames();
        let too_large = kernel.map.map_stack(&mut kernel.machine.memory, Stack::MAX_ORDER + 1);
        assert!(matches!(too_large, Err(MapError::NotOffered)));
        let mut stacks = Vec::new();
        for order in [0, Stack::MAX_ORDER, 1, Stack::MAX_ORDER] {
            let stack = kernel.map.map_stack(&mut kernel.machine.memory, order).expect("room");
            assert_eq!(stack.pages().pages, 1 << order);
            stacks.push(stack);
        }
        for stack in &stacks {
            check(&kernel, stack);
        }
        // A place that was left is taken again.
        let left = stacks.remove(1);
        let at = left.top();
        assert!(tlb.answers(at.0 - 8).iter().any(Option::is_some));
        tlb.watch_books(&mut kernel.machine.memory);
        kernel.map.unmap_stack(&mut kernel.machine.memory, &tlb, left);
        assert!(tlb.answers(at.0 - 8).iter().all(Option::is_none), "{mode:?}: a stale translation");
        assert_eq!(kernel.map.tables().query(&kernel.machine.memory, VirtAddr(at.0 - 1)), None, "{mode:?}");
        let again = kernel.map.map_stack(&mut kernel.machine.memory, 1).expect("room");
        assert_eq!(again.top(), at, "{mode:?}");
        check(&kernel, &again);
        stacks.push(again);
        for stack in stacks {
            tlb.watch_books(&mut kernel.machine.memory);
            kernel.map.unmap_stack(&mut kernel.machine.memory, &tlb, stack);
        }
        // What the tables took is not more than two levels of them.
        assert!(free - kernel.machine.memory.free_frames() <= 3, "{mode:?}");
        drop(tlb);
        kernel.shut_down();
    }
}

#[test]
fn as_many_stacks_as_there_is_room_and_memory_for() {
    // Frames run out first, and then places.
    for (mode, frames) in MODES.into_iter().flat_map(|mode| [(mode, 800), (mode, 800 + Stack::MOST)]) {
        let mut kernel = kernel_of(mode, frames);
        let mut stacks = Vec::new();
        let error = loop {
            match kernel.map.map_stack(&mut kernel.machine.memory, 0) {
                Ok(stack) => stacks.push(stack),
                Err(error) => break error,
            }
        };
        let free = kernel.machine.memory.free_frames();
        match error {
            MapError::NoMemory => assert_eq!(free, 0, "{mode:?}: {} stacks", stacks.len()),
            error => assert_eq!((error, stacks.len()), (MapError::NoRoom, Stack::MOST), "{mode:?}"),
        }
        assert_eq!(error == MapError::NoRoom, frames > 800, "{mode:?}, {frames} frames: {error}");
        for stack in &stacks {
            check(&kernel, stack);
        }
        let tlb = kernel.machine.tlb(kernel.cpu, kernel.map.tables().root());
        for stack in stacks {
            tlb.watch_books(&mut kernel.machine.memory);
            kernel.map.unmap_stack(&mut kernel.machine.memory, &tlb, stack);
        }
        drop(tlb);
        kernel.shut_down();
    }
}

#[test]
fn a_twin_has_the_same_stacks_at_the_same_place() {
    for (base, extended) in [(Mode::Pml2, Mode::Pml3), (Mode::Pml4, Mode::Pml5), (Mode::Pml5, Mode::Pml4)] {
        let mut kernel = kernel(base);
        let memory = &mut kernel.machine.memory;
        let stacks = [1, 2].map(|order| kernel.map.map_stack(memory, order).expect("room"));
        let first = stacks
            .each_ref()
            .map(|stack| kernel.map.tables().query(memory, stack.pages().start).expect("mapped").frame);
        let twin = kernel.map.twin(memory, paging(extended), RAM.into_iter()).expect("there is room");
        let mut twin = Kernel { machine: kernel.machine, cpu: cpu(extended, &FULL), map: twin };
        for (stack, first) in stacks.iter().zip(first) {
            check(&twin, stack);
            let leaf = twin.map.tables().query(&twin.machine.memory, stack.pages().start).expect("mapped");
            assert_eq!(leaf.frame, first, "{base:?} to {extended:?}");
        }
        // A new one does not lie where an old one is.
        let more = twin.map.map_stack(&mut twin.machine.memory, 0).expect("room");
        assert!(stacks.iter().all(|stack| stack.top() != more.top()));
        let tlb = twin.machine.tlb(twin.cpu, twin.map.tables().root());
        kernel.map.free(&mut twin.machine.memory, &tlb);
        let [one, two] = stacks;
        for stack in [one, two, more] {
            tlb.watch_books(&mut twin.machine.memory);
            twin.map.unmap_stack(&mut twin.machine.memory, &tlb, stack);
        }
        drop(tlb);
        twin.shut_down();
    }
}
