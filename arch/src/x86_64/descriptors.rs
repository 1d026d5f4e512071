//! GDT, IDT and TSS. All CPUs share the first two; each has its own TSS, and by which of the GDT's it has loaded it is known
//! which CPU it is.

use core::arch::global_asm;
use core::ptr;

use mm::Frame as PhysFrame;
use x86::Ring;
use x86::bits64::segmentation::Descriptor64;
use x86::bits64::task::TaskStateSegment;
use x86::dtables::{DescriptorTablePointer, lgdt, lidt};
use x86::segmentation::{
    BuildDescriptor, DescriptorBuilder, GateDescriptorBuilder, SegmentSelector, load_cs, load_ds, load_es, load_fs,
    load_gs, load_ss,
};
use x86::task::load_tr;

use crate::machine::frame::Frame;
use crate::trap::OWN_STACK;
use crate::{nmi, percpu, pic, trap};

global_asm!(
    ".set TRAP_ERROR_CODES, {errors}",
    include_str!("trap.s"),
    errors = const trap::ERROR_CODES,
    options(att_syntax)
);

unsafe extern "C" {
    /// The 256 entries, one after the other.
    static trap_stubs: u8;
}

/// How far apart they lie, in bytes.
const STUB: usize = 16;

/// The kernel's code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// The kernel's data segment.
pub const KERNEL_DATA: u16 = 0x10;
/// Programs' data segment. The one before it is their 32-bit code segment: the order of the three is SYSRET's.
pub const USER_DATA: u16 = 0x20 | 3;
/// Programs' 64-bit code segment.
pub const USER_CODE: u16 = 0x28 | 3;
/// The first CPU's TSS; the others follow it, 16 bytes each.
const TSS: u16 = 0x30;

/// Flat segments, with the accessed bit set so that the CPU has nothing to write.
const SEGMENTS: [u64; 6] = [
    0,
    0x00AF_9B00_0000_FFFF,
    0x00CF_9300_0000_FFFF,
    0x00CF_FB00_0000_FFFF,
    0x00CF_F300_0000_FFFF,
    0x00AF_FB00_0000_FFFF,
];

/// How large the stack of an exception is that has its own, in bytes.
const STACK: usize = 16 * 1024;

#[repr(C, align(4096))]
struct Stack([u8; STACK]);

#[repr(C, align(16))]
struct Tables {
    segments: [u64; SEGMENTS.len()],
    tasks: [Descriptor64; percpu::MAX],
    gates: [Descriptor64; 256],
}

static mut TABLES: Tables =
    Tables { segments: SEGMENTS, tasks: [Descriptor64::NULL; percpu::MAX], gates: [Descriptor64::NULL; 256] };

/// What a CPU has of its own to be interrupted.
pub struct Own {
    tss: TaskStateSegment,
}

impl Own {
    /// For a CPU whose exceptions with a stack of their own ([`OWN_STACK`]) have these, which end there.
    pub fn new(stacks: [usize; OWN_STACK.len()]) -> Self {
        let mut tss = TaskStateSegment::new();
        for (at, end) in stacks.into_iter().enumerate() {
            tss.set_ist(at, end as u64);
        }
        // No I/O permission map: the limit ends before it.
        tss.iomap_base = size_of::<TaskStateSegment>() as u16;
        Self { tss }
    }
}

/// The first CPU's.
static mut FIRST: Own = Own { tss: TaskStateSegment::new() };

/// Each CPU's, written before it runs.
static mut OWN: [*mut Own; percpu::MAX] = [ptr::null_mut(); percpu::MAX];

static mut STACKS: [Stack; OWN_STACK.len()] = [const { Stack([0; STACK]) }; OWN_STACK.len()];

/// Fills the tables and loads them, masks the interrupt controllers and lets NMIs through. Exceptions are reported
/// from here on.
///
/// # Safety
/// Once, on the one CPU that runs, with interrupts off, from the addresses that the kernel is linked for.
pub unsafe fn load() {
    // SAFETY: nobody else uses the tables: they are not loaded yet, and this runs once.
    unsafe {
        let tables = &raw mut TABLES;
        let tables = &mut *tables;
        for (vector, gate) in tables.gates.iter_mut().enumerate() {
            let stub = (&raw const trap_stubs).add(vector * STUB) as u64;
            // The interrupt stack table counts from 1; 0 is the current stack.
            let own = OWN_STACK.iter().position(|own| usize::from(*own) == vector).map_or(0, |at| at as u8 + 1);
            let code = SegmentSelector::from_raw(KERNEL_CODE);
            let builder: DescriptorBuilder = GateDescriptorBuilder::<u64>::interrupt_descriptor(code, stub);
            *gate = builder.dpl(Ring::Ring0).ist(own).present().finish();
        }
        let own = &raw mut FIRST;
        own.write(Own::new(core::array::from_fn(|at| (&raw const STACKS).cast::<Stack>().add(at + 1) as usize)));
        settle(0, own);
        load_fs(SegmentSelector::from_raw(0));
        load_gs(SegmentSelector::from_raw(0));
        reload(0);
    }
    pic::mask_all();
    nmi::open();
}

