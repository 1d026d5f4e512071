//! Strata's page tables, frames and heap beside the crates that do the same work.
//!
//! `benches` alone starts itself three times and prints the medians as Markdown. `benches run pages|frames|heap|zero [WORD...]`
//! is one such run: it prints a line a figure, of the workloads and contestants whose names are among the words, if any.
//!
//! Every operation is a call that is not inlined. The contestants take turns, workload by workload and round by round,
//! pinned to one CPU, so that whatever the machine does meanwhile happens to all. A run's figure is the median of its
//! rounds. Neither `criterion` nor `divan` can make contestants take turns, which is why the harness is our own.

mod arena;
mod frames;
mod heap;
mod host;
mod pages;
mod rng;
mod table;
mod zero;

use std::collections::BTreeMap;
use std::process::Command;

use table::{Figures, digits, median};

const RUNS: usize = 3;
const ROUNDS: usize = 7;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("run") => run(&words[1..]),
        _ => report(&words),
    }
}

/// One run, a line a figure: workload, contestant, value, separated by tabs.
fn run(words: &[String]) {
    host::pin(host::cpus() - 1);
    match words.first().map(String::as_str) {
        Some("pages") => run_pages(&words[1..]),
        Some("frames") => run_frames(&words[1..]),
        Some("heap") => run_heap(),
        Some("zero") => run_zero(),
        _ => eprintln!("benches run pages|frames|heap|zero [WORD...]"),
    }
}

fn wanted(words: &[String], name: &str, among: &[&str]) -> bool {
    let mut filters = words.iter().filter(|word| among.contains(&word.as_str())).peekable();
    filters.peek().is_none() || filters.any(|word| word == name)
}

fn run_pages(words: &[String]) {
    arena::set_up();
    let contestants = pages::contestants();
    let names: Vec<&str> = contestants.iter().map(|(name, _)| *name).collect();
    for workload in pages::WORKLOADS {
        if !wanted(words, workload, &pages::WORKLOADS) {
            continue;
        }
        let mut samples = vec![Vec::new(); contestants.len()];
        for round in 0..ROUNDS {
            for turn in 0..contestants.len() {
                let at = (turn + round) % contestants.len();
                if wanted(words, names[at], &names)
                    && let Some(sample) = (contestants[at].1)(workload)
                {
                    samples[at].push(sample);
                }
            }
        }
        for (name, samples) in names.iter().zip(samples) {
            if let Some(last) = samples.last() {
                let mut times: Vec<f64> = samples.iter().map(|sample| sample.ns).collect();
                println!("{workload}\t{name}\t{}", median(&mut times));
                println!("{workload} tables\t{name}\t{}", last.extra);
            }
        }
    }
}

fn run_frames(words: &[String]) {
    const ROUNDS: usize = 3;
    let contestants = frames::contestants();
    let names: Vec<&str> = contestants.iter().map(|(name, _)| *name).collect();
    for workload in frames::WORKLOADS {
        if !wanted(words, workload, &frames::WORKLOADS) {
            continue;
        }
        let mut samples: Vec<BTreeMap<&str, Vec<f64>>> = vec![BTreeMap::new(); contestants.len()];
        for round in 0..ROUNDS {
            for turn in 0..contestants.len() {
                let at = (turn + round) % contestants.len();
                if wanted(words, names[at], &names) {
                    for (row, value) in (contestants[at].1)(workload) {
                        samples[at].entry(row).or_default().push(value);
                    }
                }
            }
        }
        for (name, rows) in names.iter().zip(&mut samples) {
            rows.iter_mut().for_each(|(row, values)| println!("{row}\t{name}\t{}", median(values)));
        }
    }
}

fn run_zero() {
    const ROUNDS: usize = 5;
    let mut samples: Vec<BTreeMap<&str, Vec<f64>>> = vec![BTreeMap::new(); zero::CONTESTANTS.len()];
    for round in 0..ROUNDS {
        for turn in 0..zero::CONTESTANTS.len() {
            let at = (turn + round) % zero::CONTESTANTS.len();
            for (row, value) in zero::measure(zero::CONTESTANTS[at].1) {
                samples[at].entry(row).or_default().push(value);
            }
        }
    }
    for ((name, _), rows) in zero::CONTESTANTS.iter().zip(&mut samples) {
        rows.iter_mut().for_each(|(row, values)| println!("{row}\t{name}\t{}", median(values)));
    }
}

