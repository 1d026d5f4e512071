//! Links the kernel with the script of its architecture, and tells it which commit it is built from.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=image.ld");
    // On the host only the library is built, for its tests.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let script = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86") => "i686.ld",
        Ok("x86_64") => "x86_64.ld",
        other => panic!("there is no linker script for {other:?}"),
    };
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-L{folder}");
    println!("cargo:rustc-link-arg-bins=-T{folder}/{script}");
    // Without a repository there is no commit to name. What HEAD's log is appended to, HEAD has moved.
    if let (Some(commit), Some(log)) =
        (git(&["rev-parse", "--short=12", "HEAD"]), git(&["rev-parse", "--git-path", "logs/HEAD"]))
    {
        println!("cargo:rustc-env=STRATA_COMMIT={commit}");
        println!("cargo:rerun-if-changed={log}");
    }
}

/// What git answers, if it does.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}
