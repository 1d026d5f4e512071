//! Starting the other CPUs (SDM vol. 3A, 9.4.4): INIT, ten milliseconds, and a start-up interrupt that names a page below 1 MiB, to
//! all of them at once; a second one to those that do not show up soon. `start.s` is what they run there.
//!
//! A CPU takes a number, which says what is its own: a stack, tasks, later its place in every table. It comes up with the first
//! CPU's control registers, PAT and memory types, or is left out: what the page tables rely on every CPU must have.

use core::arch::global_asm;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use mm::{Features, Frame};
use spin::Once;

use super::{CPUS, END, State};
use crate::descriptors::{self, KERNEL_CODE, KERNEL_DATA, Own};
use crate::percpu::MAX;
use crate::trap::OWN_STACK;
use crate::{apic, cpu, delay, interrupts, local_timer, mode, mtrr, registers};

global_asm!(
    ".set START_LONG, {long}", ".set START_CODE, {code}", ".set START_DATA, {data}", ".set START_CODE_32, {code_32}",
    include_str!("start.s"),
    long = const cfg!(target_arch = "x86_64") as u32,
    code = const KERNEL_CODE,
    data = const KERNEL_DATA,
    // The last of the four segments there; on i686 the first is one of 32 bits too.
    code_32 = const 0x18,
    options(att_syntax)
);

unsafe extern "C" {
    static start_page: u8;
    static start_values: u8;
    static start_page_end: u8;
}

/// The end of the stack of each CPU, by the number that it takes, which counts from 0 for the first that is started.
#[unsafe(export_name = "start_stacks")]
static STACKS: [AtomicUsize; MAX] = [const { AtomicUsize::new(0) }; MAX];

/// What the tables rely on.
static WANTED: Once<Features> = Once::new();

/// What a CPU does that is up.
static THEN: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// CR4.PSE, PAE and LA57: what decides how entries are read. The others are switched on by [`cpu::prepare`].
const CR4: u64 = 1 << 4 | 1 << 5 | 1 << 12;
const PSE: u64 = 1 << 4;
const PAE: u64 = 1 << 5;
const LA57: u64 = 1 << 12;

/// EFER.LME and NXE.
const EFER: u64 = LME | NXE;
const LME: u64 = 1 << 8;
const NXE: u64 = 1 << 11;

/// What `start.s` needs to know, as it lies there.
#[repr(C)]
struct Values {
    /// Far pointers: where to go on without real mode, and with paging. Each offset, and then the segment.
    protected: [u32; 2],
    paged: [u32; 2],
    gdt_limit: u32,
    gdt_base: u32,
    cr0: u32,
    cr3: u32,
    cr4: u32,
    efer: u32,
    /// The bits that CPUID must have: of leaf 1, of leaf 0x80000001, both in EDX, and of leaf 7 in ECX.
    basic: u32,
    extended: u32,
    structured: u32,
    /// The next number, and how many CPUs did not have the bits.
    next: u32,
    refused: u32,
}

/// Bytes of the page that are used.
fn length() -> usize {
    (&raw const start_page_end).addr() - (&raw const start_page).addr()
}

/// The content of a frame.
type Page = [u8; mm::PAGE_SIZE as usize];

/// Makes the page on which CPUs begin out of `page`, which is what lies in `frame`.
///
/// # Panics
/// If the frame is not below 1 MiB, or the live root not below 4 GiB: a CPU begins with 20 bits of address, and loads CR3 with
/// 32.
pub fn lay(page: &mut Page, frame: Frame, features: &Features) {
    let at = u32::try_from(frame.start().0).ok().filter(|at| *at < 1 << 20).expect("a frame below 1 MiB");
    // SAFETY: what lies between the two symbols, constants all.
    let code = unsafe { core::slice::from_raw_parts(&raw const start_page, length()) };
    page[..code.len()].copy_from_slice(code);
    let (cr4, efer) = (registers::cr4() & CR4, registers::efer() & EFER);
    let bit = |wanted: bool, bit: u32| u32::from(wanted) << bit;
    let values = values(page);
    values.protected[0] += at;
    if cfg!(target_arch = "x86_64") {
        values.paged[0] += at;
    }
    values.gdt_base += at;
    values.cr0 = registers::cr0() as u32;
    values.cr3 = u32::try_from(mode::current().root.start().0).expect("the live root is below 4 GiB");
    (values.cr4, values.efer) = (cr4 as u32, efer as u32);
    // MSR and APIC, PAT where the tables use it.
    values.basic = 1 << 5 | 1 << 9 | bit(cr4 & PSE != 0, 3) | bit(cr4 & PAE != 0, 6) | bit(features.pat, 16);
    values.extended = bit(efer & NXE != 0, 20) | bit(features.page_1g, 26) | bit(efer & LME != 0, 29);
    values.structured = bit(cr4 & LA57 != 0, 16);
}

/// What became of the CPUs that began on `page`: how many took a number, and how many of them did not have what the tables rely
/// on.
pub fn outcome(page: &mut Page) -> (u32, u32) {
    let values = values(page);
    // SAFETY: references are valid pointers. CPUs that begin write the places.
    unsafe { ((&raw const values.next).read_volatile(), (&raw const values.refused).read_volatile()) }
}

