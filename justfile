# Strata's recipes. Each is one command; what is longer stands in tools/.

set shell := ["bash", "-euo", "pipefail", "-c"]

[private]
@default:
    just --list --unsorted

# Install what is missing on Debian or Ubuntu; elsewhere say what is missing
setup:
    ./setup

# Build both kernels: build/strata-i686.elf and build/strata-x86_64.elf, with symbols
build:
    tools/build

# Pack both kernels into build/strata.iso, for BIOS and UEFI, optical media and USB sticks
iso: build
    tools/iso

# Boot i686 in QEMU with three-level tables (PAE); Ctrl-A X ends QEMU
run-i686: iso
    tools/run i686

# Boot x86_64 in QEMU with five-level tables (LA57)
run-x86_64: iso
    tools/run x86_64

# Boot i686 in QEMU with two-level tables, because NOXPA says so
run-i686-noxpa: iso
    tools/run i686 auto-noxpa

# Boot x86_64 in QEMU with four-level tables, because NOXPA says so
run-x86_64-noxpa: iso
    tools/run x86_64 auto-noxpa

# Run every check and every test, in stages, with a table at the end
test:
    tools/test

# Run the checks, the host's tests and one boot a mode
test-quick:
    tools/test quick

# Run the kernels on other emulators: Bochs 3, QEMU 10 and v86, from a Debian 13 root in build/roots where this machine has older ones
test-second:
    tools/test second

# Test on this machine what needs no CPU of its own: tables, frames, prompt, parsing, and the script that writes sticks
test-host:
    tools/test-host

# Run what several CPUs do at once in the scheduler in every order that the memory model allows
test-loom:
    tools/test-loom

# Boot the ISO on every machine of the matrix in QEMU; words after the recipe's name pick rows
[positional-arguments]
test-boot *ROWS: iso
    tools/test-boot "$@"

# Take the pictures in docs/images of booted machines, and draw the four address spaces
pictures: iso atlas
    tools/cargo run --package boot-tests --release -- --pictures

# Have 2, 4 and 8 CPUs, or CPUS, hammer the same pages in every mode for SECONDS each, one machine at a time
hammer SECONDS="120" *CPUS: iso
    tools/cargo run --package boot-tests --release -- --hammer {{SECONDS}} {{CPUS}}

# Type on COM1 and on the keyboard while machines start, TIMES boots in each mode; more words pick rows
flood TIMES="20" *ROWS: iso
    tools/cargo run --package boot-tests --release -- --flood {{TIMES}} {{ROWS}}

# Boot with too few frames, from none on, and run every command with too few: kernels with failures to order
test-inject:
    tools/test-inject

# Break mm in every way on the list, and check that the test named there notices; words pick titles, --sample N today's N
[positional-arguments]
mutants *TITLES:
    tools/mutants "$@"

# Run ten million operations on the simulated machine without a false alarm
soak:
    tools/cargo test --release --package mm --test paging -- --ignored --nocapture long

# Run the self-tests on Bochs, which refuses what QEMU lets pass; words pick rows
[positional-arguments]
test-bochs *ROWS: iso
    tools/test-bochs "$@"

# Try ./setup on bare Debian machines, which it downloads and keeps in build/roots; words pick cases
[positional-arguments]
test-setup *CASES:
    tools/test-setup "$@"

# Run the self-tests on v86, a PC emulator in WebAssembly, in pml3 and pml2; needs node, which ./setup does not install
test-v86: iso
    tools/test-v86

# Make build/web/, a static page that boots the i686 kernel in a browser; needs node, npm and seabios, which ./setup does not install
web:
    tools/build i686
    tools/web

# Serve build/web/ to this machine's browsers
web-serve PORT="8086":
    tools/web-serve {{quote(PORT)}}

# Test the page of build/web/ in headless Chromium
test-web: web
    tools/test-web

# Fuzz one target, or all, so many seconds each; what a finding is made of goes to build/fuzz/findings
fuzz TARGET="all" SECONDS="600":
    tools/fuzz {{TARGET}} {{SECONDS}}

# Measure what the design promises about speed; words pick parts: pages, frames, heap, zero
bench *PARTS:
    tools/bench {{PARTS}}

# Count the instructions of a boot, and the audit's share, for several sizes of memory in each mode; words pick machines
bench-boot *WORDS: iso
    tools/bench-boot {{WORDS}}

# Draw the four modes' address spaces into docs/, from the constants that the kernel uses
atlas:
    tools/atlas

# Check format, clippy, the direction of dependencies, that the i686 kernel runs on an i486, and that all code has a name
lint: build
    tools/lint
    tools/check-i486
    tools/check-symbols

# Format all Rust code
fmt:
    tools/cargo fmt --all

# Write build/strata.iso to a removable device, after asking, and read it back
usb DEVICE:
    tools/usb {{quote(DEVICE)}}

# Start i686 in QEMU, stopped, with a gdb stub on port 1234, and gdb when there is one
debug-i686: iso
    tools/debug i686

# Start x86_64 in QEMU, stopped, with a gdb stub on port 1234, and gdb when there is one
debug-x86_64: iso
    tools/debug x86_64

# Remove everything that was built
clean:
    tools/cargo clean
    env -u STRATA_ROOTS tools/debian-root clear
    rm -rf build
