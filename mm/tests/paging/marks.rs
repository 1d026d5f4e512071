//! Accessed and dirty: what a CPU sets in an entry while another changes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mm::{MapError, Memory, PageFlags, PageMap, PageRange, Pte, Rights, Stale, VirtAddr};

use crate::machine::mmu::Mode;
use crate::machine::watched::{self, watched};
use crate::machine::{Booted, FULL, MODES};

const WRITE: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));
const READ: PageFlags = PageFlags::new(Rights::USER);
const ACCESSED: u32 = 1 << 5;
const DIRTY: u32 = 1 << 6;

/// Where the entry lies that maps the page at `va`, and what is in it.
fn leaf(map: &PageMap, memory: &Memory, va: u64) -> (u64, u64) {
    let mut last = None;
    map.path(memory, VirtAddr(va), &mut |step| last = Some(step));
    let step = last.expect("there is a root");
    assert!(matches!(step.pte, Pte::Leaf(..)), "{va:#x} is not mapped: {step:x?}");
    (step.at.0, step.raw)
}

/// Changes pages from `start` on that have just been mapped, while a CPU writes to one of them before the store number `nth`. Tells
/// whether there was such a store.
fn marked(
    mode: Mode,
    pages: u64,
    written: u64,
    nth: usize,
    change: &dyn Fn(&mut PageMap, &mut Memory) -> Result<Stale, MapError>,
) -> bool {
    let start = 0x4000_0000;
    let mut booted = Booted::with(watched::routines(mode), mode, &FULL, 64).expect("64 frames are enough");
    // Beyond 4 GiB where there is such: the upper half of an entry is in use.
    let frame = if mode == Mode::Pml2 { 0x8_0000 } else { 0x14_0000 };
    booted.map(start, pages, frame, WRITE).expect("there is room");
    let va = start + (written << 12);
    let (at, raw) = leaf(&booted.map, &booted.machine.memory, va);
    assert_eq!(raw as u32 & (ACCESSED | DIRTY), 0, "{mode:?}: nobody has written yet");
    let (arena, looks) = (Arc::clone(&booted.machine.arena), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&looks);
    let onlooker = move || {
        // By then the entry may be another's, or the page may be there no more.
        if count.fetch_add(1, Ordering::Relaxed) == nth && arena.read(at, 4) == raw & 0xFFFF_FFFF {
            arena.set_bits(at, ACCESSED | DIRTY);
            count.store(1 << 20, Ordering::Relaxed);
        }
    };
    let stale = watched(onlooker, || change(&mut booted.map, &mut booted.machine.memory)).expect("all is mapped");
    booted.flush(stale);
    let wrote = looks.load(Ordering::Relaxed) >= 1 << 20;
    if wrote {
        let (_, raw) = leaf(&booted.map, &booted.machine.memory, va);
        let marks = raw as u32 & (ACCESSED | DIRTY);
        assert_eq!(marks, ACCESSED | DIRTY, "{mode:?}: written before store {nth}, and the mark is lost: {raw:#x}");
    }
    booted.shut_down();
    wrote
}

/// Tries it before every store.
fn no_mark_is_lost(
    mode: Mode,
    pages: u64,
    written: u64,
    change: &dyn Fn(&mut PageMap, &mut Memory) -> Result<Stale, MapError>,
) {
    let tried = (0..4000).take_while(|nth| marked(mode, pages, written, *nth, change)).count();
    assert!(tried > 0, "{mode:?}: nobody wrote in time");
}

#[test]
fn protecting_keeps_what_a_cpu_marks_meanwhile() {
    let range = |first: u64, pages| PageRange::new(VirtAddr(0x4000_0000 + (first << 12)), pages);
    for mode in MODES {
        no_mark_is_lost(mode, 3, 1, &|map, memory| map.protect(memory, range(1, 1), READ));
        no_mark_is_lost(mode, 40, 17, &|map, memory| map.protect(memory, range(3, 30), READ));
        no_mark_is_lost(mode, 3, 1, &|map, memory| {
            let (told, stale) = map.with_cursor(memory, range(1, 1), |cursor| cursor.protect(READ))?;
            told.map(|()| stale)
        });
        // Large pages, whole and in part.
        no_mark_is_lost(mode, 1024, 600, &|map, memory| map.protect(memory, range(0, 1024), READ));
        no_mark_is_lost(mode, 1024, 5, &|map, memory| map.protect(memory, range(600, 3), READ));
        no_mark_is_lost(mode, 1024, 5, &|map, memory| map.unmap(memory, range(600, 3), None));
    }
}
