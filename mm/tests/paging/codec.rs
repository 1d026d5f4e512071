//! Entries: the codec's law, and every bit's position against the manual.

use mm::{Cache, Features, Format, Frame, Limits, PageFlags, Pml2, Pml3, Pml4, Pml5, Pte, Rights};

use crate::machine::mmu::{Cpu, EVERYTHING, Mode, Word};
use crate::machine::rng::Rng;
use crate::machine::{FULL, cpu};

const CACHES: [Cache; 4] = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached];

fn full(mode: Mode) -> Cpu {
    cpu(mode, &FULL)
}

/// The frames at which a page of `pages` frames may lie: the first ones, the last ones, and each single bit.
fn edge_frames(phys_bits: u32, pages: u64) -> Vec<u64> {
    let end = 1u64 << (phys_bits - 12);
    let mut frames = vec![0, pages, 2 * pages, end - pages, end / 2, end / 2 - pages];
    frames.extend((0..phys_bits - 12).map(|bit| 1 << bit).filter(|frame| frame % pages == 0));
    frames
}

/// All rights that an entry of the format can express: without an NX bit everything can be executed.
fn rights<F: Format>() -> impl Iterator<Item = Rights> {
    let all = (0..16).map(Rights::from_bits_truncate);
    all.filter(|rights| F::INFO.no_execute || rights.contains(Rights::EXEC))
}

fn law<F: Format>(mode: Mode) {
    let cpu = full(mode);
    let mut leaves = 0;
    for level in 1..=F::INFO.top_leaf {
        for frame in edge_frames(F::INFO.phys_bits, 1 << (mode.shift(level) - 12)) {
            for rights in rights::<F>() {
                for cache in CACHES {
                    let flags = PageFlags { rights, cache };
                    let pte = Pte::Leaf(Frame(frame), flags);
                    let raw = F::encode(pte, level);
                    assert_eq!(F::decode(raw, level), pte, "level {level}, {raw:#x}");
                    let entry = cpu.meet(level, 0, raw, EVERYTHING);
                    let leaf = cpu.leaf(&entry, 0);
                    assert_eq!((leaf.phys, leaf.rights(), leaf.cache), (frame << 12, rights, cache), "{raw:#x}");
                    assert_eq!(leaf.bytes, 1 << mode.shift(level));
                    leaves += 1;
                }
            }
        }
    }
    assert!(leaves > 1000);
    for level in 2..=mode.levels() {
        assert_eq!(F::decode(F::encode(Pte::Absent, level), level), Pte::Absent);
        for frame in edge_frames(F::INFO.phys_bits, 1) {
            for rights in rights::<F>().filter(|rights| !rights.contains(Rights::GLOBAL)) {
                let raw = F::encode(Pte::Table(Frame(frame), rights), level);
                let entry = cpu.meet(level, 0, raw, EVERYTHING);
                assert_eq!(entry.word, Word::Table(frame << 12), "level {level}, {raw:#x}");
                // PAE's root entries have no rights: they let everything through.
                let registers = mode == Mode::Pml3 && level == 3;
                let rights = if registers { Rights::WRITE | Rights::EXEC | Rights::USER } else { rights };
                assert_eq!(F::decode(raw, level), Pte::Table(Frame(frame), rights), "level {level}, {raw:#x}");
                let passed = entry.passed;
                let expected =
                    (rights.contains(Rights::WRITE), rights.contains(Rights::USER), rights.contains(Rights::EXEC));
                assert_eq!((passed.write, passed.user, passed.exec), expected, "{raw:#x}");
            }
        }
    }
}

#[test]
fn decoding_undoes_encoding_pml2() {
    law::<Pml2>(Mode::Pml2);
}

#[test]
fn decoding_undoes_encoding_pml3() {
    law::<Pml3>(Mode::Pml3);
}

#[test]
fn decoding_undoes_encoding_pml4() {
    law::<Pml4>(Mode::Pml4);
}

#[test]
fn decoding_undoes_encoding_pml5() {
    law::<Pml5>(Mode::Pml5);
}

/// A leaf with nothing but one right, so that what is set besides shows.
fn leaf(frame: u64, rights: Rights, cache: Cache) -> Pte {
    Pte::Leaf(Frame(frame), PageFlags { rights, cache })
}

