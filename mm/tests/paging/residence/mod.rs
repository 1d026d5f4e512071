//! Several CPUs, each of which keeps the address spaces that it leaves (PCID), with caches that remember all they may.
//!
//! The steps are those of the kernel: a CPU that is asked to forget answers later, and goes elsewhere meanwhile or comes at that very
//! moment. After each step every CPU may say nothing but what the tables say that it has loaded. Each of the harness' mistakes has to
//! be found.

mod cpus;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mm::{
    AddressSpace, Change, Flush, Forget, Frame, MapRequest, PageFlags, PageRange, Residence, Rights, Stack, VirtAddr,
};

use crate::kernel_map::{Kernel, kernel};
use crate::machine::mmu::Mode;
use crate::machine::rng::Rng;
use crate::machine::tlb::Tlb;
use cpus::{CPUS, Cpus, In, Mistake, PAGES, SPACES};

const LONG_MODES: [Mode; 2] = [Mode::Pml4, Mode::Pml5];

struct World {
    kernel: Kernel,
    cpus: Cpus,
    spaces: [Option<AddressSpace>; SPACES],
    stacks: Vec<Stack>,
    probes: Vec<u64>,
}

impl World {
    fn new(mode: Mode, seed: u64, mistake: Mistake) -> Self {
        let kernel = kernel(mode);
        let root = kernel.map.tables().root();
        let tlbs: Vec<Tlb> = (0..CPUS).map(|_| kernel.machine.tlb(kernel.cpu, root)).collect();
        let residence = Residence::new();
        for (cpu, tlb) in tlbs.iter().enumerate() {
            tlb.set_pcide(residence.keep(cpu));
        }
        let roots = RefCell::new([Some(root), None, None, None]);
        let cpus = Cpus { tlbs, residence, roots, chance: RefCell::new(Rng::new(seed)), mistake };
        let info = &kernel.map.tables().paging().routines.info;
        let pages = PAGES.map(|page| VirtAddr(page << 12));
        let seen = |va: &VirtAddr| [va.0, info.entry_address(*va, 1).0, info.entry_address(*va, 2).0];
        let probes = pages.iter().flat_map(seen).collect();
        Self { kernel, cpus, spaces: [const { None }; SPACES], stacks: Vec::new(), probes }
    }

    fn check(&self) {
        self.cpus.check(&self.probes);
    }

    /// Makes the space of that number, or gives it back.
    fn open_or_close(&mut self, at: usize) {
        let memory = &mut self.kernel.machine.memory;
        let Some(space) = self.spaces[at].take() else {
            let Ok(space) = self.kernel.map.new_space(memory) else { return };
            let number = space.number();
            self.cpus.roots.borrow_mut()[number] = Some(space.tables().root());
            self.spaces[number - 1] = Some(space);
            return;
        };
        let number = space.number();
        self.cpus.roots.borrow_mut()[number] = None;
        (0..CPUS).filter(|cpu| self.cpus.residence.loaded(*cpu) == number).for_each(|cpu| self.cpus.enter(cpu, 0));
        if self.cpus.mistake != Mistake::Reuse {
            self.cpus.residence.change(number);
        }
        // SAFETY: no CPU has it loaded, and none will use what it keeps of it.
        unsafe { self.kernel.map.free_space(memory, space) };
    }

    /// Maps a page, or unmaps it, in the space of that number.
    fn turn(&mut self, number: usize, page: u64, frame: u64) {
        let range = PageRange::new(VirtAddr(page << 12), 1);
        let request = MapRequest { range, first: Frame(frame), flags: PageFlags::new(Rights::WRITE) };
        let memory = &mut self.kernel.machine.memory;
        let Some(at) = number.checked_sub(1) else {
            if self.kernel.map.map_user(memory, &request).is_err() {
                let stale = self.kernel.map.unmap_user(memory, range, None).expect("it is mapped");
                stale.flush(memory, &self.cpus);
            }
            return;
        };
        let Some(space) = &self.spaces[at] else { return };
        if space.map(memory, &request).is_err() {
            let stale = space.unmap(memory, range, None).expect("it is mapped");
            stale.flush(memory, &In(&self.cpus, number));
        }
    }

