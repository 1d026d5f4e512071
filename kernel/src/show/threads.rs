//! `threads`: who runs, who waits, and what each has used.

use core::fmt::{self, Write};

use crate::console::Console;
use crate::threads;

/// Prints a line for each thread, and how long the clock has been running:
///
/// `     2  load        ready     normal    0      148      -    352 of 16384`
pub fn threads(console: &mut Console) -> fmt::Result {
    writeln!(console, "number  name        state     priority  cpu    ticks  space  stack")?;
    let mut count = 0;
    for report in threads::reports() {
        count += 1;
        let priority = if report.idle { "idle" } else { report.priority.name() };
        let pin = if report.pinned { '!' } else { ' ' };
        write!(
            console,
            "{:6}  {:10}  {:8}  {priority:8}  {:3}{pin} {:7}",
            report.id.index(),
            report.name,
            report.state.name(),
            report.cpu,
            report.used,
        )?;
        match threads::space_of(report.id) {
            Some(number) => write!(console, "  {number:5}")?,
            None => write!(console, "      -")?,
        }
        match threads::stack_used(&report) {
            Some(used) => writeln!(console, "  {used:5} of {}", report.stack.len())?,
            None => writeln!(console, "      - of {}", report.stack.len())?,
        }
    }
    writeln!(console, "threads: {count}, {} ticks since the start; '!' behind a CPU: on no other", threads::now())
}
