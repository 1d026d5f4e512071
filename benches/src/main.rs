//! Strata's page tables and frames beside the crates that do the same work.
//!
//! `benches` alone starts itself three times and prints the medians as Markdown. `benches run pages|frames [WORD...]`
//! is one such run: it prints a line a figure, of the workloads and contestants whose names are among the words, if any.
//!
//! Every operation is a call that is not inlined. The contestants take turns, workload by workload and round by round,
//! pinned to one CPU, so that whatever the machine does meanwhile happens to all. A run's figure is the median of its
//! rounds. Neither `criterion` nor `divan` can make contestants take turns, which is why the harness is our own.

mod arena;
mod host;
mod pages;
mod rng;
mod table;

use std::process::Command;

use table::{Figures, median};

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
        _ => eprintln!("benches run pages [WORD...]"),
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

/// Starts the runs and prints what they come to.
fn report(words: &[String]) {
    println!("{} CPUs: {}", host::cpus(), host::cpu_name());
    if words.is_empty() || words.iter().any(|word| word == "pages") {
        report_pages(&measure("pages"));
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
