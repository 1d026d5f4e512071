//! Samples, their medians, and the tables that are printed.

use std::collections::BTreeMap;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Nanoseconds an operation.
    pub ns: f64,
    /// What else was counted: tables in use, for one.
    pub extra: u64,
}

/// The middle of `values`, of an even number the lower of the two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
}

/// Figures of several runs, by contestant and workload.
#[derive(Default)]
pub struct Figures {
    /// The contestants in their order.
    pub names: Vec<String>,
    values: BTreeMap<(String, String), Vec<f64>>,
}

impl Figures {
    /// Adds a run's figure.
    pub fn add(&mut self, name: &str, workload: &str, value: f64) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.into());
        }
        self.values.entry((name.into(), workload.into())).or_default().push(value);
    }

    /// The median over the runs.
    pub fn get(&self, name: &str, workload: &str) -> Option<f64> {
        let values = self.values.get(&(name.into(), workload.into()))?;
        Some(median(&mut values.clone()))
    }

    /// Of each row and contestant the lowest run, the median and the highest, where there is more than one run.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, &str, [f64; 3])> {
        let mut rows: Vec<_> = self.values.iter().filter(|(_, values)| values.len() > 1).collect();
        rows.sort_by_key(|((name, row), _)| (row, self.names.iter().position(|known| known == name)));
        rows.into_iter().map(|((name, row), values)| {
            let low = values.iter().copied().fold(f64::MAX, f64::min);
            let high = values.iter().copied().fold(f64::MIN, f64::max);
            (row.as_str(), name.as_str(), [low, median(&mut values.clone()), high])
        })
    }

    /// How far the runs lie apart: (largest - smallest) / median, the median and the largest of it over all figures of
    /// these workloads, in percent.
    pub fn spread(&self, workloads: &[&str]) -> (f64, f64) {
        let mut all: Vec<f64> = Vec::new();
        for ((_, workload), values) in &self.values {
            if workloads.contains(&workload.as_str()) && values.len() > 1 {
                let low = values.iter().copied().fold(f64::MAX, f64::min);
                let high = values.iter().copied().fold(0.0, f64::max);
                all.push(100.0 * (high - low) / median(&mut values.clone()).max(1e-9));
            }
        }
        let largest = all.iter().copied().fold(0.0, f64::max);
        (median(&mut all), largest)
    }

    /// Prints a table of these workloads, a column each, ratios to the contestant `limit` in brackets.
    pub fn print(&self, title: &str, columns: &[(&str, &str)]) {
        self.print_with(title, columns, true);
    }

    /// The same without ratios.
    pub fn print_bare(&self, title: &str, columns: &[(&str, &str)]) {
        self.print_with(title, columns, false);
    }

    fn print_with(&self, title: &str, columns: &[(&str, &str)], ratios: bool) {
        println!("\n**{title}**\n");
        let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
        println!("| contestant | {} |", heads.join(" | "));
        println!("|---|{}", "---:|".repeat(columns.len()));
        for name in &self.names {
            let cells: Vec<String> = columns.iter().map(|(workload, _)| self.cell(name, workload, ratios)).collect();
            if cells.iter().any(|cell| cell != "–") {
                println!("| {name} | {} |", cells.join(" | "));
            }
        }
        let workloads: Vec<&str> = columns.iter().map(|(workload, _)| *workload).collect();
        let (middle, largest) = self.spread(&workloads);
        if largest > 0.0 {
            println!("\nRuns lie {middle:.0} % apart (median), {largest:.0} % at most.");
        }
    }

    fn cell(&self, name: &str, workload: &str, ratios: bool) -> String {
        let Some(value) = self.get(name, workload) else { return "–".into() };
        match self.get("limit", workload) {
            Some(limit) if ratios && name != "limit" && limit > 0.0 => {
                format!("{} (×{})", digits(value), digits(value / limit))
            }
            _ => digits(value),
        }
    }
}

/// Three digits that count, more where the number is long.
pub fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}
