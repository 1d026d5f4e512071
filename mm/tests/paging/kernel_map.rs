//! The kernel's own tree: what is in it, what is not, and what it refuses.

use mm::{Cache, Frame, FrameRun, KernelMap, Layout, MapError, MapRequest, Mmu, OwnedFrames, PageFlags, PageRange};
use mm::{Paging, PhysAddr, Rights, Section, VirtAddr};

use crate::machine::mmu::{Cpu, Leaf, Mode};
use crate::machine::model::{Model, Run};
use crate::machine::tlb::Tlb;
use crate::machine::{FULL, MODES, Machine, cpu, routines};

/// The kernel's image, loaded at 1 MiB: text, constants, a guard page, data.
const fn image(base: u64) -> [Section; 4] {
    const fn section(name: &'static str, base: u64, at: u64, pages: u64, flags: Option<PageFlags>) -> Section {
        Section { name, pages: PageRange::new(VirtAddr(base + (at << 12)), pages), first: Frame(0x100 + at), flags }
    }
    [
        section("text", base, 0, 0x23, Some(PageFlags::TEXT)),
        section("rodata", base, 0x23, 0x11, Some(PageFlags::RODATA)),
        section("guard", base, 0x34, 1, None),
        section("data", base, 0x35, 0x200, Some(PageFlags::DATA)),
    ]
}

static I686: [Section; 4] = image(0xC010_0000);
static AMD64: [Section; 4] = image(0xFFFF_FFFF_8010_0000);

/// RAM with a hole at 640 KiB, an odd end, and a piece beyond 4 GiB.
pub const RAM: [FrameRun; 3] = [
    FrameRun { first: Frame(1), count: 0x9E },
    FrameRun { first: Frame(0x100), count: 0x5_0123 },
    FrameRun { first: Frame(0x10_0000), count: 0x8_0000 },
];

pub fn sections(mode: Mode) -> &'static [Section] {
    if matches!(mode, Mode::Pml2 | Mode::Pml3) { &I686 } else { &AMD64 }
}

pub struct Kernel {
    pub machine: Machine,
    pub cpu: Cpu,
    pub map: KernelMap,
}

pub fn paging(mode: Mode) -> Paging {
    Paging::new(routines(mode), &FULL)
}

fn build(mode: Mode, frames: usize) -> Result<Kernel, (Box<Machine>, MapError)> {
    let paging = paging(mode);
    let mut machine = Machine::new(&cpu(mode, &FULL), frames);
    match KernelMap::build(&mut machine.memory, paging, sections(mode), RAM.into_iter()) {
        Ok(map) => Ok(Kernel { machine, cpu: cpu(mode, &FULL), map }),
        Err(error) => Err((Box::new(machine), error)),
    }
}

pub fn kernel(mode: Mode) -> Kernel {
    kernel_of(mode, 800)
}

/// A kernel with this many frames.
pub fn kernel_of(mode: Mode, frames: usize) -> Kernel {
    build(mode, frames).unwrap_or_else(|(_, error)| panic!("{mode:?}: {error}"))
}

impl Kernel {
    fn leaves(&self) -> Vec<Leaf> {
        let scan = self.machine.scan(&self.cpu, self.map.tables().root());
        scan.leaves.into_iter().map(|(_, leaf)| leaf).collect()
    }

    pub fn model(&self) -> Model {
        let mut model = Model::default();
        for leaf in self.leaves() {
            let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
            model.push(leaf.start >> 12, Run { pages: leaf.bytes >> 12, frame: leaf.phys >> 12, flags });
        }
        model
    }

    pub fn shut_down(mut self) {
        let tlb = self.machine.tlb(self.cpu, self.map.tables().root());
        self.map.free(&mut self.machine.memory, &tlb);
        self.machine.assert_all_home();
    }
}

/// What the tree should hold: the design's words, page by page.
fn expected(mode: Mode) -> Model {
    let nx = mode != Mode::Pml2;
    let flags =
        |flags: PageFlags| PageFlags { rights: if nx { flags.rights } else { flags.rights | Rights::EXEC }, ..flags };
    let in_aperture = matches!(mode, Mode::Pml2 | Mode::Pml3);
    let (aperture, shown) = if in_aperture { (0xC000_0000, 0x3_0000) } else { (mode.kernel_half(), u64::MAX) };
    let mut model = Model::default();
    for frame in RAM.iter().flat_map(|run| run.first.0..run.end().0.min(shown)) {
        let section = sections(mode).iter().find(|section| frame.wrapping_sub(section.first.0) < section.pages.pages);
        let permitted = match section.map(|section| section.flags) {
            None => Some(PageFlags::DATA),
            Some(None) if in_aperture => None,
            Some(None) => Some(PageFlags::DATA),
            Some(Some(own)) if in_aperture => Some(own),
            // The alias of an image that lies elsewhere is never executed.
            Some(Some(own)) => Some(PageFlags { rights: own.rights - Rights::EXEC, ..own }),
        };
        if let Some(permitted) = permitted {
            model.push((aperture >> 12) + frame, Run { pages: 1, frame, flags: flags(permitted) });
        }
    }
    if !in_aperture {
        for section in sections(mode) {
            if let Some(own) = section.flags {
                let run = Run { pages: section.pages.pages, frame: section.first.0, flags: flags(own) };
                model.push(section.pages.start.0 >> 12, run);
            }
        }
    }
    model
}

