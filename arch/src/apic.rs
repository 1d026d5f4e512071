//! The local APIC: the part of each CPU that takes interrupts, and sends them to other CPUs (SDM vol. 3A, chapter 11).
//!
//! Its registers are in memory (xAPIC) or, where the CPU offers it, among the model-specific registers (x2APIC), which can name
//! more than 255 CPUs and need no page. Each CPU sees its own at the same address.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use x86::msr::{self, IA32_APIC_BASE};

use crate::{cpuid, interrupts, vectors};

/// In IA32_APIC_BASE: the APIC is on; its registers are model-specific ones; and where they are otherwise.
const ON: u64 = 1 << 11;
const X2: u64 = 1 << 10;
const BASE: u64 = 0x000F_FFFF_FFFF_F000;

/// Registers: their offset in memory, divided by 16 and added to 0x800 their number among the model-specific ones.
pub(crate) mod register {
    pub const ID: usize = 0x20;
    pub const VERSION: usize = 0x30;
    pub const TASK_PRIORITY: usize = 0x80;
    pub const END: usize = 0xB0;
    pub const SPURIOUS: usize = 0xF0;
    pub const ERROR: usize = 0x280;
    pub const COMMAND: usize = 0x300;
    pub const COMMAND_HIGH: usize = 0x310;
    pub const TIMER: usize = 0x320;
    pub const THERMAL: usize = 0x330;
    pub const COUNTER: usize = 0x340;
    pub const LINT0: usize = 0x350;
    pub const LINT1: usize = 0x360;
    pub const LOCAL_ERROR: usize = 0x370;
    pub const TIMER_START: usize = 0x380;
    pub const TIMER_NOW: usize = 0x390;
    pub const TIMER_DIVISOR: usize = 0x3E0;
}

/// In the register of the spurious vector: the APIC takes interrupts.
const ENABLED: u32 = 1 << 8;

/// In a register of the local vector table: nothing is raised; the 8259s' interrupt; a non-maskable one.
const MASKED: u32 = 1 << 16;
const EXTERNAL: u32 = 7 << 8;
const NMI: u32 = 4 << 8;

/// In the command: it has not been sent yet; how it is delivered; the level, which is always asserted.
const PENDING: u32 = 1 << 12;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_START: u32 = 6 << 8;
const ASSERT: u32 = 1 << 14;

/// How often it is looked whether a command was sent: some tenths of a second.
const PATIENCE: u32 = 1 << 20;

/// Where the registers are mapped; 0 where they are model-specific ones, or nothing is open.
static REGISTERS: AtomicUsize = AtomicUsize::new(0);
static OPEN: AtomicBool = AtomicBool::new(false);

/// What kind of local APIC this CPU has, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Registers in memory, 4 KiB at this physical address.
    Memory(u64),
    /// Model-specific registers.
    Model,
}

/// Looks what this CPU has; nothing if CPUID offers no APIC or the firmware has switched it off.
pub fn find() -> Option<Kind> {
    let cpuid = cpuid::read()?;
    let basic = cpuid.get_feature_info()?;
    if !basic.has_apic() || !basic.has_msr() {
        return None;
    }
    // SAFETY: a CPU with an APIC and model-specific registers has this one.
    let base = unsafe { msr::rdmsr(IA32_APIC_BASE) };
    if base & ON == 0 {
        return None;
    }
    if base & X2 != 0 || basic.has_x2apic() { Some(Kind::Model) } else { Some(Kind::Memory(base & BASE)) }
}

/// Opens the first CPU's APIC. The 8259s' interrupts come through it as before.
///
/// # Safety
/// `kind` is what [`find`] said; where it is in memory, `registers` is where that is mapped, uncached and for good.
pub unsafe fn open_first(kind: Kind, registers: usize) {
    REGISTERS.store(if kind == Kind::Model { 0 } else { registers }, Ordering::Relaxed);
    // SAFETY: the caller's promise.
    unsafe { open(true) };
    OPEN.store(true, Ordering::Release);
}

/// Opens the APIC of a CPU that has just begun to run. Nothing reaches it but other CPUs' interrupts and NMIs.
///
/// # Safety
/// [`open_first`] has run on the first CPU, and this one has an APIC of the same kind.
pub unsafe fn open_other() {
    // SAFETY: the caller's promise.
    unsafe { open(false) };
}

/// # Safety
/// [`REGISTERS`] is set.
unsafe fn open(first: bool) {
    // SAFETY: the caller's promise; every vector has a gate.
    unsafe {
        if REGISTERS.load(Ordering::Relaxed) == 0 {
            msr::wrmsr(IA32_APIC_BASE, msr::rdmsr(IA32_APIC_BASE) | ON | X2);
        }
        write(register::TASK_PRIORITY, 0);
        write(register::TIMER, MASKED);
        let entries = read(register::VERSION) >> 16 & 0xFF;
        if entries >= 4 {
            write(register::COUNTER, MASKED);
        }
        if entries >= 5 {
            write(register::THERMAL, MASKED);
        }
        write(register::LOCAL_ERROR, MASKED);
        write(register::LINT0, if first { EXTERNAL } else { MASKED });
        write(register::LINT1, NMI);
        write(register::SPURIOUS, ENABLED | u32::from(vectors::SPURIOUS));
        // Whatever is in service from before would keep out all that is not more urgent.
        write(register::END, 0);
    }
}

