//! Which mode is chosen, what the CPU takes away, and where things lie.

use mm::{Cache, Family, Features, Layout, Limits, Options, PageFlags, PageRange, PagingInfo, Rights, Xpa, select};
use mm::{amd64, i686};

use crate::machine::{FULL, MODES, routines};

fn features(bits: u32, phys_bits: u32) -> Features {
    let has = |n: u32| bits >> n & 1 == 1;
    Features {
        pse: has(0),
        pae: has(1),
        pge: has(2),
        pat: has(3),
        nx: has(4),
        page_1g: has(5),
        la57: has(6),
        pse36: has(2),
        phys_bits,
    }
}

/// (name of the mode, xpa, reason) for a CPU that has or lacks the extension.
fn expected(names: [&'static str; 3], has: bool, no_xpa: bool) -> (&'static str, Xpa, String) {
    let [base, xpa, extension] = names;
    match (has, no_xpa) {
        (true, false) => (xpa, Xpa::On, format!("{extension} in CPUID")),
        (true, true) => (base, Xpa::Off, "NOXPA on the command line".into()),
        (false, _) => (base, Xpa::Unsupported, format!("no {extension} in CPUID")),
    }
}

#[test]
fn the_mode_follows_from_cpuid_and_the_command_line() {
    let families: [(&Family, [&str; 3]); 2] =
        [(&i686::FAMILY, ["pml2", "pml3", "PAE"]), (&amd64::FAMILY, ["pml4", "pml5", "LA57"])];
    for (family, names) in families {
        for bits in 0..128 {
            for phys_bits in [32, 36, 40, 46, 52] {
                for no_xpa in [false, true] {
                    let features = features(bits, phys_bits);
                    let has = if names[2] == "PAE" { features.pae } else { features.la57 };
                    let chosen = select(family, &features, Options { no_xpa });
                    let (name, xpa, reason) = expected(names, has, no_xpa);
                    assert_eq!(chosen.paging.routines.info.name, name, "{features:?}, NOXPA {no_xpa}");
                    assert_eq!((chosen.xpa, chosen.reason.to_string()), (xpa, reason), "{features:?}");
                    assert_eq!(said(&chosen.paging.limits), limits(name, &features), "{name}, {features:?}");
                }
            }
        }
    }
    assert_eq!([Xpa::On, Xpa::Off, Xpa::Unsupported].map(|xpa| xpa.to_string()), ["on", "off", "unsupported"]);
}

/// Physical address bits, the highest level of a leaf, NX, G and PAT.
type Left = (u32, u8, bool, bool, bool);

/// What is left of a mode, said once more without the crate's arithmetic.
fn limits(name: &str, features: &Features) -> Left {
    let top_leaf = match name {
        "pml2" => 1 + u8::from(features.pse),
        "pml3" => 2,
        _ => 2 + u8::from(features.page_1g),
    };
    let phys_bits = if name == "pml2" { 32 } else { features.phys_bits };
    (phys_bits, top_leaf, name != "pml2" && features.nx, features.pge, features.pat)
}

fn said(limits: &Limits) -> Left {
    (limits.phys_bits, limits.top_leaf, limits.no_execute, limits.global, limits.pat)
}

#[test]
fn flags_come_to_what_the_cpu_can_do() {
    let caches = [Cache::WriteBack, Cache::WriteThrough, Cache::WriteCombining, Cache::Uncached];
    for bits in 0..128 {
        for rights in 0..16u8 {
            for cache in caches {
                let features = features(bits, 40);
                let limits = Limits::new(&routines(MODES[2]).info, &features);
                let flags = limits.effective(PageFlags { rights: Rights::from_bits_truncate(rights), cache });
                let mut expected = rights;
                if !features.nx {
                    expected |= 2;
                }
                if !features.pge {
                    expected &= !8;
                }
                let downgraded = cache == Cache::WriteCombining && !features.pat;
                assert_eq!(flags.rights.bits(), expected, "{features:?}, {rights:#x}");
                assert_eq!(flags.cache, if downgraded { Cache::Uncached } else { cache });
            }
        }
    }
    assert_eq!(Limits::new(&routines(MODES[2]).info, &FULL).frame_end(), 1 << 40);
}

#[test]
fn regions_lie_where_the_design_says() {
    // First and last address of user, aperture, dynamic, image.
    let expected: [[(u64, u64); 4]; 4] = [
        [(0x1000, 0xBFFF_FFFF), (0xC000_0000, 0xEFFF_FFFF), (0xF000_0000, 0xFF7F_FFFF), (0xC000_0000, 0xEFFF_FFFF)],
        [(0x1000, 0xBFFF_FFFF), (0xC000_0000, 0xEFFF_FFFF), (0xF000_0000, 0xFF7F_FFFF), (0xC000_0000, 0xEFFF_FFFF)],
        [
            (0x1000, 0x0000_7FFF_FFFF_EFFF),
            (0xFFFF_8000_0000_0000, 0xFFFF_BFFF_FFFF_FFFF),
            (0xFFFF_FF00_0000_0000, 0xFFFF_FF7F_FFFF_FFFF),
            (0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_FFFF_FFFF),
        ],
        [
            (0x1000, 0x00FF_FFFF_FFFF_EFFF),
            (0xFF00_0000_0000_0000, 0xFF0F_FFFF_FFFF_FFFF),
            (0xFFFF_FF00_0000_0000, 0xFFFF_FF7F_FFFF_FFFF),
            (0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_FFFF_FFFF),
        ],
    ];
    for (mode, expected) in MODES.into_iter().zip(expected) {
        let info: &PagingInfo = &routines(mode).info;
        let layout = Layout::of(info);
        let ends = |range: PageRange| (range.start.0, range.last_byte().0);
        let found = [layout.user, layout.aperture, layout.dynamic, layout.image].map(ends);
        assert_eq!(found, expected, "{mode:?}");
        let (self_first, self_last) = mode.self_map();
        for (first, last) in found {
            assert!(last < self_first || self_last < first, "{mode:?}: {first:#x} meets the self-map");
            assert_eq!(info.check(PageRange::covering(mm::VirtAddr(first), mm::VirtAddr(last))), Ok(()));
        }
    }
}
