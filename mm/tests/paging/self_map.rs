//! The self-map: its arithmetic against literal formulas, and what the CPU sees through it.

use mm::{PageFlags, Pte, Rights, VirtAddr};

use crate::machine::mmu::{Access, Fault, Mode};
use crate::machine::rng::Rng;
use crate::machine::{Booted, MODES, routines};

/// Addresses on every edge, and many that are on none; every one canonical.
fn addresses(mode: Mode) -> Vec<u64> {
    let edges: &[u64] = match mode {
        Mode::Pml2 | Mode::Pml3 => {
            &[0, 1, 0xFFF, 0x1000, 0xBFFF_FFFF, 0xC000_0000, 0xFF7F_FFFF, 0xFF80_0000, 0xFFC0_0000, 0xFFFF_FFFF]
        }
        Mode::Pml4 => &[
            0,
            0xFFF,
            0x0000_7FFF_FFFF_FFFF,
            0xFFFF_8000_0000_0000,
            0xFFFF_F67F_FFFF_FFFF,
            0xFFFF_F680_0000_0000,
            0xFFFF_F6FB_7DBE_DF68,
            0xFFFF_F6FF_FFFF_FFFF,
            0xFFFF_F700_0000_0000,
            0xFFFF_FFFF_FFFF_FFFF,
        ],
        Mode::Pml5 => &[
            0,
            0xFFF,
            0x00FF_FFFF_FFFF_FFFF,
            0xFF00_0000_0000_0000,
            0xFFEC_FFFF_FFFF_FFFF,
            0xFFED_0000_0000_0000,
            0xFFED_F6FB_7DBE_DF68,
            0xFFED_FFFF_FFFF_FFFF,
            0xFFEE_0000_0000_0000,
            0xFFFF_FFFF_FFFF_FFFF,
        ],
    };
    let mask = match mode {
        Mode::Pml2 | Mode::Pml3 => 0xFFFF_FFFF,
        Mode::Pml4 => 0x0000_FFFF_FFFF_FFFF,
        Mode::Pml5 => 0x01FF_FFFF_FFFF_FFFF,
    };
    let mut rng = Rng::new(3);
    edges.iter().copied().chain((0..20_000).map(|_| mode.extend(rng.next() & mask))).collect()
}

#[test]
fn entry_addresses_are_those_of_the_formulas() {
    for mode in MODES {
        let info = &routines(mode).info;
        let (first, last) = mode.self_map();
        assert_eq!(info.self_map_base().0, first);
        assert_eq!(info.self_map_span() - 1, last - first);
        for va in addresses(mode) {
            assert!(info.is_canonical(VirtAddr(va)));
            assert_eq!(info.in_self_map(VirtAddr(va)), (first..=last).contains(&va), "{va:#x}");
            for level in 1..=mode.levels() {
                let at = info.entry_address(VirtAddr(va), level);
                assert_eq!(at.0, mode.entry_address(va, level), "{mode:?}, {va:#x}, level {level}");
                assert!(info.in_self_map(at), "{mode:?}, {va:#x}, level {level}: {at}");
            }
            let index: Vec<u64> = (1..=mode.levels()).map(|level| info.index(VirtAddr(va), level) as u64).collect();
            assert_eq!(index, (1..=mode.levels()).map(|level| mode.index(va, level)).collect::<Vec<_>>());
        }
        for level in 1..=mode.levels() {
            assert_eq!(info.entry_base(level).0, mode.entry_address(0, level), "{mode:?}, level {level}");
        }
    }
}

#[test]
fn addresses_outside_the_mode_are_not_canonical() {
    let cases: [(Mode, u64, bool); 12] = [
        (Mode::Pml2, 0xFFFF_FFFF, true),
        (Mode::Pml2, 0x1_0000_0000, false),
        (Mode::Pml3, 0xFFFF_FFFF_FFFF_FFFF, false),
        (Mode::Pml4, 0x0000_7FFF_FFFF_FFFF, true),
        (Mode::Pml4, 0x0000_8000_0000_0000, false),
        (Mode::Pml4, 0xFFFF_7FFF_FFFF_FFFF, false),
        (Mode::Pml4, 0xFFFF_8000_0000_0000, true),
        (Mode::Pml4, 0x00FF_FFFF_FFFF_FFFF, false),
        (Mode::Pml5, 0x00FF_FFFF_FFFF_FFFF, true),
        (Mode::Pml5, 0x0100_0000_0000_0000, false),
        (Mode::Pml5, 0xFEFF_FFFF_FFFF_FFFF, false),
        (Mode::Pml5, 0xFF00_0000_0000_0000, true),
    ];
    for (mode, va, canonical) in cases {
        assert_eq!(routines(mode).info.is_canonical(VirtAddr(va)), canonical, "{mode:?}, {va:#x}");
    }
}

const READ: Access = Access { write: false, fetch: false, user: false };

/// Reads the entry of every step on the way to `va` through the self-map, as the CPU would.
fn see_path(booted: &Booted, va: u64) -> u32 {
    let mode = booted.cpu.mode;
    let mut seen = 0;
    booted.map.path(&booted.machine.memory, VirtAddr(va), &mut |step| {
        let at = mode.entry_address(va, step.level);
        let (phys, leaf) = booted.translate(at, READ).unwrap_or_else(|fault| panic!("{at:#x} for {va:#x}: {fault:?}"));
        let raw = booted.machine.arena.read(phys, mode.entry_bytes() as usize);
        if mode == Mode::Pml3 && step.level == 3 {
            // Registers to the CPU: the self-map shows the directory entry that names the same directory.
            let Pte::Table(directory, _) = step.pte else { panic!("all directories are linked") };
            assert_eq!((raw & 0xF_FFFF_FFFF_F000) >> 12, directory.0, "{va:#x}");
        } else {
            assert_eq!((phys, raw), (step.at.0, step.raw), "{mode:?}, {va:#x}, level {}", step.level);
        }
        assert!(!leaf.passed.write && !leaf.passed.user, "the self-map can be written at {at:#x}");
        assert_eq!(leaf.passed.exec, mode == Mode::Pml2, "{at:#x}");
        for access in [Access { write: true, ..READ }, Access { user: true, ..READ }] {
            assert!(matches!(booted.translate(at, access), Err(Fault::Page(code)) if code & 1 == 1), "{access:?}");
        }
        seen += 1;
    });
    seen
}

#[test]
fn the_cpu_reads_every_entry_through_the_self_map() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        let flags = PageFlags::new(Rights::WRITE);
        let kernel = mode.kernel_half();
        let top = if kernel == 0xC000_0000 { 0xBFFF_F000 } else { (kernel.wrapping_neg()) - 0x1000 };
        for (start, pages) in
            [(0, 1), (0x40_0000, 1024), (0x80_0000, 3), (top, 1), (kernel, 2), (kernel + 0x80_0000, 2048)]
        {
            booted
                .map(start, pages, start >> 12 & 0xF_FFFF, flags)
                .unwrap_or_else(|error| panic!("{start:#x}: {error}"));
        }
        let mut complete = 0;
        let mapped =
            [0, 0x40_0000, 0x40_1FFF, 0x80_2000, top, top + 0xFFF, kernel, kernel + 0x1000, kernel + 0xFF_F000];
        for va in mapped.into_iter().chain(addresses(mode).into_iter().take(500)) {
            // In the self-map, an entry's entry is again in the self-map, so its path can be seen as well.
            complete += u32::from(see_path(&booted, va) >= u32::from(mode.levels()));
        }
        assert!(complete >= 5, "{mode:?}: {complete} complete paths");
        booted.shut_down();
    }
}
