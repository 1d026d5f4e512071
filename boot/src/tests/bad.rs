//! Boot information as no loader should write it: what is wrong is said, and the rest is read.

use super::{AREAS, Loader, Memory, complaints, exercise, memory_map, rsdp, sections, whole, words};
use crate::{BootInfo, Complaint};

#[test]
fn sizes_that_cannot_be_end_the_reading_where_they_stand() {
    for says in [0, 7, 10_000, u32::MAX] {
        let loader = Loader::default().tag(1, b"NOXPA\0").tag_of_size(2, says, b"GRUB\0").tag(6, &memory_map(&AREAS));
        let mut memory = loader.tag(0, &[]).load(8);
        let info = memory.read();
        let wanted = [Complaint::BadSize { tag: 2, says, at: 24 }, Complaint::NoMemoryMap];
        assert_eq!(complaints(&info), wanted);
        assert_eq!((info.command_line(), info.loader()), ("NOXPA", ""));
    }
    // An end tag of another size is none.
    let mut memory = Loader::default().tag(6, &memory_map(&AREAS)).tag(0, &[0; 8]).load(8);
    let at = 8 + 16 + 24 * AREAS.len();
    assert_eq!(complaints(&memory.read()), [Complaint::BadSize { tag: 0, says: 16, at }]);
}

#[test]
fn a_missing_end_and_a_wrong_total_are_survived() {
    let loader = Loader::default().tag(1, b"NOXPA\0").tag(6, &memory_map(&AREAS));
    let mut memory = loader.load(8);
    let info = memory.read();
    assert_eq!((complaints(&info), info.command_line()), (vec![Complaint::NoEnd], "NOXPA"));
    assert_eq!(info.memory().count(), AREAS.len());

    for size in 0..8 {
        let mut memory = loader.load(8);
        memory.size = size;
        assert_eq!(complaints(&memory.read()), [Complaint::Unreadable, Complaint::NoMemoryMap]);
    }
    assert_eq!(complaints(&BootInfo::read(&mut [], 100))[1..], [Complaint::Unreadable, Complaint::NoMemoryMap]);

    // Larger than the copy: what was kept is read.
    let mut memory = whole().load(8);
    let kept = memory.size - 160;
    memory.length = kept + 8;
    let says = memory.size;
    let info = memory.read();
    assert_eq!(complaints(&info)[0], Complaint::TooLarge { says, kept });
    assert_eq!((info.memory().count(), info.acpi_lists()), (AREAS.len(), acpi::Lists::default()));
    memory = whole().load(8);
    memory.size = usize::MAX;
    assert_eq!(complaints(&memory.read())[0], Complaint::TooLarge { says: usize::MAX, kept: says });
}

#[test]
fn of_a_tag_that_is_there_twice_the_first_good_one_counts() {
    let map = memory_map(&AREAS);
    let once = Loader::default().tag(1, b"first\0").tag(1, b"second\0");
    let mut memory = once.tag(6, &map[..4]).tag(6, &map).tag(6, &memory_map(&[])).tag(0, &[]).load(8);
    let info = memory.read();
    let wanted = [Complaint::Doubled { tag: 1 }, Complaint::BadContent { tag: 6 }, Complaint::Doubled { tag: 6 }];
    assert_eq!(complaints(&info), wanted);
    assert_eq!((info.command_line(), info.memory().count()), ("first", AREAS.len()));
}

