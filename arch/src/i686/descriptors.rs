//! GDT, IDT and TSS. All CPUs share the first, and each has its own tasks in it: by which it has loaded it is known which CPU it
//! is. As the gates of an IDT name tasks, each CPU has an IDT of its own too.

use core::arch::global_asm;
use core::ptr;

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
use super::tasks::{self, Tasks};
use crate::trap::OWN_STACK;
use crate::{nmi, percpu, pic, registers, trap};

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
/// The first CPU's task that runs all the time; its others follow it, and then those of the other CPUs.
const MAIN_TASK: u16 = 0x28;

/// The selector of the task number `task` of the CPU number `cpu`.
const fn task_selector(cpu: usize, task: usize) -> SegmentSelector {
    SegmentSelector::from_raw(MAIN_TASK + 8 * (cpu * tasks::COUNT + task) as u16)
}

/// The number of the task that has the selector `selector`, among those of its CPU; the first one's for what is none.
pub(super) const fn task_number(selector: u16) -> usize {
    selector.saturating_sub(MAIN_TASK) as usize / 8 % tasks::COUNT
}

/// The number of the CPU that has loaded the task `selector`; the first one's before it has loaded any.
pub(crate) const fn cpu_of(selector: u16) -> usize {
    selector.saturating_sub(MAIN_TASK) as usize / 8 / tasks::COUNT
}

/// Flat segments, with the accessed bit set so that the CPU has nothing to write.
const SEGMENTS: [u64; 5] =
    [0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF];

#[repr(C, align(8))]
struct Tables {
    segments: [u64; SEGMENTS.len()],
    tasks: [[Descriptor; tasks::COUNT]; percpu::MAX],
}

static mut TABLES: Tables = Tables { segments: SEGMENTS, tasks: [[Descriptor::NULL; tasks::COUNT]; percpu::MAX] };

/// What a CPU has of its own to be interrupted.
pub struct Own {
    tasks: Tasks,
    gates: [Descriptor; 256],
}

impl Own {
    const fn empty() -> Self {
        Self { tasks: Tasks::empty(), gates: [Descriptor::NULL; 256] }
    }

    /// For a CPU whose exceptions with a stack of their own ([`OWN_STACK`]) have these, which end there.
    pub fn new(stacks: [usize; OWN_STACK.len()]) -> Self {
        let mut own = Self::empty();
        own.tasks.prepare(stacks);
        own
    }

    /// Fills the gates of the CPU number `cpu`.
    fn fill_gates(&mut self, cpu: usize) {
        for (vector, gate) in self.gates.iter_mut().enumerate() {
            let builder = if let Some(task) = tasks::of(vector) {
                DescriptorBuilder::task_gate_descriptor(task_selector(cpu, task))
            } else {
                let stub = (&raw const trap_stubs).wrapping_add(vector * STUB) as u32;
                let code = SegmentSelector::from_raw(KERNEL_CODE);
                GateDescriptorBuilder::<u32>::interrupt_descriptor(code, stub)
            };
            *gate = builder.dpl(Ring::Ring0).present().finish();
        }
    }
}

/// The first CPU's.
static mut FIRST: Own = Own::empty();

/// Each CPU's, written before it runs.
static mut OWN: [*mut Own; percpu::MAX] = [ptr::null_mut(); percpu::MAX];

/// Fills the tables and loads them, masks the interrupt controllers and lets NMIs through. Exceptions are reported
/// from here on.
///
/// # Safety
/// Once, on the one CPU that runs, with interrupts off, from the addresses that the kernel is linked for.
pub unsafe fn load() {
    // SAFETY: nobody else uses the tables: they are not loaded yet, and this runs once.
    unsafe {
        let own = &raw mut FIRST;
        (*own).tasks.prepare(tasks::first_stacks());
        settle(0, own);
        load_on(0);
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
    // SAFETY: the caller's promise: nobody else uses either now.
    unsafe {
        (*own).fill_gates(cpu);
        (&raw mut OWN[cpu]).write(own);
    }
}

/// Loads the tables on a CPU that has just begun to run, as its number `cpu`, and forgets FS and GS.
///
/// # Safety
/// Once on each CPU, with interrupts off. [`load`] has run on the first, and [`settle`] for this one.
pub unsafe fn load_on(cpu: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        tasks_of(cpu).follow(mm::PhysAddr(registers::cr3()).frame());
        load_fs(SegmentSelector::from_raw(0));
        load_gs(SegmentSelector::from_raw(0));
        reload(cpu);
    }
}

/// The tasks of the CPU number `cpu`, which [`settle`] has been told of.
pub(super) fn tasks_of(cpu: usize) -> &'static Tasks {
    // SAFETY: they stay where they are, and what changes in them does so behind cells.
    unsafe { &(*OWN[cpu]).tasks }
}

/// Loads all that the CPU number `cpu`, which is this one, has loaded before once more. FS and GS are left alone.
///
/// # Safety
/// [`load`] must have run, and [`settle`] for this CPU, and interrupts must be off.
pub(crate) unsafe fn reload(cpu: usize) {
    let tables = &raw mut TABLES;
    // SAFETY: the tables are filled and stay where they are. The CPU writes the busy bit of a task's descriptor when
    // it loads it and refuses one that has it set, so the descriptors are made anew; no other CPU reads them.
    unsafe {
        let own = OWN[cpu];
        (&raw mut (*tables).tasks[cpu]).write(core::array::from_fn(|task| {
            let (at, limit) = ((*own).tasks.state(task) as u64, size_of::<TaskStateSegment>() as u64 - 1);
            let builder: DescriptorBuilder = GateDescriptorBuilder::<u32>::tss_descriptor(at, limit, true);
            builder.present().finish()
        }));
        let limit = (size_of::<Tables>() - 1) as u16;
        lgdt(&DescriptorTablePointer::<u64> { limit, base: (&raw const (*tables).segments).cast() });
        load_cs(SegmentSelector::from_raw(KERNEL_CODE));
        load_ss(SegmentSelector::from_raw(KERNEL_DATA));
        load_ds(SegmentSelector::from_raw(KERNEL_DATA));
        load_es(SegmentSelector::from_raw(KERNEL_DATA));
        load_tr(task_selector(cpu, 0));
        let limit = (size_of::<[Descriptor; 256]>() - 1) as u16;
        lidt(&DescriptorTablePointer::<Descriptor> { limit, base: (&raw const (*own).gates).cast() });
    }
}

/// Where this CPU's TSS says at which stack pointer the kernel goes on when ring 3 is interrupted.
pub(crate) fn kernel_stack() -> *mut usize {
    tasks_of(percpu::index()).kernel_stack()
}

/// Says that `root` is the live root on this CPU.
pub(crate) fn follow(root: PhysFrame) {
    tasks_of(percpu::index()).follow(root);
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
