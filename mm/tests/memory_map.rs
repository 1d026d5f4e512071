//! The memory map against a model that knows one kind a page and nothing of regions.

use mm::{Frame, FrameRun, Kind, Losses, MemoryMap, PAGE_SIZE, PhysAddr, Region};

const KINDS: [Kind; 9] = [
    Kind::Usable,
    Kind::Metadata,
    Kind::Image,
    Kind::Module,
    Kind::BootInfo,
    Kind::AcpiReclaimable,
    Kind::AcpiNvs,
    Kind::Reserved,
    Kind::Bad,
];

/// xorshift64*: enough for choosing test cases.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// One kind a page, for the first pages of memory.
struct Model(Vec<Option<Kind>>);

impl Model {
    fn insert(&mut self, start: u64, bytes: u64, kind: Kind) {
        for (page, seen) in self.0.iter_mut().enumerate() {
            let (first, behind) = (page as u64 * 4096, (page as u64 + 1) * 4096);
            let whole = start <= first && behind <= start + bytes;
            let touched = bytes > 0 && start < behind && first < start + bytes;
            if if kind == Kind::Usable { whole } else { touched } {
                *seen = Some(seen.map_or(kind, |seen| seen.max(kind)));
            }
        }
    }

    /// Returns how many of the pages were no RAM.
    fn overrule(&mut self, start: u64, end: u64, kind: Kind) -> u64 {
        let mut denied = 0;
        let pages = (start / 4096) as usize..end.next_multiple_of(4096) as usize / 4096;
        self.0.resize(self.0.len().max(pages.end), None);
        for seen in &mut self.0[pages] {
            denied += u64::from(!seen.is_some_and(Kind::is_ram));
            *seen = Some(kind);
        }
        denied
    }

    fn count(&self, counts: impl Fn(Kind) -> bool) -> u64 {
        self.0.iter().filter(|kind| kind.is_some_and(&counts)).count() as u64
    }
}

/// Sorted, disjoint, whole pages, nothing empty, and nothing apart that belongs together.
fn assert_in_order(map: &MemoryMap) {
    let regions: Vec<Region> = map.iter().copied().collect();
    for region in &regions {
        assert!(region.start < region.end, "{region:?} is empty");
        assert!(region.start.0 % PAGE_SIZE == 0 && region.end.0 % PAGE_SIZE == 0, "{region:?} cuts a page");
    }
    for pair in regions.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{pair:?} overlap or are not sorted");
        assert!(pair[0].end < pair[1].start || pair[0].kind != pair[1].kind, "{pair:?} are one region");
    }
}

fn usable_kib(map: &MemoryMap) -> u64 {
    map.usable_runs().map(|run| run.count * 4).sum()
}

fn pages(runs: impl Iterator<Item = FrameRun>) -> Vec<u64> {
    runs.flat_map(|run| run.first.0..run.end().0).collect()
}

fn chosen(model: &Model, of: impl Fn(Kind) -> bool) -> Vec<u64> {
    (0..model.0.len() as u64).filter(|page| model.0[*page as usize].is_some_and(&of)).collect()
}

fn random_region(rng: &mut Rng, universe: u64) -> (u64, u64, Kind) {
    // Half of the edges lie on a page's edge, because that is where neighbours meet.
    let mut edge = || match rng.below(2) {
        0 => rng.below(universe + 1) * 4096,
        _ => rng.below(universe * 4096),
    };
    let (a, b) = (edge(), edge());
    let reach = 4096 * (1 + rng.below(universe));
    (a.min(b), a.abs_diff(b).min(reach), KINDS[rng.below(9) as usize])
}

#[test]
fn agrees_with_a_map_of_single_pages() {
    let mut rng = Rng(0x5EED);
    for round in 0..3000 {
        let universe = 4 + rng.below(120);
        let regions = rng.below(40);
        let mut storage = vec![Region::default(); 2 * regions as usize + 4];
        let mut map = MemoryMap::new(&mut storage);
        let mut model = Model(vec![None; universe as usize]);
        for _ in 0..regions {
            let (start, bytes, kind) = random_region(&mut rng, universe);
            if rng.below(8) == 0 {
                let denied = map.overrule(PhysAddr(start), PhysAddr(start + bytes), kind);
                assert_eq!(denied, 4096 * model.overrule(start, start + bytes, kind), "round {round}");
            } else {
                map.insert(PhysAddr(start), bytes, kind);
                model.insert(start, bytes, kind);
            }
            assert_in_order(&map);
        }
        for page in 0..universe + 2 {
            let wanted = model.0.get(page as usize).copied().flatten();
            assert_eq!(map.kind_of(Frame(page)), wanted, "round {round}, page {page}");
        }
        assert_eq!(pages(map.usable_runs()), chosen(&model, |kind| kind == Kind::Usable));
        assert_eq!(pages(map.ram_runs()), chosen(&model, Kind::is_ram));
        let runs: Vec<FrameRun> = map.ram_runs().collect();
        assert!(runs.windows(2).all(|pair| pair[0].end() < pair[1].first), "{runs:?} could be longer");
        assert_eq!(map.total_ram_kib(), 4 * model.count(Kind::is_ram));
        assert_eq!(map.losses(), Losses::default());
    }
}

