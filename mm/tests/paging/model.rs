//! Random programs against the model, the independent MMU and the caches.
//!
//! `SEEDS=1000 cargo test -p mm --test paging random_programs` runs more of them.

use mm::Features;

use crate::machine::FULL;
use crate::machine::mmu::Mode;
use crate::machine::program::{Tally, run};
use crate::machine::rng::Rng;

/// CPUs that lack one thing each, and one that lacks all.
pub const CPUS: [(&str, Features); 9] = [
    ("full", FULL),
    ("no NX", Features { nx: false, ..FULL }),
    ("no PSE, no 1 GiB pages", Features { pse: false, page_1g: false, ..FULL }),
    ("no PGE", Features { pge: false, ..FULL }),
    ("no PAT", Features { pat: false, ..FULL }),
    ("32 bits", Features { phys_bits: 32, ..FULL }),
    ("36 bits", Features { phys_bits: 36, ..FULL }),
    ("40 bits", Features { phys_bits: 40, ..FULL }),
    (
        "nothing",
        Features {
            pse: false,
            pae: false,
            pge: false,
            pat: false,
            nx: false,
            page_1g: false,
            la57: false,
            pse36: false,
            phys_bits: 36,
        },
    ),
];

/// Steps in a program.
const STEPS: usize = 200;

fn random_programs(mode: Mode) {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(16);
    let mut tally = Tally::default();
    for (name, features) in CPUS {
        for seed in 0..seeds {
            // Shown if the test fails: which program it was.
            println!("{mode:?}, {name}, seed {seed}");
            let mut bytes = Rng::new(seed + 1).bytes(1 + 6 * STEPS);
            // Mostly machines with enough memory; in every fourth it may be anything down to none.
            if seed % 4 != 0 {
                bytes[0] |= 0xC0;
            }
            tally.add(run(mode, &features, &bytes));
        }
    }
    // A test that never gets anywhere would pass as well.
    println!("{tally:?}");
    assert!(tally.done > tally.refused / 4 && tally.no_memory > 0 && tally.tables_held > 0, "{tally:?}");
}

#[test]
fn random_programs_pml2() {
    random_programs(Mode::Pml2);
}

#[test]
fn random_programs_pml3() {
    random_programs(Mode::Pml3);
}

#[test]
fn random_programs_pml4() {
    random_programs(Mode::Pml4);
}

#[test]
fn random_programs_pml5() {
    random_programs(Mode::Pml5);
}
