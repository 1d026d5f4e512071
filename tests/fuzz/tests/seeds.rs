//! Every seed through its target: what a fuzzer once found stays found, without a fuzzer.

use std::path::{Path, PathBuf};
use std::{fs, panic};

use fuzz_tests::TARGETS;

/// The seeds of the target `name` in which it finds something.
fn replay(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a folder of seeds").map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{name} has {} seeds", files.len());
    let finds = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap();
        panic::catch_unwind(|| fuzz_tests::run(name, &bytes)).is_err()
    };
    files.into_iter().filter(finds).map(|file| file.display().to_string()).collect()
}

#[test]
fn every_target_has_seeds_and_passes_them() {
    let findings: Vec<String> = TARGETS.iter().flat_map(|(name, _)| replay(name)).collect();
    assert!(findings.is_empty(), "something was found in {findings:#?}");
}