#[test]
fn the_order_of_insertion_does_not_matter() {
    let mut rng = Rng(77);
    for _ in 0..500 {
        let mut regions: Vec<_> = (0..30).map(|_| random_region(&mut rng, 64)).collect();
        let mut maps = Vec::new();
        for _ in 0..2 {
            let mut storage = vec![Region::default(); 64];
            let mut map = MemoryMap::new(&mut storage);
            for (start, bytes, kind) in &regions {
                map.insert(PhysAddr(*start), *bytes, *kind);
            }
            maps.push(map.iter().copied().collect::<Vec<_>>());
            regions.reverse();
        }
        assert_eq!(maps[0], maps[1]);
    }
}

#[test]
fn a_full_map_loses_usable_ram_and_nothing_else() {
    let mut rng = Rng(4242);
    let mut lossy = 0;
    for round in 0..4000 {
        let universe = 64;
        let mut storage = vec![Region::default(); 4 + rng.below(10) as usize];
        let mut map = MemoryMap::new(&mut storage);
        let mut model = Model(vec![None; universe as usize]);
        for _ in 0..30 {
            let (start, bytes, kind) = random_region(&mut rng, universe);
            let (bytes, kind) = (bytes.min(3 * 4096), if rng.below(3) == 0 { Kind::Usable } else { kind });
            map.insert(PhysAddr(start), bytes, kind);
            model.insert(start, bytes, kind);
            assert_in_order(&map);
        }
        for (page, wanted) in model.0.iter().enumerate() {
            let found = map.kind_of(Frame(page as u64));
            match wanted {
                None => assert!(!found.is_some_and(Kind::is_ram), "round {round}: page {page} is no RAM and {found:?}"),
                Some(Kind::Usable) => {}
                wanted => assert!(found >= *wanted, "round {round}: page {page} is {found:?} and not {wanted:?}"),
            }
        }
        let lost = chosen(&model, |kind| kind == Kind::Usable).len() - pages(map.usable_runs()).len();
        assert!(lost == 0 || map.losses() != Losses::default() || usable_kib(&map) == 0);
        lossy += u32::from(map.losses().dropped > 0);
    }
    assert!(lossy > 1000, "the storage was full in {lossy} rounds only");
}

#[test]
fn the_smallest_runs_are_forgotten_first_and_counted() {
    let mut storage = [Region::default(); 6];
    let mut map = MemoryMap::new(&mut storage);
    let losses = |dropped, pages: u64| Losses { joined: 0, dropped, dropped_bytes: pages * 4096, clamped: 0 };
    for (page, count) in [(0u64, 8u64), (10, 2), (20, 4), (30, 16)] {
        map.insert(PhysAddr(page * 4096), count * 4096, Kind::Usable);
    }
    // Too small to be worth another's place.
    map.insert(PhysAddr(50 * 4096), 4096, Kind::Usable);
    assert_eq!(map.losses(), losses(1, 1));
    // Worth the place of the two pages at 10.
    map.insert(PhysAddr(60 * 4096), 3 * 4096, Kind::Usable);
    assert_eq!(map.losses(), losses(2, 3));
    // What is reserved gets a place whatever it costs: here the three pages at 60.
    map.insert(PhysAddr(70 * 4096), 4096, Kind::Reserved);
    assert_eq!(map.losses(), losses(3, 6));
    assert_eq!(usable_kib(&map), 4 * (8 + 4 + 16));
    assert_eq!(map.kind_of(Frame(70)), Some(Kind::Reserved));
}

