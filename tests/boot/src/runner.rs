//! Runs rows, two at a time, and says how far it is.
//!
//! A row that fails while the host did not let its machine run is tried once more when all the others are through, alone; see
//! [`pace`]. If it fails again, it has failed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::pace::{self, STALL};

/// How many machines run at a time.
pub const AT_ONCE: usize = 2;

/// What a row shows, or why it fails.
pub type Verdict = Result<String, String>;

/// What came of a row.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// It was tried again, because the host had stalled.
    pub again: bool,
}

/// Runs `work` on each of `rows`, which have these names. The outcomes are in the order of the rows.
pub fn run_all<T: Sync>(
    rows: &[T],
    name: impl Fn(&T) -> &str + Sync,
    work: impl Fn(&T) -> Verdict + Sync,
) -> Vec<Outcome> {
    let numbered = |index: usize| format!("row {} of {}: {}", index + 1, rows.len(), name(&rows[index]));
    let timed = |index: usize| {
        let begun = Instant::now();
        pace::take();
        let verdict = work(&rows[index]);
        let pace = pace::take();
        let times = format!("{:.1} s, {:.1} s of CPU", begun.elapsed().as_secs_f32(), pace.cpu.as_secs_f32());
        (verdict, pace, times)
    };
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; rows.len()]);
    let stalled = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= rows.len() {
                        break;
                    }
                    let (verdict, pace, times) = timed(index);
                    let row = numbered(index);
                    match &verdict {
                        Ok(what) => println!("{row} ... ok ({times}; {what})"),
                        Err(why) if pace.stall >= STALL => {
                            let held = pace.stall.as_secs_f32();
                            println!("{row} ... comes again: the host stalled for {held:.1} s ({times})\n  {why}");
                            locked(&stalled).push(index);
                            continue;
                        }
                        Err(why) => println!("{row} ... FAILED ({times})\n  {why}"),
                    }
                    locked(&outcomes)[index] = Some(Outcome { verdict, again: false });
                }
            });
        }
    });
    for index in locked(&stalled).drain(..) {
        let (verdict, _, times) = timed(index);
        let row = numbered(index);
        match &verdict {
            Ok(what) => println!("{row} ... ok, again ({times}; {what})"),
            Err(why) => println!("{row} ... FAILED, again ({times})\n  {why}"),
        }
        locked(&outcomes)[index] = Some(Outcome { verdict, again: true });
    }
    let not_run = || Outcome { verdict: Err("not run".into()), again: false };
    locked(&outcomes).iter().map(|outcome| outcome.clone().unwrap_or_else(not_run)).collect()
}

/// Prints what failed, and the closing line. Returns whether nothing failed.
pub fn sum_up<T>(rows: &[T], name: impl Fn(&T) -> &str, outcomes: &[Outcome]) -> bool {
    // Once more at the end, because a log that is cut off is cut off at its beginning.
    for (row, outcome) in rows.iter().zip(outcomes) {
        if let Err(why) = &outcome.verdict {
            println!("row {} ... FAILED\n  {}", name(row), last(why, 2000));
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.verdict.is_err()).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    failed == 0
}

/// The end of `text`, of at most so many bytes.
fn last(text: &str, bytes: usize) -> &str {
    let from = (text.len().saturating_sub(bytes)..).find(|&from| text.is_char_boundary(from));
    from.map_or(text, |from| &text[from..])
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