#[test]
fn a_tag_with_bad_content_is_ignored_by_itself() {
    // The first part is wrong by one, and the second makes up for it.
    let mut bad_first_sum = rsdp(36, 0x1000);
    bad_first_sum[9] += 1;
    bad_first_sum[34] = bad_first_sum[34].wrapping_sub(1);
    let mut bad_signature = rsdp(20, 0x1000);
    bad_signature.swap(0, 1);
    let palette = [&[0; 20][..], &[8, 0, 0, 0, 2, 0, 1, 2, 3, 4, 5]].concat();
    let unknown = [&[0; 20][..], &[32, 9, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let mut many_sections = sections();
    many_sections[0] = 6;
    let mut odd_sections = sections();
    odd_sections[4] = 48;
    let mut small_entries = memory_map(&AREAS);
    small_entries[0] = 16;
    let bad = |tag| Complaint::BadContent { tag };
    let cases: [(u32, &[u8], Complaint); 14] = [
        (3, &[0; 7], bad(3)),
        (3, &words(&[0x2000, 0x1FFF, 0]), Complaint::BackwardModule { start: 0x2000, end: 0x1FFF }),
        (6, &[], bad(6)),
        (6, &small_entries, bad(6)),
        (8, &[0; 20], bad(8)),
        (8, &palette, bad(8)),
        (8, &unknown, bad(8)),
        (9, &words(&[0, 64]), bad(9)),
        (9, &many_sections, bad(9)),
        (9, &odd_sections, bad(9)),
        (14, &rsdp(36, 0x1000), bad(14)),
        (14, &bad_signature, Complaint::BadRsdp { tag: 14 }),
        (15, &rsdp(20, 0x1000), bad(15)),
        (15, &bad_first_sum, Complaint::BadRsdp { tag: 15 }),
    ];
    for (tag, content, complaint) in cases {
        let mut memory = Loader::default().tag(tag, content).tag(1, b"NOXPA\0").tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(complaints(&info), [complaint, Complaint::NoMemoryMap]);
        assert_eq!(info.command_line(), "NOXPA");
        assert_eq!((info.framebuffer(), info.acpi_lists(), info.symbols()), (None, acpi::Lists::default(), None));
        assert_eq!((info.modules().count(), info.memory().count()), (0, 0));
        exercise(&info);
    }
}

#[test]
fn of_a_root_pointer_whose_newer_part_is_wrong_the_older_counts() {
    for at in 20..36 {
        let mut pointer = rsdp(36, 0x1000);
        pointer[at] += 1;
        let mut memory = Loader::default().tag(15, &pointer).tag(6, &memory_map(&AREAS)).tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(complaints(&info), [Complaint::HalfRsdp { tag: 15 }]);
        assert_eq!(info.acpi_lists(), [acpi::Root::Rsdt(0x1000)].into_iter().collect(), "byte {at}");
    }
}

#[test]
fn a_memory_map_whose_last_entry_is_cut_keeps_the_others() {
    let map = memory_map(&AREAS);
    for missing in 1..24 {
        let map = &map[..map.len() - missing];
        let mut memory = Loader::default().tag(6, map).tag(1, b"NOXPA\0").tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(complaints(&info), [Complaint::CutEntry]);
        assert_eq!((info.memory().count(), info.command_line()), (AREAS.len() - 1, "NOXPA"));
    }
}

#[test]
fn texts_that_are_no_utf8_are_mended_and_one_without_an_end_is_read_to_its_own() {
    let cases: [(&[u8], &str, bool); 6] = [
        (b"NOXPA \xFF\xC3( x\0", "NOXPA ??( x", false),
        (b"\xE2\x82 NOXPA\0", "?? NOXPA", false),
        (b"NOXPA \xE2\x82", "NOXPA ??", false),
        ("g\u{fc}nstig\0\u{7f}".as_bytes(), "g\u{fc}nstig", true),
        (b"NOXPA", "NOXPA", true),
        (b"", "", true),
    ];
    for (bytes, text, clean) in cases {
        let mut memory = Loader::default().tag(1, bytes).tag(6, &memory_map(&[])).tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!(info.command_line(), text);
        assert_eq!(complaints(&info), if clean { vec![] } else { vec![Complaint::NotUtf8 { tag: 1 }] });
    }
}

#[test]
fn more_complaints_than_there_is_room_for_are_counted() {
    let mut loader = Loader::default();
    for _ in 0..40 {
        loader = loader.tag(3, &[0; 7]);
    }
    let mut memory = loader.tag(6, &memory_map(&[])).tag(0, &[]).load(8);
    let info = memory.read();
    assert_eq!(complaints(&info).len() + info.complaints().more(), 40);
    assert_eq!(complaints(&info)[0], Complaint::BadContent { tag: 3 });
}

/// Whatever is changed about it, reading it ends, and nothing behind it is read: what lies there does not show.
#[test]
fn no_damage_makes_the_reading_fail() {
    let mut state = 0x9E37_79B9u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % bound
    };
    let good = whole().load(8);
    let mut damaged = 0;
    for _ in 0..30_000 {
        let mut memory = Memory { words: good.words.clone(), length: good.length, size: good.size };
        for _ in 0..1 + below(4) {
            let at = below(good.size);
            let value = match below(4) {
                0 => below(256) as u8,
                1 => 0,
                2 => 0xFF,
                _ => memory.bytes()[at] ^ 1 << below(8),
            };
            // Half of the damage goes to sizes and types, which is where it hurts.
            let at = if below(2) == 0 { (at & !7) + 4 * below(2) } else { at };
            memory.bytes()[at] = value;
        }
        if below(4) == 0 {
            memory.size = below(2 * good.size);
        }
        let mut other = Memory { words: memory.words.clone(), length: memory.length, size: memory.size };
        let size = memory.size;
        if let Some(behind) = other.bytes().get_mut(size..) {
            behind.fill(0x5A);
        }
        let heard = exercise(&memory.read());
        assert_eq!(heard, exercise(&other.read()));
        damaged += u32::from(heard.contains("ignored") || heard.contains("lost") || heard.contains("no end"));
    }
    assert!(damaged > 10_000, "only {damaged} rounds did any damage");
}

#[test]
fn entries_larger_than_known_are_read_as_far_as_they_are_known() {
    for size in [32, 40, 64] {
        let narrow = memory_map(&AREAS);
        let mut map = [&(size as u32).to_le_bytes()[..], &narrow[4..8]].concat();
        for entry in narrow[8..].chunks(24) {
            map.extend(entry);
            map.extend(vec![0xFF; size - 24]);
        }
        // Half an entry more, which belongs to no area.
        map.extend([0xEE; 16]);
        let mut memory = Loader::default().tag(6, &map).tag(1, b"NOXPA\0").tag(0, &[]).load(8);
        let info = memory.read();
        assert_eq!((complaints(&info), info.command_line()), (vec![], "NOXPA"));
        let mut plain = Loader::default().tag(6, &narrow).tag(0, &[]).load(8);
        let expected: Vec<_> = plain.read().memory().collect();
        assert_eq!(info.memory().collect::<Vec<_>>(), expected);
        assert_eq!(expected.len(), AREAS.len());
    }
}