fn run_heap() {
    const ROUNDS: usize = 3;
    let contestants = heap::contestants();
    let mut samples: Vec<BTreeMap<&str, Vec<f64>>> = vec![BTreeMap::new(); contestants.len()];
    for round in 0..ROUNDS {
        for turn in 0..contestants.len() {
            let at = (turn + round) % contestants.len();
            for (row, value) in (contestants[at].1)() {
                samples[at].entry(row).or_default().push(value);
            }
        }
    }
    for ((name, _), rows) in contestants.iter().zip(&mut samples) {
        rows.iter_mut().for_each(|(row, values)| println!("{row}\t{name}\t{}", median(values)));
    }
}

/// Starts the runs and prints what they come to.
fn report(words: &[String]) {
    println!("{} CPUs: {}", host::cpus(), host::cpu_name());
    if words.is_empty() || words.iter().any(|word| word == "pages") {
        report_pages(&measure("pages"));
    }
    if words.is_empty() || words.iter().any(|word| word == "frames") {
        report_frames(&measure("frames"));
    }
    if words.is_empty() || words.iter().any(|word| word == "heap") {
        report_heap(&measure("heap"));
    }
    if words.is_empty() || words.iter().any(|word| word == "zero") {
        report_zero(&measure("zero"));
    }
}

/// What the lowest and the highest run of each row came to.
fn print_spread(figures: &Figures) {
    println!("\n**Lowest and highest run of each row**\n");
    println!("| row | contestant | lowest | median | highest |");
    println!("|---|---|---:|---:|---:|");
    for (row, name, [low, middle, high]) in figures.ranges() {
        println!("| {row} | {name} | {} | {} | {} |", digits(low), digits(middle), digits(high));
    }
}

fn measure(what: &str) -> Figures {
    let mut figures = Figures::default();
    let Ok(this) = std::env::current_exe() else { panic!("this program has no path") };
    for _ in 0..RUNS {
        let output = match Command::new(&this).args(["run", what]).output() {
            Ok(output) if output.status.success() => output,
            Ok(output) => panic!("a run failed: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("a run did not start: {error}"),
        };
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let mut fields = line.split('\t');
            if let (Some(workload), Some(name), Some(Ok(value))) =
                (fields.next(), fields.next(), fields.next().map(str::parse))
            {
                figures.add(name, workload, value);
            }
        }
    }
    figures
}

fn report_pages(figures: &Figures) {
    figures.print(
        "A. A call a page, ns a page (× limit)",
        &[
            ("A1", "A1 map in order"),
            ("A3b", "A3b map at random in 4 GiB"),
            ("A3a", "A3a map at random in 47 bits"),
            ("A3a-pool", "A3a with zeroed tables"),
            ("A4a", "A4a translate in 4 GiB"),
            ("A4b", "A4b translate in 256 MiB"),
            ("A5a", "A5a unmap"),
            ("A6a", "A6a protect"),
            ("A7a", "A7a map 2 MiB"),
            ("A7b", "A7b map 1 GiB"),
        ],
    );
    figures.print(
        "A. One call a range, ns a page (× limit)",
        &[
            ("A2", "A2 map"),
            ("A5b", "A5b unmap, tables back"),
            ("A5b-frames", "A5b with the frames"),
            ("A6b", "A6b protect"),
            ("A8", "A8 destroy"),
            ("list", "list of frames"),
        ],
    );
    figures.print(
        "A. Page by page with a cursor, ns a page",
        &[("cursor map", "map"), ("cursor unmap", "unmap"), ("cursor protect", "protect")],
    );
    figures.print(
        "A. Tables in use afterwards",
        &[
            ("A1 tables", "A1"),
            ("A3a tables", "A3a"),
            ("A3b tables", "A3b"),
            ("A5a tables", "A5a"),
            ("A5b tables", "A5b"),
            ("A7a tables", "A7a"),
            ("A7b tables", "A7b"),
        ],
    );
}