#[test]
fn every_bit_is_where_the_manual_draws_it() {
    const NX: u64 = 0x8000_0000_0000_0000;
    // Kernel pages are born accessed and dirty (bits 5 and 6): 0x60. Bit 0 is P.
    let cases: [(Rights, Cache, u64); 8] = [
        (Rights::EXEC, Cache::WriteBack, 0x61),
        (Rights::empty(), Cache::WriteBack, 0x61 | NX),
        (Rights::EXEC.union(Rights::WRITE), Cache::WriteBack, 0x63),
        (Rights::EXEC.union(Rights::USER), Cache::WriteBack, 0x05),
        (Rights::EXEC.union(Rights::GLOBAL), Cache::WriteBack, 0x161),
        (Rights::EXEC, Cache::WriteThrough, 0x69),
        (Rights::EXEC, Cache::Uncached, 0x79),
        // PCD, and PAT: bit 7 in a 4 KiB page, bit 12 in a large one.
        (Rights::EXEC, Cache::WriteCombining, 0x71),
    ];
    for (rights, cache, expected) in cases {
        let pat = cache == Cache::WriteCombining;
        let (small, large) = if pat { (0x80, 0x1080) } else { (0, 0x80) };
        assert_eq!(Pml4::encode(leaf(0, rights, cache), 1), expected | small);
        assert_eq!(Pml5::encode(leaf(0, rights, cache), 2), expected | large);
        assert_eq!(Pml4::encode(leaf(0, rights, cache), 3), expected | large);
        assert_eq!(Pml3::encode(leaf(0, rights, cache), 1), expected | small);
        assert_eq!(Pml3::encode(leaf(0, rights, cache), 2), expected | large);
        let without_nx = expected & 0xFFFF_FFFF;
        assert_eq!(Pml2::encode(leaf(0, rights, cache), 1), without_nx | small);
        assert_eq!(Pml2::encode(leaf(0, rights, cache), 2), without_nx | large);
    }
    assert_eq!(Pml4::encode(leaf(0xFF_FFFF_FFFF, Rights::EXEC, Cache::WriteBack), 1), 0x000F_FFFF_FFFF_F061);
    assert_eq!(Pml2::encode(leaf(0xF_FC00, Rights::EXEC, Cache::WriteBack), 2), 0xFFC0_00E1);

    let table = |rights| Pte::Table(Frame(0x12345), rights);
    assert_eq!(Pml4::encode(table(Rights::WRITE | Rights::EXEC | Rights::USER), 4), 0x1234_5027);
    assert_eq!(Pml5::encode(table(Rights::WRITE | Rights::EXEC), 5), 0x1234_5023);
    assert_eq!(Pml4::encode(table(Rights::empty()), 2), 0x1234_5021 | NX);
    assert_eq!(Pml2::encode(table(Rights::WRITE | Rights::EXEC), 2), 0x1234_5023);
    assert_eq!(Pml3::encode(table(Rights::WRITE | Rights::USER), 2), 0x1234_5027 | NX);
    // R/W, U/S and A are reserved in PAE's root.
    assert_eq!(Pml3::encode(table(Rights::WRITE | Rights::EXEC | Rights::USER), 3), 0x1234_5001);
    assert_eq!(Pml3::encode(table(Rights::empty()), 3), 0x1234_5001);
}

/// Whatever a word says to the CPU it says to the crate.
fn any_word<F: Format>(mode: Mode) {
    let cpu = full(mode);
    let mut rng = Rng::new(7);
    let mut accepted = 0;
    for _ in 0..200_000 {
        // Sparse words, so that not every one has a reserved bit; mostly present.
        let mut raw = rng.next() & rng.next() & rng.next() | u64::from(rng.below(8) != 0);
        if mode == Mode::Pml2 {
            // PSE-36 is not used; its address bits are never set.
            raw &= 0xFFFF_FFFF & !0x001F_E000;
        }
        let level = 1 + rng.below(u64::from(mode.levels())) as u8;
        let decoded = F::decode(raw, level);
        let entry = cpu.meet(level, 0, raw, EVERYTHING);
        match entry.word {
            Word::Reserved => continue,
            Word::Absent => assert_eq!(decoded, Pte::Absent, "{raw:#x}"),
            Word::Table(next) => assert!(
                matches!(decoded, Pte::Table(frame, rights) if frame.0 == next >> 12
                    && rights.contains(Rights::WRITE) == entry.passed.write
                    && rights.contains(Rights::USER) == entry.passed.user
                    && rights.contains(Rights::EXEC) == entry.passed.exec),
                "level {level}, {raw:#x}: {decoded:?}"
            ),
            Word::Page(phys, ..) => {
                let leaf = cpu.leaf(&entry, 0);
                let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
                assert_eq!(decoded, Pte::Leaf(Frame(phys >> 12), flags), "level {level}, {raw:#x}");
            }
        }
        accepted += 1;
    }
    assert!(accepted > 20_000, "{accepted}");
}

#[test]
fn any_word_says_the_same_to_the_cpu() {
    any_word::<Pml2>(Mode::Pml2);
    any_word::<Pml3>(Mode::Pml3);
    any_word::<Pml4>(Mode::Pml4);
    any_word::<Pml5>(Mode::Pml5);
}

#[test]
fn limits_leave_no_bit_that_the_cpu_reserves() {
    let poor = Features { nx: false, pat: false, pge: false, phys_bits: 36, ..FULL };
    for level in 1..=2 {
        for bits in 0..16 {
            for cache in CACHES {
                let limits = Limits::new(&Pml4::INFO, &poor);
                let flags = limits.effective(PageFlags { rights: Rights::from_bits_truncate(bits), cache });
                let raw = Pml4::encode(Pte::Leaf(Frame(0xFF_FE00), flags), level);
                let word = cpu(Mode::Pml4, &poor).read_word(raw, level);
                assert!(matches!(word, Word::Page(0xF_FFE0_0000, ..)), "{raw:#x}: {word:?}");
                assert_eq!(raw & 0x100, 0, "G without CR4.PGE");
            }
        }
    }
}
