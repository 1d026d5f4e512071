//! Every seed through its target: what a fuzzer once found stays found, without a fuzzer.

use std::path::Path;
use std::{fs, panic};

use fuzz_tests::TARGETS;

fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a folder of seeds").map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{name} has {} seeds", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let ran = panic::catch_unwind(|| fuzz_tests::run(name, &bytes));
        assert!(ran.is_ok(), "the target {name} found something in {}", file.display());
    }
}

#[test]
fn every_target_has_seeds_and_passes_them() {
    TARGETS.iter().for_each(|(name, _)| replay(name));
}
