//! Lists of frames, mapped in one call.

use mm::{Frame, ListRequest, MapError, PageFlags, Rights, VirtAddr};

use crate::machine::mmu::Access;
use crate::machine::model::effective;
use crate::machine::rng::Rng;
use crate::machine::{Booted, FULL, MODES};

const FLAGS: PageFlags = PageFlags::new(Rights::WRITE.union(Rights::USER));

fn map(booted: &mut Booted, start: u64, frames: &[Frame], flags: PageFlags) -> Result<(), MapError> {
    let request = ListRequest { start: VirtAddr(start), frames, flags };
    booted.map.map_list(&mut booted.machine.memory, &request)
}

/// Frames in no order, now and then two in a row and two the same.
fn scattered(rng: &mut Rng, count: usize) -> Vec<Frame> {
    (0..count).map(|_| Frame(0x400 + rng.below(0x300))).collect()
}

#[test]
fn every_page_is_mapped_onto_its_frame() {
    for mode in MODES {
        let mut rng = Rng::new(1);
        // In one table, across two, over three with whole ones between; below and above tables that are there.
        for (start, count) in [(0x1000, 1), (0x3F_E000, 5), (0x7F_F000, 2600), (mode.kernel_half() + 0x3000, 1024)] {
            let mut booted = Booted::full(mode);
            booted.map(start - 0x1000, 1, 3, FLAGS).expect("there is room");
            let frames = scattered(&mut rng, count);
            map(&mut booted, start, &frames, FLAGS).expect("there is room");
            let expected = effective(&booted.cpu, start, FLAGS);
            for (n, frame) in frames.iter().enumerate() {
                let va = start + ((n as u64) << 12);
                let access = Access { write: true, fetch: false, user: expected.rights.contains(Rights::USER) };
                let (at, _) =
                    booted.translate(va, access).unwrap_or_else(|fault| panic!("{mode:?}, {va:#x}: {fault:?}"));
                assert_eq!(at, frame.0 << 12, "{mode:?}: {va:#x}");
                let leaf = booted.map.query(&booted.machine.memory, VirtAddr(va)).expect("mapped");
                assert_eq!((leaf.level, leaf.frame, leaf.flags), (1, *frame, expected), "{mode:?}: {va:#x}");
            }
            let behind = VirtAddr(start + ((count as u64) << 12));
            assert_eq!(booted.map.query(&booted.machine.memory, behind), None, "{mode:?}");
            // The same frames come back, in the same order.
            let mut back = Vec::new();
            let mut report = |run: mm::FrameRun| back.extend((0..run.count).map(|n| run.first.offset(n)));
            let range = mm::PageRange::new(VirtAddr(start), count as u64);
            let stale = booted.map.unmap(&mut booted.machine.memory, range, Some(&mut report)).expect("mapped");
            booted.flush(stale);
            assert_eq!(back, frames, "{mode:?}");
            booted.shut_down();
        }
    }
}

#[test]
fn a_list_is_refused_as_a_range_is() {
    for mode in MODES {
        let mut booted = Booted::full(mode);
        booted.map(0x80_5000, 1, 9, FLAGS).expect("there is room");
        let (self_map, _) = mode.self_map();
        let end = Frame(1 << (booted.cpu.width() - 12));
        let (good, beyond) = ([Frame(7), Frame(5), Frame(6)], [Frame(7), end, Frame(6)]);
        let cases: [(u64, &[Frame], MapError); 8] = [
            (0x1000, &[], MapError::Empty),
            (0x1800, &good, MapError::Misaligned),
            (self_map - 0x1000, &good, MapError::SelfMap),
            (
                mode.kernel_half() - 0x1000,
                &good,
                if mode.kernel_half() == 0xC000_0000 { MapError::CrossesHole } else { MapError::NotCanonical },
            ),
            (0x1000, &beyond, MapError::BeyondPhys),
            (0x1000, &[Frame(u64::MAX)], MapError::BeyondPhys),
            (0x80_5000, &good, MapError::Occupied),
            (0x80_3000, &good, MapError::Occupied),
        ];
        let before = booted.bytes_of_tables();
        for (start, frames, error) in cases {
            assert_eq!(map(&mut booted, start, frames, FLAGS), Err(error), "{mode:?}: {start:#x}");
            assert!(before == booted.bytes_of_tables(), "{mode:?}: something changed at {start:#x}");
        }
        booted.shut_down();
    }
}

#[test]
fn a_list_is_mapped_as_a_whole_or_not_at_all() {
    for mode in MODES {
        let mut done = 0;
        for frames in 0..24 {
            let Some(mut booted) = Booted::new(mode, &FULL, frames) else { continue };
            let list = scattered(&mut Rng::new(2), 2600);
            let (before, free) = (booted.bytes_of_tables(), booted.machine.free_frames());
            match map(&mut booted, 0x7F_F000, &list, FLAGS) {
                Ok(()) => done += 1,
                Err(error) => {
                    assert_eq!(error, MapError::NoMemory, "{mode:?}");
                    assert!(before == booted.bytes_of_tables(), "{mode:?}: half of a list");
                    assert_eq!(booted.machine.free_frames(), free, "{mode:?}");
                }
            }
            booted.shut_down();
        }
        assert!((1..24).contains(&done), "{mode:?}: {done}");
    }
}
