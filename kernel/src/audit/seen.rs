//! What an audit has come across, in the order in which it is compared.

use mm::{Frame, FrameRun};

/// What is compared once all is known: the tables from the front of a list, and from its back, first frame and last, what
/// can be written outside the aperture.
pub struct Seen<'a> {
    pub list: &'a mut [u64],
    pub tables: usize,
    pub runs: usize,
    /// Whether there was room for all runs.
    pub all_runs: bool,
}

impl Seen<'_> {
    /// Notes a table; tells whether there was room. Tables take the room of runs.
    pub fn add_table(&mut self, frame: Frame) -> bool {
        if self.tables + 2 * self.runs >= self.list.len() {
            self.runs = 0;
            self.all_runs = false;
        }
        let Some(slot) = self.list.get_mut(self.tables) else { return false };
        *slot = frame.0;
        self.tables += 1;
        true
    }

    pub fn add_run(&mut self, run: FrameRun) {
        if !self.all_runs || self.tables + 2 * self.runs + 2 > self.list.len() {
            self.all_runs = false;
            return;
        }
        self.runs += 1;
        let at = self.list.len() - 2 * self.runs;
        self.list[at] = run.first.0;
        self.list[at + 1] = run.count;
    }

    /// Sorts the tables; tells whether one of them may be in one of the runs.
    pub fn sort(&mut self) -> bool {
        let (front, back) = self.list.split_at_mut(self.list.len() - 2 * self.runs);
        let tables = &mut front[..self.tables];
        tables.sort_unstable();
        let within = |run: &[u64]| holds(tables, FrameRun { first: Frame(run[0]), count: run[1] });
        !self.all_runs || back.chunks_exact(2).any(within)
    }

    pub fn tables(&self) -> &[u64] {
        &self.list[..self.tables]
    }
}

/// Whether one of the sorted `tables` lies in `run`.
pub fn holds(tables: &[u64], run: FrameRun) -> bool {
    let next = tables.partition_point(|table| *table < run.first.0);
    tables.get(next).is_some_and(|table| *table < run.end().0)
}