    /// Two changes of a space at a time, of which a CPU may learn in the other order.
    fn turn_two(&mut self, number: usize) {
        let Some(space) = number.checked_sub(1).and_then(|at| self.spaces[at].as_ref()) else { return };
        let memory = &mut self.kernel.machine.memory;
        let mut asked = Vec::new();
        let pair = [PAGES[0], PAGES[1]];
        for page in pair {
            let range = PageRange::new(VirtAddr(page << 12), 1);
            let request = MapRequest { range, first: Frame(page), flags: PageFlags::new(Rights::WRITE) };
            // If something else is there, that is as good.
            space.map(memory, &request).unwrap_or_default();
        }
        self.cpus.tlbs.iter().for_each(|tlb| pair.iter().for_each(|page| drop(tlb.answers(page << 12))));
        for page in pair {
            let range = PageRange::new(VirtAddr(page << 12), 1);
            let Ok(stale) = space.unmap(memory, range, None) else { continue };
            let change = match self.cpus.mistake {
                Mistake::Generation => Change { number, generation: usize::MAX },
                _ => self.cpus.residence.change(number),
            };
            let flush = Flush::page(range.start);
            for cpu in self.cpus.concerned(number) {
                asked.push((cpu, change, flush));
            }
            // SAFETY: all who had the page in their caches are asked below; no table was taken out.
            unsafe { stale.forget(memory) };
        }
        while !asked.is_empty() {
            self.cpus.move_about();
            let (cpu, change, flush) = asked.swap_remove(self.cpus.below(asked.len() as u64));
            self.cpus.tlbs[cpu].accept_books();
            self.cpus.answer(cpu, change, &flush);
        }
    }

    /// Maps a stack, or unmaps the last few: with the last goes a table.
    fn stack(&mut self) {
        let memory = &mut self.kernel.machine.memory;
        if self.stacks.len() < 3 && self.cpus.below(2) == 0 {
            let stack = self.kernel.map.map_stack(memory, 0).expect("there is room");
            let at = stack.pages().start;
            let info = &self.kernel.map.tables().paging().routines.info;
            for va in [at, info.entry_address(at, 1), info.entry_address(at, 2)] {
                if !self.probes.contains(&va.0) {
                    self.probes.push(va.0);
                }
            }
            self.stacks.push(stack);
        } else if let Some(stack) = self.stacks.pop() {
            self.kernel.map.unmap_stack(memory, &self.cpus, stack);
        }
    }

    fn end(mut self) -> usize {
        while let Some(stack) = self.stacks.pop() {
            self.kernel.map.unmap_stack(&mut self.kernel.machine.memory, &self.cpus, stack);
        }
        for at in 0..SPACES {
            if self.spaces[at].is_some() {
                self.open_or_close(at);
            }
        }
        let memory = &mut self.kernel.machine.memory;
        let stale = self.kernel.map.trim_user(memory).expect("the user half");
        stale.flush(memory, &self.cpus);
        let flushes = self.cpus.tlbs.iter().map(|tlb| tlb.flushes() as usize).sum();
        drop(self.cpus);
        self.kernel.shut_down();
        flushes
    }
}

fn run(mode: Mode, seed: u64, mistake: Mistake) -> usize {
    let mut world = World::new(mode, seed, mistake);
    for step in 0..150 {
        let (number, page) = (world.cpus.below(SPACES as u64 + 1), PAGES[world.cpus.below(4)]);
        match world.cpus.below(16) {
            0 => world.open_or_close(number.max(1) - 1),
            1 => world.stack(),
            2 => world.turn_two(number),
            3..=8 => world.cpus.move_about(),
            _ => world.turn(number, page, 0x2000 + step),
        }
        world.check();
    }
    world.end()
}