#[test]
fn what_costs_least_is_given_up_first() {
    let at =
        |map: &MemoryMap| map.iter().map(|region| (region.start.0 >> 12, region.end.0 >> 12, region.kind)).collect();
    let (usable, reserved, nvs, module) = (Kind::Usable, Kind::Reserved, Kind::AcpiNvs, Kind::Module);
    type Regions = Vec<(u64, u64, Kind)>;
    let full = |more: &[(u64, u64, Kind)]| -> (Regions, Losses) {
        let mut storage = [Region::default(); 9];
        let mut map = MemoryMap::new(&mut storage);
        for (start, end, kind) in [(0, 1, usable), (2, 20, usable)].iter().chain(more) {
            map.insert(PhysAddr(start * 4096), (end - start) * 4096, *kind);
        }
        (at(&map), map.losses())
    };
    // Regions that touch are joined before a page is given up.
    let (regions, losses) = full(&[(10, 11, reserved), (11, 12, nvs), (7, 8, reserved), (40, 41, usable)]);
    let kept: Regions = vec![
        (0, 1, usable),
        (2, 7, usable),
        (7, 8, reserved),
        (8, 10, usable),
        (10, 12, reserved),
        (12, 20, usable),
        (40, 41, usable),
    ];
    assert_eq!(regions, kept);
    assert_eq!(losses, Losses { joined: 1, dropped: 0, dropped_bytes: 0, clamped: 0 });
    // Of two single pages the one between two reserved ones goes: that frees two places.
    let (regions, losses) = full(&[(5, 6, reserved), (7, 8, reserved), (10, 11, reserved)]);
    let kept: Regions =
        vec![(0, 1, usable), (2, 5, usable), (5, 8, reserved), (8, 10, usable), (10, 11, reserved), (11, 20, usable)];
    assert_eq!(regions, kept);
    assert_eq!(losses, Losses { joined: 1, dropped: 1, dropped_bytes: 4096, clamped: 0 });
    // A page between a module and what is reserved is forgotten: the module stays RAM.
    let more = [(5, 6, module), (7, 8, reserved), (40, 42, usable), (42, 43, module), (50, 51, module)];
    let (regions, losses) = full(&more);
    let kept: Regions = vec![
        (2, 5, usable),
        (5, 6, module),
        (7, 8, reserved),
        (8, 20, usable),
        (40, 42, usable),
        (42, 43, module),
        (50, 51, module),
    ];
    assert_eq!(regions, kept);
    assert_eq!(losses, Losses { joined: 0, dropped: 2, dropped_bytes: 8192, clamped: 0 });
}

#[test]
fn thousands_of_reserved_pages_cost_some_of_the_pages_between_them() {
    const MIB: u64 = 1 << 20;
    const AREAS: u64 = 5000;
    let mut rng = Rng(6);
    let forward: Vec<u64> = (0..AREAS).collect();
    let backward: Vec<u64> = (0..AREAS).rev().collect();
    let mut mixed = forward.clone();
    (1..mixed.len()).for_each(|at| mixed.swap(at, rng.below(at as u64 + 1) as usize));
    for (order, usable_first) in [(&forward, true), (&backward, true), (&mixed, true), (&forward, false)] {
        let mut storage = vec![Region::default(); 4096];
        let mut map = MemoryMap::new(&mut storage);
        let ram = |map: &mut MemoryMap| map.insert(PhysAddr(0), 256 * MIB, Kind::Usable);
        if usable_first {
            ram(&mut map);
        }
        for area in order {
            map.insert(PhysAddr(48 * MIB + area * 8192), 4096, Kind::Reserved);
        }
        if !usable_first {
            ram(&mut map);
        }
        assert_in_order(&map);
        let end = 48 * MIB + (AREAS - 1) * 8192 + 4096;
        let runs: Vec<(u64, u64)> = map.usable_runs().map(|run| (run.first.0 << 12, run.end().0 << 12)).collect();
        assert_eq!(runs[0], (0, 48 * MIB));
        assert_eq!(runs[runs.len() - 1], (end, 256 * MIB));
        assert!((0..AREAS).all(|area| map.kind_of(Frame(((48 * MIB) >> 12) + area * 2)) == Some(Kind::Reserved)));
        // 10,001 regions have 4,094 places; joining three makes two free, and a quarter is freed ahead.
        let (kept, all) = (usable_kib(&map), 256 * 1024 - AREAS * 4);
        let least = all - (10_001u64 - 4094).div_ceil(2) * 4 - 4096 / 4 / 2 * 4;
        assert!((least..all).contains(&kept), "{kept} KiB of {all} are left");
        if usable_first {
            assert_eq!(map.losses().dropped_bytes, (all - kept) * 1024);
        }
    }
}

#[test]
fn more_regions_are_given_up_at_once_only_if_they_are_cheap() {
    // As many runs of 1 MiB as there are places, and one more: a quarter of them would be 1 GiB.
    let mut storage = vec![Region::default(); 4098];
    let mut map = MemoryMap::new(&mut storage);
    for run in 0..4097 {
        map.insert(PhysAddr(run << 21), 1 << 20, Kind::Usable);
    }
    let Losses { dropped, dropped_bytes, .. } = map.losses();
    assert!((1..=65).contains(&dropped) && dropped_bytes == dropped << 20, "{dropped} runs, {dropped_bytes} bytes");
}

