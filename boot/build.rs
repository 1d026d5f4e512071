//! Links the kernel with the script of its architecture.

use std::env;

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
}