#[test]
fn cpus_that_keep_spaces_see_nothing_that_is_gone() {
    for mode in LONG_MODES {
        for seed in 1..16 {
            println!("{mode:?}, seed {seed}");
            run(mode, seed, Mistake::None);
        }
    }
}

/// The harness itself, and that nothing in the rules is there for nothing.
#[test]
fn every_mistake_is_found() {
    for mistake in [Mistake::Generation, Mistake::Asking, Mistake::KernelHalf, Mistake::Reuse, Mistake::Missed] {
        let mut found = 0;
        for seed in 1..41 {
            let careless = || run(Mode::Pml4, seed, mistake);
            let Err(panic) = catch_unwind(AssertUnwindSafe(careless)) else { continue };
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(
                ["stale", "reserved", "given back", "no memory"].iter().any(|word| words.contains(word)),
                "{mistake:?}: {words}"
            );
            found += 1;
        }
        assert!(found > 3, "{mistake:?} was found by {found} programs of 40");
    }
}

/// What a CPU keeps is good while nothing changes, and not afterwards; the others' is not touched.
#[test]
fn a_space_is_warm_until_something_in_it_changes() {
    let residence = Residence::<3, 2>::new();
    let enter = |cpu, number| {
        let mut told = None;
        let entered = residence.enter(cpu, number, |warm| told = Some(warm));
        assert_eq!(entered, told);
        entered
    };
    assert!(residence.keep(0) && residence.keep(1) && !residence.keep(2), "as many as may");
    for cpu in 0..3 {
        let keeps = residence.keeps(cpu);
        assert_eq!(keeps, cpu < 2);
        assert_eq!(enter(cpu, 0), None, "that is loaded");
        assert_eq!(enter(cpu, 5), Some(false), "nobody has been there");
        assert_eq!(enter(cpu, 0), Some(false), "nothing is known of what there was before");
        assert_eq!((enter(cpu, 5), enter(cpu, 0)), (Some(keeps), Some(keeps)));
    }
    // One is there while the other is not.
    enter(1, 5);
    let change = residence.change(5);
    assert_eq!([0, 1, 2].map(|cpu| residence.is_live(5, cpu)), [false, true, false]);
    assert_eq!([0, 1, 2].map(|cpu| residence.forget(cpu, change)), [Forget::Nothing, Forget::Named, Forget::Nothing]);
    assert_eq!(residence.forget(1, change), Forget::Nothing, "it has");
    assert_eq!((enter(1, 0), enter(1, 5)), (Some(true), Some(true)), "it has forgotten what was stale");
    assert_eq!((enter(0, 5), enter(0, 0), enter(0, 5)), (Some(false), Some(true), Some(true)));
    // Of the second it learns first.
    let (first, second) = (residence.change(5), residence.change(5));
    assert_eq!(residence.forget(1, second), Forget::Space);
    assert_eq!(residence.forget(1, first), Forget::Nothing);
    // Who keeps nothing forgets what is named, as often as it is asked.
    enter(2, 5);
    assert_eq!([first, first].map(|change| residence.forget(2, change)), [Forget::Named; 2]);
    residence.keep_loaded_only(1);
    assert_eq!((enter(1, 0), enter(1, 5)), (Some(false), Some(true)), "what is loaded it forgets itself");
}

/// A change at the moment at which a CPU has loaded the root, and does not answer yet: it is found, and asked.
#[test]
fn a_change_while_a_cpu_enters_reaches_it() {
    let residence = Residence::<1, 1>::new();
    residence.keep(0);
    for number in [5, 0] {
        residence.enter(0, number, |_| ());
    }
    let mut change = None;
    let warm = residence.enter(0, 5, |_| {
        change = Some(residence.change(5));
        assert!(residence.is_live(5, 0), "who looks finds the CPU");
    });
    assert_eq!(warm, Some(true));
    assert_eq!(residence.forget(0, change.expect("it was loaded")), Forget::Named);
}