#[test]
fn wraps_are_clamped_and_empty_regions_are_nothing() {
    let mut storage = [Region::default(); 8];
    let mut map = MemoryMap::new(&mut storage);
    map.insert(PhysAddr(0x5000), 0, Kind::Reserved);
    map.insert(PhysAddr(u64::MAX), 0, Kind::Usable);
    assert_eq!(map.iter().count(), 0);
    assert_eq!(map.losses(), Losses::default());

    map.insert(PhysAddr(u64::MAX), u64::MAX, Kind::Bad);
    assert_eq!((map.iter().count(), map.losses().clamped), (0, 1));
    map.insert(PhysAddr(0x1800), u64::MAX, Kind::Usable);
    let all = Region { start: PhysAddr(0x2000), end: PhysAddr(1 << 52), kind: Kind::Usable };
    assert_eq!((map.iter().copied().collect::<Vec<_>>(), map.losses().clamped), (vec![all], 2));
    map.reserve(PhysAddr(0x9000), PhysAddr(0x8000), Kind::Image);
    assert_eq!(map.iter().count(), 1, "an end before the start is an empty region");
    map.reserve(PhysAddr((1 << 52) - 1), PhysAddr(1 << 52), Kind::Image);
    assert_eq!(map.kind_of(Frame((1 << 40) - 1)), Some(Kind::Image));
    assert_eq!(map.losses().clamped, 2, "the last byte there can be is no reason to complain");
}

#[test]
fn what_the_cpu_cannot_reach_is_cut_off() {
    const GIB: u64 = 1 << 30;
    let mut storage = [Region::default(); 8];
    let mut map = MemoryMap::new(&mut storage);
    map.insert(PhysAddr(0), 3 * GIB, Kind::Usable);
    map.insert(PhysAddr(3 * GIB), GIB / 2, Kind::Reserved);
    map.insert(PhysAddr(3 * GIB + GIB / 2), 2 * GIB, Kind::Usable);
    map.insert(PhysAddr(8 * GIB), GIB, Kind::Usable);
    map.insert(PhysAddr(1012 * GIB), 12 * GIB, Kind::Reserved);
    assert_eq!(map.cut_at(36), 0, "what is reserved up there is no loss");
    assert_eq!(map.iter().last().map(|region| region.end.0), Some(9 * GIB));
    assert_eq!(map.cut_at(32), 2 * GIB + GIB / 2);
    assert_eq!(usable_kib(&map), (3 * GIB + GIB / 2) / 1024);
    map.insert(PhysAddr(4 * GIB - 4096), 8192, Kind::Module);
    assert_eq!(map.iter().last().map(|region| region.end.0), Some(4 * GIB), "the cut holds for what comes later");
    assert_eq!(map.cut_at(64), 0, "and no later one takes it back");
    map.insert(PhysAddr(4 * GIB), GIB, Kind::Usable);
    assert_eq!(map.kind_of(Frame(4 * GIB / 4096)), None);
}

#[test]
fn thousands_of_overlapping_regions_are_no_trouble() {
    let mut rng = Rng(99);
    let inputs: Vec<_> = (0..4000).map(|_| random_region(&mut rng, 3000)).collect();
    let mut storage = vec![Region::default(); 2 * inputs.len() + 3];
    let mut map = MemoryMap::new(&mut storage);
    let mut model = Model(vec![None; 3000]);
    for (start, bytes, kind) in inputs {
        let bytes = bytes.min(50 * 4096);
        map.insert(PhysAddr(start), bytes, kind);
        model.insert(start, bytes, kind);
    }
    assert_in_order(&map);
    for page in 0..3000 {
        assert_eq!(map.kind_of(Frame(page)), model.0[page as usize]);
    }
}

#[test]
fn a_claim_makes_no_ram() {
    let mut storage = [Region::default(); 16];
    let mut map = MemoryMap::new(&mut storage);
    map.insert(PhysAddr(0x10000), 0x10000, Kind::Usable);
    map.insert(PhysAddr(0x18000), 0x2000, Kind::Reserved);
    // From two pages below the RAM, across the reserved ones, to two above.
    assert_eq!(map.claim(PhysAddr(0xE000), 0x14000, Kind::Module), 0x2000 + 0x2000 + 0x2000);
    let kinds = [0xE, 0xF, 0x10, 0x17, 0x18, 0x19, 0x1A, 0x1F, 0x20].map(|frame| map.kind_of(Frame(frame)));
    let (module, reserved) = (Some(Kind::Module), Some(Kind::Reserved));
    assert_eq!(kinds, [None, None, module, module, reserved, reserved, module, module, None]);
    assert_eq!(map.claim(PhysAddr(u64::MAX - 5), 100, Kind::Module), 5, "past everything that can be addressed");
    let before: Vec<Region> = map.iter().copied().collect();
    assert_eq!(map.claim(PhysAddr(0x1C800), 0, Kind::Module), 0);
    assert_eq!(map.iter().copied().collect::<Vec<_>>(), before, "a file without bytes is on no page");
}
