//! Accesses that may end in a page fault, from ring 0 and from ring 3: the fault is a result, and not the end.
//!
//! While one is under way, the fault that it ends in is taken here instead of by the kernel's handler, and the access's
//! caller goes on. Ring 3 comes back by HLT, which it may not execute: the general protection fault says that the access
//! went through.

use core::arch::global_asm;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mm::{Access, AccessKind, Controls, FaultCode, PhysAddr, Trial};
use x86::controlregs::{Cr0, Cr4};
use x86::msr::{self, IA32_EFER};

use crate::descriptors::{self, KERNEL_DATA, USER_CODE, USER_DATA};
use crate::machine::mode::ROOT;
use crate::trap::Frame;
use crate::{interrupts, registers, tlb};

#[cfg(target_arch = "x86")]
global_asm!(
    ".set USER_CODE, {code}", ".set USER_DATA, {data}", ".set KERNEL_DATA, {kernel}",
    include_str!("i686/probe.s"),
    code = const USER_CODE, data = const USER_DATA, kernel = const KERNEL_DATA,
    options(att_syntax)
);
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".set USER_CODE, {code}", ".set USER_DATA, {data}", ".set KERNEL_DATA, {kernel}",
    include_str!("x86_64/probe.s"),
    code = const USER_CODE, data = const USER_DATA, kernel = const KERNEL_DATA,
    options(att_syntax)
);

unsafe extern "C" {
    fn probe_run(begin: usize, address: usize, flags: usize, kernel_stack: *mut usize) -> usize;
    static probe_read: u8;
    static probe_write: u8;
    static probe_fetch: u8;
    static probe_resume: u8;
}

/// What a page to be tried begins with: RET for ring 0, HLT for ring 3.
pub const CODE: &[u8] = &[0xC3, 0xF4];

/// Where in it the HLT is, and where data is read and written.
const HALT: usize = 1;
const DATA: usize = 0x800;

/// What ring 3 executes to read and to write the byte that (E/R)SI points to. The encoding is the same in all modes.
pub const STUB: &[u8] = &[0x8A, 0x06, 0xF4, 0xF4, 0x88, 0x06, 0xF4];

/// Where in it the second begins.
const STUB_WRITE: usize = 4;

/// EFLAGS with all off but bit 1, which is always set.
const FLAGS: usize = 1 << 1;
/// EFLAGS.AC.
const AC: usize = 1 << 18;

/// EFER.NXE.
const NXE: u64 = 1 << 11;
const WP: u64 = Cr0::CR0_WRITE_PROTECT.bits() as u64;
const SMEP: u64 = Cr4::CR4_ENABLE_SMEP.bits() as u64;
const SMAP: u64 = Cr4::CR4_ENABLE_SMAP.bits() as u64;

const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;

/// Marks a result as an error code, which may be 0.
const FAULTED: usize = 1 << 31;

/// An access is under way.
static ARMED: AtomicBool = AtomicBool::new(false);

/// The page that it is to.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Takes the exception of an access that is under way; tells whether it was one.
pub(crate) fn caught(frame: &mut Frame) -> bool {
    if !ARMED.load(Ordering::Relaxed) {
        return false;
    }
    let result = match frame.vector() {
        PAGE_FAULT if frame.fault_address() as usize & !0xFFF == PAGE.load(Ordering::Relaxed) => {
            FAULTED | frame.error() as usize
        }
        GENERAL_PROTECTION if frame.from_user() => 0,
        _ => return false,
    };
    ARMED.store(false, Ordering::Relaxed);
    let stack = (&raw const *frame).addr();
    frame.return_to_kernel((&raw const probe_resume).addr(), stack, result);
    true
}

/// Tries an access to the page of `trial`, with EFLAGS.AC set if `ac`. `None` if its tree is not the live one.
///
/// # Errors
/// The error code of the page fault that it ends in.
///
/// # Safety
/// The trial was laid with [`CODE`] and [`STUB`].
pub unsafe fn attempt(trial: &Trial, access: Access, ac: bool) -> Option<Result<(), FaultCode>> {
    if PhysAddr(registers::cr3() & ROOT).frame() != trial.root() {
        return None;
    }
    let (page, stub) = (trial.at().0 as usize, trial.stub().0 as usize);
    let address = if access.kind == AccessKind::Fetch { page } else { page + DATA };
    let begin = match (access.user, access.kind) {
        (false, AccessKind::Read) => (&raw const probe_read).addr(),
        (false, AccessKind::Write) => (&raw const probe_write).addr(),
        (false, AccessKind::Fetch) => (&raw const probe_fetch).addr(),
        (true, AccessKind::Read) => stub,
        (true, AccessKind::Write) => stub + STUB_WRITE,
        (true, AccessKind::Fetch) => page + HALT,
    };
    let flags = FLAGS | if ac { AC } else { 0 };
    let result = interrupts::without(|| {
        let kernel_stack = descriptors::kernel_stack();
        PAGE.store(page, Ordering::Relaxed);
        ARMED.store(true, Ordering::Relaxed);
        let into = if access.user { kernel_stack } else { ptr::null_mut() };
        // SAFETY: the access ends in a fault, which `caught` turns into a return, or in the trial's own frame, where
        // nothing lies but the code by which it comes back. It preserves what a function must.
        let result = unsafe { probe_run(begin, address, flags, into) };
        ARMED.store(false, Ordering::Relaxed);
        // SAFETY: nothing runs in ring 3, so the CPU does not read the field.
        unsafe { kernel_stack.write_unaligned(0) };
        result
    });
    Some(if result & FAULTED == 0 { Ok(()) } else { Err(FaultCode::from_bits_retain((result & !FAULTED) as u32)) })
}

/// Runs `tries` with WP, NXE, SMEP and SMAP as `controls` has them, and then puts them back. Tells whether it did: not if
/// one is wanted that is not on now, because the CPU may not have it.
///
/// # Safety
/// With NXE off the live tables must have no NX bit set where anything is in use.
pub unsafe fn with_controls(controls: &Controls, tries: &mut dyn FnMut()) -> bool {
    let before = (registers::cr0(), registers::cr4(), registers::efer());
    let bit = |wanted, bit| if wanted { bit } else { 0 };
    let wanted = (
        before.0 & !WP | bit(controls.write_protect, WP),
        before.1 & !(SMEP | SMAP) | bit(controls.smep, SMEP) | bit(controls.smap, SMAP),
        before.2 & !NXE | bit(controls.no_execute, NXE),
    );
    if wanted.0 & !before.0 | wanted.1 & !before.1 | wanted.2 & !before.2 != 0 {
        return false;
    }
    // SAFETY: bits are only switched off that are on, and on again; the rest is the caller's promise.
    unsafe { change(before, wanted) };
    tries();
    // SAFETY: as above.
    unsafe { change(wanted, before) };
    true
}

/// Writes those of CR0, CR4 and EFER that differ, and flushes: translations remember what the registers were.
///
/// # Safety
/// The CPU has the registers that differ, and what is in use stays within reach.
unsafe fn change(from: (u64, u64, u64), to: (u64, u64, u64)) {
    // SAFETY: the caller's promise.
    unsafe {
        if from.2 != to.2 {
            msr::wrmsr(IA32_EFER, to.2);
        }
        if from.1 != to.1 {
            registers::set_cr4(to.1);
        }
        if from.0 != to.0 {
            registers::set_cr0(to.0);
        }
    }
    tlb::flush_all();
}
