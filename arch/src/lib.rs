//! What the CPU and the PC around it can do.
//!
//! The names are the same for i686 and x86_64; what stands behind them is picked when this is compiled, because a
//! binary knows its architecture. (What it does not know, the paging mode, is picked at run time and is no matter of
//! this crate: it enters whatever root it is given.) Control registers, CPUID, model-specific registers, `invlpg`,
//! I/O ports and `asm!` stand here and in the boot stub and nowhere else.
//!
//! Everything runs in ring 0, so reading a register is safe. What can take the ground from under running code is an
//! `unsafe fn` that says what it needs. The oldest CPU is a 486 without CPUID, and nothing is executed that CPUID does
//! not offer: not even CR4 is read on a CPU without it.
//!
//! What there is, and in the order in which a kernel comes up:
//!
//! - [`serial`] and [`receive`], [`screen`], [`keyboard`]: consoles, of which any may be missing;
//! - [`descriptors`]: the tables that say what a segment, an interrupt, a task is;
//! - [`trap`]: exceptions, and the one hook for them;
//! - [`percpu`]: which CPU this is; [`cpus`]: the others, and what is asked of them; [`apic`]: how they are reached;
//!   [`local_timer`]: their heartbeat;
//! - [`cpu`]: what this CPU offers, and switching on what the page tables rely on;
//! - [`mode`]: the live mode, and the lift into the other;
//! - [`tlb`]: forgetting translations;
//! - [`interrupts`], [`timer`], [`delay`]: on, off, waiting, and a heartbeat; [`lines`]: which devices may interrupt, and whether by
//!   way of the 8259s ([`pic`]) or of [I/O APICs](io_apic); `vectors`: who interrupts by which;
//! - [`context`], [`preempt`]: threads: leaving one for another, and whether this CPU may;
//! - [`clock`]: what the CPU counts, and how fast;
//! - [`power`]: restart and power off;
//! - [`fault`]: exceptions on purpose; [`probe`], [`look`]: accesses that may end in one, and go on.
#![no_std]

pub mod apic;
pub mod clock;
pub mod context;
pub mod cpu;
mod cpuid;
pub mod cpus;
pub mod delay;
pub mod fault;
mod hpet;
pub mod interrupts;
pub mod io_apic;
pub mod keyboard;
pub mod lines;
pub mod local_timer;
pub mod look;
pub mod mode;
mod mtrr;
mod nmi;
pub mod percpu;
pub mod pic;
pub mod power;
pub mod preempt;
pub mod probe;
pub mod receive;
mod registers;
mod ring;
pub mod screen;
pub mod serial;
pub mod timer;
pub mod tlb;
pub mod trap;
mod vectors;

#[cfg(target_arch = "x86")]
#[path = "i686/mod.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/mod.rs"]
mod machine;

pub use machine::descriptors;

/// Where physical address 0 lies in the mapping that the kernel is linked for: a symbol's physical address is its
/// virtual one less this.
#[cfg(target_arch = "x86")]
pub const KERNEL_OFFSET: u64 = 0xC000_0000;

/// Where physical address 0 lies in the mapping that the kernel is linked for: a symbol's physical address is its
/// virtual one less this.
#[cfg(target_arch = "x86_64")]
pub const KERNEL_OFFSET: u64 = 0xFFFF_FFFF_8000_0000;

/// Below it programs live, in every mode; above it, where an address is canonical, the kernel.
pub const KERNEL_HALF: u64 = if cfg!(target_arch = "x86") { 0xC000_0000 } else { 1 << 63 };