fn values(page: &mut Page) -> &mut Values {
    let offset = (&raw const start_values).addr() - (&raw const start_page).addr();
    // SAFETY: any bits are a `Values`.
    let (before, values, _) = unsafe { page[offset..].align_to_mut::<Values>() };
    assert!(before.is_empty(), "the values are aligned");
    &mut values[0]
}

/// How many stacks a CPU needs: one for everything, and one for each exception that has its own.
pub const STACKS_EACH: usize = 1 + OWN_STACK.len();

/// Says which stacks the CPU that takes `number` gets: the one for everything first, each by where it ends. Those that are started
/// take the numbers in any order, from 0 on.
///
/// What the CPU has of its own to be interrupted is put at the end of its first stack, so that it lies where it is whatever the
/// mode, as stacks do.
///
/// # Safety
/// The stacks are mapped for good, and nobody else's. No CPU that was started has that number.
pub unsafe fn provide(number: usize, stacks: &[usize; STACKS_EACH]) {
    let own = ((stacks[0] - size_of::<Own>()) & !63) as *mut Own;
    // SAFETY: the caller's promise: it is ours, and no CPU uses it yet.
    unsafe {
        own.write(Own::new(core::array::from_fn(|at| stacks[at + 1])));
        descriptors::settle(number + 1, own);
    }
    STACKS[number].store(own.addr(), Ordering::SeqCst);
}

/// Where the stack begins to grow from that the CPU number `index` was given, 1 or more.
pub fn stack_of(index: usize) -> usize {
    STACKS[index - 1].load(Ordering::SeqCst)
}

/// Starts the CPUs whose APICs have the numbers `apics`, and waits until all are up, or for `patience` milliseconds. Those that are
/// not up then are stopped. Each goes on with `then`, and its number.
///
/// # Safety
/// The page `frame` was [laid](lay) and is mapped at its physical address in the live tree, to execute. For each of the
/// CPUs [`provide`] was called; they do not run yet; [`apic::open_first`] was.
pub unsafe fn run(apics: &[u32], frame: Frame, features: &Features, patience: u32, then: fn(usize) -> !) {
    WANTED.call_once(|| *features);
    mtrr::keep();
    local_timer::measure();
    THEN.store(then as *mut (), Ordering::SeqCst);
    CPUS[0].apic.store(apic::id(), Ordering::SeqCst);
    CPUS[0].set(State::Online);
    let page = frame.0 as u8;
    let missing = || apics.iter().copied().filter(|apic| !shown_up(*apic));
    apics.iter().for_each(|apic| _ = apic::send_init(*apic));
    delay::microseconds(10_000);
    apics.iter().for_each(|apic| _ = apic::send_start(*apic, page));
    delay::microseconds(200);
    missing().for_each(|apic| _ = apic::send_start(apic, page));
    for _ in 0..patience * 10 {
        if missing().next().is_none() && super::all().all(|cpu| cpu.state != State::Starting) {
            break;
        }
        delay::microseconds(100);
    }
    // One that is too late must not come after the page is gone.
    missing().for_each(|apic| _ = apic::send_init(apic));
    for cpu in CPUS.iter().filter(|cpu| matches!(cpu.state(), State::Starting | State::Unfit)) {
        apic::send_init(cpu.apic.load(Ordering::SeqCst));
        cpu.set(State::Unfit);
    }
}

/// Whether the CPU with the APIC `apic` has taken a number and said so.
fn shown_up(apic: u32) -> bool {
    CPUS.iter().any(|cpu| cpu.state() != State::Absent && cpu.apic.load(Ordering::SeqCst) == apic)
}

/// Where a CPU comes to from `start.s`, on its own stack.
#[unsafe(no_mangle)]
extern "C" fn start_entry(number: u32) -> ! {
    let index = number as usize + 1;
    // SAFETY: `start.s` hands each number to one CPU, for which `provide` was called; interrupts are off.
    unsafe { descriptors::load_on(index) };
    // SAFETY: the first CPU's is open, and `start.s` has seen that this one has one.
    unsafe { apic::open_other() };
    let me = &CPUS[index];
    me.apic.store(apic::id(), Ordering::SeqCst);
    END.fetch_max(index + 1, Ordering::SeqCst);
    me.set(State::Starting);
    let wanted = WANTED.get().copied().unwrap_or_default();
    if !cpu::features().covers(&wanted) {
        me.set(State::Unfit);
        interrupts::halt();
    }
    mtrr::adopt();
    // SAFETY: the CPU has all that is switched on, and the live tables are made for it.
    unsafe { cpu::prepare(&wanted) };
    // The kernel's stores from before, for all who read the state.
    me.set(State::Online);
    // SAFETY: `run` has stored a function of this type, and nothing else is ever stored.
    let then: fn(usize) -> ! = unsafe { core::mem::transmute(THEN.load(Ordering::SeqCst)) };
    then(index)
}
