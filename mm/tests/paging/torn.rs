//! Entries of 8 bytes that are written in two halves: nobody may ever see half of one.

use std::sync::atomic::{AtomicU64, Ordering};

use mm::{Entry, Format, Pml2, Pml3, Pml4};

type Halves = <Pml3 as Format>::Entry;

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

/// A walker on another CPU reads 8 bytes at once, while entries come and go.
#[test]
fn a_walker_never_sees_half_an_address() {
    let slot = AtomicU64::new(0);
    let seen = AtomicU64::new(0);
    let torn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while seen.load(Ordering::Relaxed) < ENOUGH && torn.load(Ordering::Relaxed) == 0 {
                let raw = slot.load(Ordering::Relaxed);
                if raw & 1 == 1 {
                    seen.fetch_add(1, Ordering::Relaxed);
                    if raw != ONE && raw != OTHER {
                        torn.store(raw, Ordering::Relaxed);
                    }
                }
            }
        });
        while seen.load(Ordering::Relaxed) < ENOUGH && torn.load(Ordering::Relaxed) == 0 {
            for value in [ONE, 0, OTHER, 0].repeat(64) {
                // SAFETY: aligned, live, and only accessed atomically; nobody else changes it.
                unsafe { Halves::store(slot.as_ptr().cast(), value) };
            }
        }
    });
    assert_eq!(torn.into_inner(), 0, "a walker saw half an entry");
}

/// Present entries that the walker must have met before it is believed.
const ENOUGH: u64 = 1_000_000;
