//! Entries of 8 bytes that are written in two halves: nobody may ever see half of one.

use mm::{Entry, Format, Half, Halves, Pml2, Pml4};

/// An entry and one of another frame: every bit of the address differs in both halves.
const ONE: u64 = 0x000A_AAAA_5555_5063;
const OTHER: u64 = 0x8005_5555_AAAA_A067;

#[test]
fn both_halves_arrive() {
    for value in [0, ONE, OTHER, 0x8000_0000_0000_0001, 0x0000_0001_0000_0000] {
        let mut slots = [!0u64; 3];
        // SAFETY: the middle slot is aligned and nobody else's.
        unsafe { Halves::store((&raw mut slots[1]).cast(), value) };
        assert_eq!(slots, [!0, value, !0]);
        // SAFETY: as above.
        assert_eq!(unsafe { Halves::load((&raw const slots[1]).cast()) }, value);
        // SAFETY: as above.
        unsafe { Halves::prepare((&raw mut slots[1]).cast(), OTHER) };
        assert_eq!(slots, [!0, OTHER, !0]);

        // SAFETY: as above.
        unsafe { <Pml4 as Format>::Entry::store((&raw mut slots[1]).cast(), value) };
        assert_eq!(slots, [!0, value, !0]);
        let mut slots = [!0u32; 3];
        // SAFETY: as above.
        unsafe { <Pml2 as Format>::Entry::store(&raw mut slots[1], value) };
        assert_eq!(slots, [!0, value as u32, !0]);
        // SAFETY: as above.
        assert_eq!(unsafe { <Pml2 as Format>::Entry::load(&raw const slots[1]) }, value & 0xFFFF_FFFF);
    }
}

/// Entries that differ in every way that matters: present or not, rights in either half, addresses in either half.
fn entries() -> Vec<u64> {
    let mut entries = vec![0];
    for address in [0, 0x1000, 0xFFFF_F000, 0x1_0000_0000, 0x5_5555_5000, 0x000F_FFFF_FFE0_0000] {
        for rights in [0x1, 0x3, 0x5, 0x67, 0x1E3] {
            entries.extend([address | rights, address | rights | NX]);
        }
    }
    entries
}

const NX: u64 = 0x8000_0000_0000_0000;

/// What the slot holds after each store, the old entry first.
fn states(old: u64, new: u64) -> Vec<u64> {
    let mut word = old;
    let stores = Halves::stores(old, new).into_iter().flatten();
    let after = stores.map(|(half, value)| {
        word = match half {
            Half::Low => word & 0xFFFF_FFFF_0000_0000 | u64::from(value),
            Half::High => word & 0xFFFF_FFFF | u64::from(value) << 32,
        };
        word
    });
    [old].into_iter().chain(after).collect()
}

/// Whether a CPU may find `state` while `old` becomes `new`.
fn is_sound(state: u64, old: u64, new: u64) -> bool {
    state & 1 == 0 || [old, new, old | NX, new | NX].contains(&state)
}

#[test]
fn no_order_of_stores_shows_half_an_entry() {
    for old in entries() {
        for new in entries() {
            let states = states(old, new);
            assert_eq!(states.last(), Some(&new));
            for state in &states {
                assert!(is_sound(*state, old, new), "{old:#x} to {new:#x}: a CPU finds {state:#x}");
            }
            // A live page is never absent in between unless its address changes beyond 4 GiB.
            if old & new & 1 == 1 && (old ^ new) & 0x000F_FFFF_0000_0000 == 0 {
                assert!(states.iter().all(|state| state & 1 == 1), "{old:#x} to {new:#x}");
            }
        }
    }
}

/// The software reads low, high, low, and again until both lows agree: every way in which stores fall between.
#[test]
fn no_interleaving_shows_software_half_an_entry() {
    let mut interleavings = 0;
    for old in entries() {
        for new in entries() {
            let states = states(old, new);
            let end = states.len();
            for (first, second, third) in
                (0..end).flat_map(|a| (a..end).flat_map(move |b| (b..end).map(move |c| (a, b, c))))
            {
                let [before, after] = [first, third].map(|at| states[at] & 0xFFFF_FFFF);
                if before == after {
                    let read = before | states[second] & 0xFFFF_FFFF_0000_0000;
                    assert!(is_sound(read, old, new), "{old:#x} to {new:#x}: software reads {read:#x}");
                    interleavings += 1;
                }
            }
        }
    }
    assert!(interleavings > 20_000, "{interleavings}");
}
