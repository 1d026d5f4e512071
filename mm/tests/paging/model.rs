//! Random programs against the model, the independent MMU and the caches.

use mm::{Features, Limits};

use crate::machine::program::{Tally, run};
use crate::machine::rng::Rng;
use crate::machine::{FULL, MODES};

/// CPUs that lack one thing each, and one that lacks all.
fn cpus() -> [(&'static str, Features); 9] {
    [
        ("full", FULL),
        ("no NX", Features { nx: false, ..FULL }),
        ("no PSE, no 1 GiB pages", Features { pse: false, page_1g: false, ..FULL }),
        ("no PGE", Features { pge: false, ..FULL }),
        ("no PAT", Features { pat: false, ..FULL }),
        ("32 bits", Features { phys_bits: 32, ..FULL }),
        ("36 bits", Features { phys_bits: 36, ..FULL }),
        ("40 bits", Features { phys_bits: 40, ..FULL }),
        ("nothing", Features { phys_bits: 36, ..Features::default() }),
    ]
}

#[test]
fn random_programs_agree_with_the_manual() {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(24);
    for (mode, routines) in MODES {
        let mut tally = Tally::default();
        for (name, features) in cpus() {
            for seed in 0..seeds {
                eprintln!("{mode:?}, {name}, seed {seed}");
                let mut bytes = Rng::new(seed + 1).bytes(1 + 6 * 200);
                // Mostly machines with enough memory; the small ones have their own test.
                if seed % 4 != 0 {
                    bytes[0] |= 0xC0;
                }
                tally.add(run(mode, routines, Limits::new(&routines.info, &features), &bytes));
            }
        }
        eprintln!("{mode:?}: {tally:?}");
        assert!(tally.done > tally.refused / 4 && tally.no_memory > 0 && tally.tables_held > 0, "{tally:?}");
    }
}
