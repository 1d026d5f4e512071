//! The long run: no false alarm in ten million operations.
//!
//! `just soak`, or `cargo test --release -p mm --test paging -- --ignored --nocapture long`. `OPERATIONS` says how many,
//! `FIRST_SEED` with which programs to begin.

use std::time::Instant;

use super::model::CPUS;
use crate::machine::MODES;
use crate::machine::mmu::Mode;
use crate::machine::program::{Setup, Tally, run_with};
use crate::machine::rng::Rng;

/// Steps in a program.
const STEPS: usize = 500;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// Runs programs until `operations` changes have been made or refused. Their trees are small and few addresses are
/// watched, other ones in each program: many programs find more than thorough ones.
fn programs(mode: Mode, operations: u64) -> Tally {
    let mut tally = Tally::default();
    let mut seed = number("FIRST_SEED", 1_000_000);
    while tally.done + tally.refused < operations {
        let (name, features) = CPUS[seed as usize % CPUS.len()];
        let cpus = if seed.is_multiple_of(16) { 2 + seed as usize / 16 % 3 } else { 1 };
        let mut bytes = Rng::new(seed).bytes(1 + 6 * STEPS);
        bytes[0] = 8 + bytes[0] % 24;
        let setup = Setup { cpus, deaf: None, probes: 8, self_probes: 4 };
        let run = std::panic::AssertUnwindSafe(|| run_with(mode, &features, &bytes, setup));
        match std::panic::catch_unwind(run) {
            Ok(more) => tally.add(more),
            Err(panic) => {
                println!("{mode:?}, {name}, {cpus} CPUs, seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
        seed += 1;
    }
    tally
}

#[test]
#[ignore = "takes many minutes: `just soak`"]
fn ten_million_operations_without_a_false_alarm() {
    let operations = number("OPERATIONS", 10_000_000);
    let begin = Instant::now();
    let run = |mode: Mode| std::thread::spawn(move || (mode, programs(mode, operations.div_ceil(4)), begin.elapsed()));
    let threads = MODES.map(run);
    let mut all = Tally::default();
    for thread in threads {
        let (mode, tally, time) = thread.join().expect("no false alarm");
        println!("{mode:?}: {tally:?} in {} s", time.as_secs());
        all.add(tally);
    }
    assert!(all.done + all.refused >= operations, "{all:?}");
    println!("{} operations in {} s", all.done + all.refused, begin.elapsed().as_secs());
}