/// Whether the APICs are open: without them there is one CPU.
pub fn is_open() -> bool {
    OPEN.load(Ordering::Acquire)
}

/// Whether the registers are model-specific ones.
pub fn is_x2() -> bool {
    is_open() && REGISTERS.load(Ordering::Relaxed) == 0
}

/// The number of this CPU's APIC.
///
/// # Panics
/// If the APIC is not open.
pub fn id() -> u32 {
    assert!(is_open(), "the APIC is not open");
    // SAFETY: it is open.
    unsafe { if is_x2() { read(register::ID) } else { read(register::ID) >> 24 } }
}

/// Has the 8259s' interrupts come through this CPU's APIC, or not. It is open, and this is the first CPU.
pub(crate) fn let_pics_in(on: bool) {
    // SAFETY: the APIC is open; the 8259s' interrupts have handlers.
    unsafe { write(register::LINT0, if on { EXTERNAL } else { MASKED }) };
}

/// Tells this CPU's APIC, if it is open, that its interrupt was handled.
pub(crate) fn acknowledge() {
    if is_open() {
        // SAFETY: it is open.
        unsafe { write(register::END, 0) };
    }
}

/// Interrupts the CPU whose APIC has the number `to` with `vector`. Tells whether it was sent.
pub(crate) fn send(to: u32, vector: u8) -> bool {
    command(to, ASSERT | u32::from(vector))
}

/// Interrupts the CPU whose APIC has the number `to` with an NMI. Tells whether it was sent.
pub(crate) fn send_nmi(to: u32) -> bool {
    command(to, ASSERT | DELIVER_NMI)
}

/// Stops the CPU whose APIC has the number `to`: it waits for [`send_start`]. Tells whether it was sent.
pub(crate) fn send_init(to: u32) -> bool {
    command(to, ASSERT | DELIVER_INIT)
}

/// Starts the CPU whose APIC has the number `to`, if it waits to be, in real mode at the start of the physical page number
/// `page`. Tells whether it was sent.
pub(crate) fn send_start(to: u32, page: u8) -> bool {
    command(to, ASSERT | DELIVER_START | u32::from(page))
}

/// Whether a CPU can be named by its APIC's number `id`.
pub fn can_name(id: u32) -> bool {
    is_x2() || id < 0xFF
}

fn command(to: u32, command: u32) -> bool {
    if !is_open() || !can_name(to) {
        return false;
    }
    interrupts::without(|| {
        if is_x2() {
            // Writes of these registers do not wait for earlier stores; the other CPU may be told of them by this.
            // SAFETY: the fences and the register exist where x2APIC does; what is sent has a handler.
            unsafe {
                core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
                msr::wrmsr(0x800 + (register::COMMAND >> 4) as u32, u64::from(to) << 32 | u64::from(command));
            }
            return true;
        }
        // SAFETY: the APIC is open; what is sent has a handler.
        unsafe {
            if !sent() {
                return false;
            }
            write(register::COMMAND_HIGH, to << 24);
            write(register::COMMAND, command);
            sent()
        }
    })
}

/// Waits until the last command was sent. Whether it was.
///
/// # Safety
/// The APIC is open, and has its registers in memory.
unsafe fn sent() -> bool {
    for _ in 0..PATIENCE {
        // SAFETY: the caller's promise.
        if unsafe { read(register::COMMAND) } & PENDING == 0 {
            return true;
        }
        core::hint::spin_loop();
    }
    false
}

/// What the APIC has to complain about, since this was last asked: bits as in SDM vol. 3A, 11.5.3.
pub fn errors() -> u32 {
    if !is_open() {
        return 0;
    }
    // SAFETY: it is open. The register shows what has gathered when it is written.
    unsafe {
        write(register::ERROR, 0);
        read(register::ERROR)
    }
}

/// # Safety
/// The APIC is open.
pub(crate) unsafe fn read(register: usize) -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise: then the registers are model-specific ones.
        0 => unsafe { msr::rdmsr(0x800 + (register >> 4) as u32) as u32 },
        // SAFETY: the caller's promise: then they are mapped there.
        at => unsafe { ((at + register) as *const u32).read_volatile() },
    }
}

/// # Safety
/// The APIC is open, and what the write asks for does no harm.
pub(crate) unsafe fn write(register: usize, value: u32) {
    match REGISTERS.load(Ordering::Relaxed) {
        // SAFETY: as above.
        0 => unsafe { msr::wrmsr(0x800 + (register >> 4) as u32, value.into()) },
        // SAFETY: as above.
        at => unsafe { ((at + register) as *mut u32).write_volatile(value) },
    }
}
