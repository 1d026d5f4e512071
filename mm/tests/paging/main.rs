//! The tables against the manuals: every routine, in all four formats, on a simulated machine.

#[path = "../machine/mod.rs"]
mod machine;

mod blanks;
mod claims;
mod codec;
mod cpus;
mod cursor;
mod entries;
mod errors;
mod exhaustion;
mod hints;
mod kernel_map;
mod largest;
mod list;
mod long;
mod marks;
mod memories;
mod model;
mod pcid;
mod residence;
mod rights;
mod select;
mod self_map;
mod spaces;
mod stacks;
mod stale;
mod torn;
mod verdicts;
