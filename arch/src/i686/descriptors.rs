//! GDT, IDT and TSS of the one CPU that runs.

use core::arch::global_asm;

use mm::Frame as PhysFrame;
use x86::Ring;
use x86::bits32::task::TaskStateSegment;
use x86::dtables::{DescriptorTablePointer, lgdt, lidt};
use x86::segmentation::{
    BuildDescriptor, Descriptor, DescriptorBuilder, GateDescriptorBuilder, SegmentSelector, TaskGateDescriptorBuilder,
    load_cs, load_ds, load_es, load_fs, load_gs, load_ss,
};
use x86::task::load_tr;

use super::frame::Frame;
use super::tasks;
use crate::{nmi, pic, registers, trap};

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
/// Programs' code segment.
pub const USER_CODE: u16 = 0x18 | 3;
/// Programs' data segment.
pub const USER_DATA: u16 = 0x20 | 3;
/// The task that runs all the time; the others follow it.
const MAIN_TASK: u16 = 0x28;

/// The selector of the task number `index`.
const fn task_selector(index: usize) -> SegmentSelector {
    SegmentSelector::from_raw(MAIN_TASK + 8 * index as u16)
}

/// The number of the task that has the selector `selector`; the first one's for what is none.
pub(super) const fn task_number(selector: u16) -> usize {
    match selector.checked_sub(MAIN_TASK) {
        Some(offset) if (offset as usize) < 8 * tasks::COUNT => offset as usize / 8,
        _ => 0,
    }
}

/// Flat segments, with the accessed bit set so that the CPU has nothing to write.
const SEGMENTS: [u64; 5] =
    [0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF];

#[repr(C, align(8))]
struct Tables {
    segments: [u64; SEGMENTS.len()],
    tasks: [Descriptor; tasks::COUNT],
    gates: [Descriptor; 256],
}

static mut TABLES: Tables =
    Tables { segments: SEGMENTS, tasks: [Descriptor::NULL; tasks::COUNT], gates: [Descriptor::NULL; 256] };

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
            let builder = if let Some(task) = tasks::of(vector) {
                DescriptorBuilder::task_gate_descriptor(task_selector(task))
            } else {
                let stub = (&raw const trap_stubs).add(vector * STUB) as u32;
                let code = SegmentSelector::from_raw(KERNEL_CODE);
                GateDescriptorBuilder::<u32>::interrupt_descriptor(code, stub)
            };
            *gate = builder.dpl(Ring::Ring0).present().finish();
        }
        tasks::prepare();
        follow(mm::PhysAddr(registers::cr3()).frame());
        load_fs(SegmentSelector::from_raw(0));
        load_gs(SegmentSelector::from_raw(0));
        reload();
    }
    pic::mask_all();
    nmi::open();
}

/// Loads all that [`load`] loaded once more. FS and GS are left alone.
///
/// # Safety
/// [`load`] must have run, and interrupts must be off.
pub(crate) unsafe fn reload() {
    let tables = &raw mut TABLES;
    // SAFETY: the tables are filled and stay where they are. The CPU writes the busy bit of a task's descriptor when
    // it loads it and refuses one that has it set, so the descriptors are made anew.
    unsafe {
        (&raw mut (*tables).tasks).write(core::array::from_fn(|task| {
            let (at, limit) = (tasks::state(task) as u64, size_of::<TaskStateSegment>() as u64 - 1);
            let builder: DescriptorBuilder = GateDescriptorBuilder::<u32>::tss_descriptor(at, limit, true);
            builder.present().finish()
        }));
        let limit = (size_of::<[u64; SEGMENTS.len()]>() + size_of::<[Descriptor; tasks::COUNT]>() - 1) as u16;
        lgdt(&DescriptorTablePointer::<u64> { limit, base: (&raw const (*tables).segments).cast() });
        load_cs(SegmentSelector::from_raw(KERNEL_CODE));
        load_ss(SegmentSelector::from_raw(KERNEL_DATA));
        load_ds(SegmentSelector::from_raw(KERNEL_DATA));
        load_es(SegmentSelector::from_raw(KERNEL_DATA));
        load_tr(SegmentSelector::from_raw(MAIN_TASK));
        let limit = (size_of::<[Descriptor; 256]>() - 1) as u16;
        lidt(&DescriptorTablePointer::<Descriptor> { limit, base: (&raw const (*tables).gates).cast() });
    }
}

/// Where the TSS says at which stack pointer the kernel goes on when ring 3 is interrupted.
pub(crate) fn kernel_stack() -> *mut usize {
    tasks::kernel_stack()
}

/// Says that `root` is the live root.
pub(crate) fn follow(root: PhysFrame) {
    tasks::follow(root);
}

/// Called by `trap.s`.
#[unsafe(no_mangle)]
extern "C" fn trap_entry(frame: *mut Frame) {
    // SAFETY: the stub has just put the frame on its stack and waits for this to return.
    let frame = unsafe { &mut *frame };
    // From ring 0 the CPU pushes no stack pointer: the interrupted code's stack ends where the frame does.
    frame.esp = if frame.from_user() {
        // SAFETY: from ring 3 it has pushed one, right behind the frame.
        unsafe { (&raw const *frame).add(1).cast::<u32>().read() }
    } else {
        (&raw const *frame).wrapping_add(1) as u32
    };
    trap::dispatch(frame);
}
