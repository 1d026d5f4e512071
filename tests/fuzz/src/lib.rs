//! What each fuzz target does with its bytes.
//!
//! A target is a function that takes any bytes at all and panics if what the kernel's code makes of them is not what a
//! model says that knows less and does it the long way. libFuzzer calls them by way of `fuzz/`, with bytes that it
//! makes up; `cargo test` calls them with the seeds in `tests/fuzz/seeds`, so that what a fuzzer once found stays found.
//!
//! Each is a file here, and a line in [`TARGETS`].

mod boot_info;
mod bytes;
mod command_line;
mod frames;
mod layers;
#[path = "../../../mm/tests/machine/mod.rs"]
mod machine;
mod memory_map;
#[path = "../../../mm/tests/frames/model.rs"]
mod naive_frames;
mod prompt;
mod walker;

/// A target: it panics if it finds something.
pub type Target = fn(&[u8]);

/// The targets by name. The name is that of the binary in `fuzz/fuzz_targets`, and of the folder with the seeds.
pub const TARGETS: [(&str, Target); 6] = [
    ("boot_info", boot_info::run),
    ("command_line", command_line::run),
    ("frames", frames::run),
    ("memory_map", memory_map::run),
    ("prompt", prompt::run),
    ("walker", walker::run),
];

/// Runs the target `name`.
///
/// # Panics
/// If there is none of that name, and if it finds something.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("one of the targets");
    target(bytes);
}