/// Says what the CPU number `cpu` has of its own. It is read when that CPU [loads](load_on) it, and by the CPU ever after.
///
/// # Safety
/// `own` stays where it is for good. That CPU does not run yet, or this is it.
pub unsafe fn settle(cpu: usize, own: *mut Own) {
    assert!(cpu < percpu::MAX, "no CPU number {cpu}");
    // SAFETY: the caller's promise: nobody reads the place now.
    unsafe { (&raw mut OWN[cpu]).write(own) };
}

/// Loads the tables on a CPU that has just begun to run, as its number `cpu`, and forgets FS and GS.
///
/// # Safety
/// Once on each CPU, with interrupts off. [`load`] has run on the first, and [`settle`] for this one.
pub unsafe fn load_on(cpu: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        load_fs(SegmentSelector::from_raw(0));
        load_gs(SegmentSelector::from_raw(0));
        reload(cpu);
    }
}

/// The selector of the TSS of the CPU number `cpu`.
const fn task_selector(cpu: usize) -> u16 {
    TSS + (cpu * size_of::<Descriptor64>()) as u16
}

/// The number of the CPU that has loaded the task `selector`; the first one's before it has loaded any.
pub(crate) const fn cpu_of(selector: u16) -> usize {
    selector.saturating_sub(TSS) as usize / size_of::<Descriptor64>()
}

/// Loads all that the CPU number `cpu`, which is this one, has loaded before once more. FS and GS are left alone.
///
/// # Safety
/// [`load`] must have run, and [`settle`] for this CPU, and interrupts must be off.
pub(crate) unsafe fn reload(cpu: usize) {
    let tables = &raw mut TABLES;
    // SAFETY: the tables are filled and stay where they are. The CPU writes the TSS descriptor's busy bit when it
    // loads it and refuses one that has it set, so the descriptor is made anew; no other CPU reads it.
    unsafe {
        let builder: DescriptorBuilder = GateDescriptorBuilder::<u64>::tss_descriptor(
            &raw const (*OWN[cpu]).tss as u64,
            size_of::<TaskStateSegment>() as u64 - 1,
            true,
        );
        (&raw mut (*tables).tasks[cpu]).write(builder.present().finish());
        let limit = (size_of::<[u64; SEGMENTS.len()]>() + size_of::<[Descriptor64; percpu::MAX]>() - 1) as u16;
        lgdt(&DescriptorTablePointer::<u64> { limit, base: (&raw const (*tables).segments).cast() });
        load_cs(SegmentSelector::from_raw(KERNEL_CODE));
        load_ss(SegmentSelector::from_raw(KERNEL_DATA));
        load_ds(SegmentSelector::from_raw(KERNEL_DATA));
        load_es(SegmentSelector::from_raw(KERNEL_DATA));
        load_tr(SegmentSelector::from_raw(task_selector(cpu)));
        let limit = (size_of::<[Descriptor64; 256]>() - 1) as u16;
        lidt(&DescriptorTablePointer::<Descriptor64> { limit, base: (&raw const (*tables).gates).cast() });
    }
}

/// Where this CPU's TSS says at which stack pointer the kernel goes on when ring 3 is interrupted.
pub(crate) fn kernel_stack() -> *mut usize {
    // SAFETY: only the place is asked for; nothing of the TSS is read or written.
    unsafe { (&raw mut (*OWN[percpu::index()]).tss.rsp).cast() }
}

/// Says that `root` is the live root. Long mode has no task that would load one of its own.
pub(crate) const fn follow(_root: PhysFrame) {}

/// Called by `trap.s`.
#[unsafe(no_mangle)]
extern "C" fn trap_entry(frame: *mut Frame) {
    // SAFETY: the stub has just put the frame on its stack and waits for this to return.
    trap::dispatch(unsafe { &mut *frame });
}