#[test]
fn the_tree_holds_ram_and_the_image_and_nothing_else() {
    for mode in MODES {
        let kernel = kernel(mode);
        assert!(kernel.model() == expected(mode).joined(), "{mode:?}: {:#x?}", kernel.model());
        kernel.shut_down();
    }
}

#[test]
fn no_page_can_be_both_written_and_executed_by_any_address() {
    for mode in MODES {
        let kernel = kernel(mode);
        let text = &sections(mode)[0];
        let rodata = &sections(mode)[1];
        for leaf in kernel.leaves() {
            assert!(leaf.start >= mode.kernel_half() && !leaf.passed.user && leaf.global, "{mode:?}: {leaf:x?}");
            assert!(leaf.cache == Cache::WriteBack, "{mode:?}: {leaf:x?}");
            // Without NX, what cannot be executed cannot be had.
            assert!(mode == Mode::Pml2 || !(leaf.passed.write && leaf.passed.exec), "{mode:?}: {leaf:x?}");
            for section in [text, rodata] {
                let meets = leaf.phys >> 12 < section.first.0 + section.pages.pages
                    && section.first.0 < (leaf.phys + leaf.bytes) >> 12;
                assert!(!(meets && leaf.passed.write), "{mode:?}: a writable alias of {}: {leaf:x?}", section.name);
            }
        }
        kernel.shut_down();
    }
}

