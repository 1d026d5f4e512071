//! The tables against the manuals: every routine, in all four formats, on a simulated machine.

#[path = "../machine/mod.rs"]
mod machine;

mod model;