fn report_frames(figures: &Figures) {
    figures.print(
        "B1, B2, B7. Single frames, ns each or ns a pair (× limit)",
        &[
            ("B1 fill", "B1 fill"),
            ("B1 free in order", "B1 free in order"),
            ("B1 free last first", "B1 free last first"),
            ("B1 free at random", "B1 free at random"),
            ("B2 order 0", "B2 pair of order 0"),
            ("B2 order 9", "B2 pair of order 9"),
            ("B7 pair", "B7 pair"),
        ],
    );
    figures.print(
        "B3, B4. Orders 0 to 9 at 50 % and 95 %, ns (× limit)",
        &[
            ("B3 alloc", "B3 alloc"),
            ("B3 free", "B3 free"),
            ("B3 pair", "B3 pair"),
            ("B3 pair 1024", "B3 pair, batches of 1024"),
            ("B3 pair 4096", "of 4096"),
            ("B4 alloc", "B4 alloc"),
            ("B4 free", "B4 free"),
            ("B4 pair", "B4 pair"),
            ("B4 pair 1024", "B4 pair, batches of 1024"),
            ("B4 pair 4096", "of 4096"),
            ("B4 99 % pair", "B4 pair after 99 %"),
        ],
    );
    figures.print(
        "B5. One operation at 95 %, ns beyond the clock's own",
        &[
            ("B5 alloc p50", "alloc p50"),
            ("B5 alloc p99.9", "alloc p99.9"),
            ("B5 alloc max", "alloc max"),
            ("B5 free p50", "free p50"),
            ("B5 free p99.9", "free p99.9"),
            ("B5 free max", "free max"),
        ],
    );
    figures.print(
        "B6. Threads, ns an operation (× limit)",
        &[
            ("B6 local 1T", "local, one"),
            ("B6 local 2T", "local, two"),
            ("B6 remote 2T", "remote, two"),
            ("B6 scattered 64 1T", "scattered, 64, one"),
            ("B6 scattered 64 2T", "64, two"),
            ("B6 scattered 256 1T", "256, one"),
            ("B6 scattered 256 2T", "256, two"),
            ("B6 scattered 1024 1T", "1024, one"),
            ("B6 scattered 1024 2T", "1024, two"),
            ("B6 mixed 1T", "mixed, one"),
            ("B6 mixed 2T", "mixed, two"),
            ("B6 pair 1T", "a memory each: pair, one"),
            ("B6 pair 2T", "pair, two"),
            ("B6 pair 4T", "pair, four"),
            ("B6 batch 1T", "batch, one"),
            ("B6 batch 2T", "batch, two"),
            ("B6 batch 4T", "batch, four"),
            ("B6 map 1T", "map and unmap, one"),
            ("B6 map 2T", "map and unmap, two"),
            ("B6 map 4T", "map and unmap, four"),
        ],
    );
    figures.print_bare(
        "B3, B4, B7. What fragmentation leaves; B8, B9. metadata and set-up",
        &[
            ("B3 2M %", "50 %: free in 2 MiB, %"),
            ("B4 2M %", "95 %: free in 2 MiB, %"),
            ("B4 failed %", "95 %: refused, %"),
            ("B4 99 % 2M %", "95 % after 99 %: free in 2 MiB, %"),
            ("B4 99 % failed %", "95 % after 99 %: refused, %"),
            ("B7 2M %", "B7: free in 2 MiB, %"),
            ("B8 bytes a frame", "B8 bytes a frame"),
            ("B9 set-up", "B9 set-up, us"),
        ],
    );
    print_spread(figures);
}

fn report_heap(figures: &Figures) {
    figures.print_bare(
        "C. The byte heap: objects of 8 to 256 bytes, ns an operation",
        &[
            ("fill", "fill"),
            ("free in order", "free in order"),
            ("free at random", "free at random"),
            ("pair", "pair among live ones"),
            ("overhead %", "memory beyond the objects, %"),
        ],
    );
}

fn report_zero(figures: &Figures) {
    figures.print_bare(
        "C. Zeroing, ns for 4 KiB",
        &[
            ("frame again", "64 frames again and again"),
            ("frame cold", "frames out of the cache"),
            ("frame used", "and then used as tables"),
            ("block cold", "blocks of 2 MiB out of the cache"),
        ],
    );
}