#[test]
fn large_pages_are_used_where_they_fit() {
    let largest =
        [(Mode::Pml2, 0x40_0000), (Mode::Pml3, 0x20_0000), (Mode::Pml4, 0x4000_0000), (Mode::Pml5, 0x4000_0000)];
    for (mode, bytes) in largest {
        let kernel = kernel(mode);
        assert_eq!(kernel.leaves().iter().map(|leaf| leaf.bytes).max(), Some(bytes), "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn building_loses_nothing_when_memory_runs_out() {
    for mode in MODES {
        let mut refused = 0;
        let needed = (0..).find(|frames| match build(mode, *frames) {
            Ok(kernel) => {
                kernel.shut_down();
                true
            }
            Err((machine, error)) => {
                assert_eq!(error, MapError::NoMemory, "{mode:?}, {frames} frames");
                machine.assert_all_home();
                refused += 1;
                false
            }
        });
        println!("{mode:?}: {needed:?} frames");
        assert!(refused > 2, "{mode:?}");
    }
}

#[test]
fn the_user_half_is_offered_and_nothing_else() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let before = kernel.model();
        let layout = Layout::of(&routines(mode).info);
        let user = PageFlags::new(Rights::USER | Rights::WRITE);
        let outside =
            [0, layout.user.last_byte().0 + 1, layout.aperture.start.0, layout.dynamic.start.0, mode.self_map().0];
        for start in outside {
            let range = PageRange::new(VirtAddr(start), 1);
            let memory = &mut kernel.machine.memory;
            let mapped = kernel.map.map_user(memory, &MapRequest { range, first: Frame(0x200), flags: user });
            assert!(mapped.is_err(), "{mode:?}, {start:#x}");
            assert!(kernel.map.unmap_user(memory, range, None).is_err(), "{mode:?}, {start:#x}");
            assert!(kernel.map.protect_user(memory, range, user).is_err(), "{mode:?}, {start:#x}");
            assert!(kernel.map.merge_user(memory, range).is_err(), "{mode:?}, {start:#x}");
        }
        assert!(kernel.model() == before, "{mode:?}");
        let free = kernel.machine.free_frames();
        for start in [layout.user.start.0, layout.user.last_byte().0 - 0xFFF, 0x4000_0000] {
            let range = PageRange::new(VirtAddr(start), 1);
            let memory = &mut kernel.machine.memory;
            kernel
                .map
                .map_user(memory, &MapRequest { range, first: Frame(0x200), flags: user })
                .expect("it is offered");
            let tlb = kernel.machine.tlb(kernel.cpu, kernel.map.tables().root());
            assert!(tlb.answers(start).iter().all(Option::is_some), "{mode:?}, {start:#x}");
            let memory = &mut kernel.machine.memory;
            let stale = kernel.map.unmap_user(memory, range, None).expect("mapped");
            tlb.watch_books(memory);
            stale.flush(memory, &tlb);
            assert!(tlb.answers(start).iter().all(Option::is_none), "{mode:?}, {start:#x}");
            let stale = kernel.map.trim_user(memory).expect("the user region is a good range");
            tlb.watch_books(memory);
            stale.flush(memory, &tlb);
        }
        assert_eq!(kernel.machine.free_frames(), free, "{mode:?}: tables kept");
        assert!(kernel.model() == before, "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn an_identity_page_comes_and_goes() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let (before, free) = (kernel.model(), kernel.machine.free_frames());
        let memory = &mut kernel.machine.memory;
        kernel.map.map_identity(memory, Frame(0x105)).expect("the user region has it");
        assert_eq!(kernel.model().at(0x105).map(|(frame, _)| frame), Some(0x105));
        let tlb = kernel.machine.tlb(kernel.cpu, kernel.map.tables().root());
        tlb.answers(0x10_5000);
        // Two flushes, and tables between them: the books change in the middle.
        let memory = &mut kernel.machine.memory;
        kernel.map.unmap_identity(memory, Frame(0x105), &tlb).expect("it is mapped");
        assert!(tlb.answers(0x10_5000).iter().all(Option::is_none), "{mode:?}");
        assert!(kernel.model() == before && kernel.machine.free_frames() == free, "{mode:?}");
        kernel.shut_down();
    }
}

/// A CPU that walks to the page again between two flushes would keep it if the tables still had it.
struct GoneBefore(Tlb, VirtAddr);

impl GoneBefore {
    fn look(&self) {
        assert!(self.0.tables_say(self.1.0).is_none(), "{} is flushed and still mapped", self.1);
    }
}

impl Mmu for GoneBefore {
    fn flush_page(&self, va: VirtAddr) {
        self.look();
        self.0.flush_page(va);
    }

    fn flush_local(&self) {
        self.look();
        self.0.flush_local();
    }

    fn flush_all(&self) {
        self.look();
        self.0.flush_all();
    }
}

#[test]
fn an_identity_page_beside_others_goes_before_its_flush() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let memory = &mut kernel.machine.memory;
        kernel.map.map_identity(memory, Frame(0x105)).expect("the user region has it");
        // A neighbour keeps the table: no tables go, so that the one flush of the page is all there is.
        let neighbour = MapRequest {
            range: PageRange::new(VirtAddr(0x10_6000), 1),
            first: Frame(0x106),
            flags: PageFlags::new(Rights::USER),
        };
        kernel.map.map_user(memory, &neighbour).expect("the table is there");
        let tlb = kernel.machine.tlb(kernel.cpu, kernel.map.tables().root());
        assert!(tlb.answers(0x10_5000).iter().all(Option::is_some), "{mode:?}");
        let mmu = GoneBefore(tlb, VirtAddr(0x10_5000));
        let memory = &mut kernel.machine.memory;
        kernel.map.unmap_identity(memory, Frame(0x105), &mmu).expect("it is mapped");
        assert!(mmu.0.answers(0x10_5000).iter().all(Option::is_none), "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn devices_lie_in_a_row_with_gaps_between_them_and_never_write_back() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let memory = &mut kernel.machine.memory;
        let map = |kernel: &mut KernelMap, memory: &mut _, at, bytes, cache| {
            kernel.map_device(memory, "device", PhysAddr(at), bytes, cache)
        };
        assert_eq!(map(&mut kernel.map, memory, 0xFEE0_0000, 4096, Cache::WriteBack), Err(MapError::NotOffered));
        assert_eq!(map(&mut kernel.map, memory, 0x1FFF, u64::MAX, Cache::Uncached), Err(MapError::Wraps));
        assert_eq!(map(&mut kernel.map, memory, 0xFEE0_0000, 0, Cache::Uncached), Err(MapError::Empty));
        let everything = Layout::of(&routines(mode).info).dynamic.pages << 12;
        assert_eq!(map(&mut kernel.map, memory, 0, everything, Cache::Uncached), Err(MapError::NoRoom));
        let mut next = None;
        let mut offered = 0;
        loop {
            let address = 0xFEC0_0FF0 + offered * 0x1_0000;
            match map(&mut kernel.map, memory, address, 0x20, Cache::WriteCombining) {
                Ok(va) => {
                    assert_eq!(va.0 & 0xFFF, 0xFF0, "the offset in the page is kept");
                    assert!(next.is_none_or(|next| va.0 == next), "{mode:?}: two pages and a gap each");
                    next = Some(va.0 + 0x3000);
                    for page in [va.0, va.0 + 0x10] {
                        let leaf = kernel.map.tables().query(memory, VirtAddr(page)).expect("just mapped");
                        assert_eq!(leaf.frame.0, (address + (page - va.0)) >> 12);
                        assert_eq!(leaf.flags.cache, Cache::WriteCombining);
                        assert!(!leaf.flags.rights.contains(Rights::USER));
                    }
                    assert_eq!(kernel.map.tables().query(memory, VirtAddr(va.0 + 0x1010)), None, "{mode:?}: no gap");
                    assert_eq!(kernel.map.name_of(va), "device");
                    offered += 1;
                }
                Err(error) => {
                    assert_eq!(error, MapError::TooMany, "{mode:?}");
                    break;
                }
            }
        }
        assert_eq!(offered, 32, "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn a_frame_buffer_is_mapped_by_large_pages() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let memory = &mut kernel.machine.memory;
        let (at, bytes) = (0xFD00_0000, 5 << 20);
        kernel.map.map_device(memory, "HPET", PhysAddr(0xFED0_0000), 4096, Cache::Uncached).expect("room");
        let va =
            kernel.map.map_device(memory, "framebuffer", PhysAddr(at), bytes, Cache::WriteCombining).expect("room");
        let sizes = |megabyte: u64| {
            let leaf = kernel.map.tables().query(memory, va.offset(megabyte << 20)).expect("mapped");
            assert_eq!(leaf.flags.cache, Cache::WriteCombining);
            assert_eq!(leaf.frame.0 + ((va.0 + (megabyte << 20) - leaf.start.0) >> 12), (at >> 12) + (megabyte << 8));
            leaf.level
        };
        // 4 MiB and a rest, or twice 2 MiB and a rest.
        assert_eq!([0, 1, 2, 3, 4].map(sizes), [2, 2, 2, 2, 1], "{mode:?}");
        kernel.shut_down();
    }
}

#[test]
fn a_twin_has_the_same_devices_at_the_same_place() {
    for (base, extended) in [(Mode::Pml2, Mode::Pml3), (Mode::Pml4, Mode::Pml5), (Mode::Pml5, Mode::Pml4)] {
        let mut kernel = kernel(base);
        let memory = &mut kernel.machine.memory;
        let apic = kernel.map.map_device(memory, "APIC", PhysAddr(0xFEE0_0000), 4096, Cache::Uncached).expect("room");
        let text = kernel.map.map_constant(memory, "symbols", PhysAddr(0x20_0010), 0x1_0000).expect("room");
        let paging = paging(extended);
        let twin = kernel.map.twin(memory, paging, RAM.into_iter()).expect("there is room");
        let twin = Kernel { machine: kernel.machine, cpu: cpu(extended, &FULL), map: twin };
        let model = twin.model();
        let at = |va: VirtAddr| model.at(va.0 >> 12).map(|(frame, flags)| (frame, flags.cache));
        assert_eq!(at(apic), Some((0xFEE00, Cache::Uncached)), "{extended:?}");
        assert_eq!(at(text), Some((0x200, Cache::WriteBack)), "{extended:?}");
        let mut without = model.clone();
        without.remove(apic.0 >> 12, 1);
        without.remove(text.0 >> 12, 17);
        assert!(without.joined() == expected(extended).joined(), "{base:?} to {extended:?}");
        // Its own next device lies behind those that it took over.
        let Kernel { mut machine, cpu, map: mut twin } = twin;
        let more = twin.map_device(&mut machine.memory, "HPET", PhysAddr(0xFED0_0000), 4096, Cache::Uncached);
        assert!(more.is_ok_and(|va| va > text), "{extended:?}");
        let tlb = machine.tlb(cpu, twin.tables().root());
        kernel.map.free(&mut machine.memory, &tlb);
        tlb.watch_books(&mut machine.memory);
        twin.free(&mut machine.memory, &tlb);
        machine.assert_all_home();
    }
}

#[test]
fn what_needs_the_live_tree_is_refused_when_it_is_not() {
    for mode in MODES {
        let mut kernel = kernel(mode);
        let memory = &mut kernel.machine.memory;
        let mut frames: OwnedFrames = memory.take(0, Frame(u64::MAX)).expect("there is room");
        let tlb = kernel.machine.tlb(kernel.cpu, kernel.map.tables().root());
        let memory = &mut kernel.machine.memory;
        assert_eq!(kernel.map.with_frame(memory, &tlb, &mut frames, 0, |_| ()), Err(MapError::NotOffered));
        assert_eq!(kernel.map.self_map_entry(memory, VirtAddr(mode.kernel_half()), 1), None);
        assert_eq!(kernel.map.peek_user(memory, VirtAddr(0x1000)), Err(MapError::NotOffered));
        assert_eq!(kernel.map.poke_user(memory, &mut frames, VirtAddr(0x1000), 1), Err(MapError::NotOffered));
        assert_eq!(kernel.map.constants().count(), 0);
        memory.put(frames);
        kernel.shut_down();
    }
}
