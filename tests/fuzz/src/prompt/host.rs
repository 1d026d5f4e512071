//! The machine below the kernel, as far as the prompt needs one.

use std::panic::resume_unwind;
use std::sync::{LazyLock, Mutex, MutexGuard};

use kernel::{
    Alone, BootFacts, CallFailure, Clock, CpuFacts, CpuMemory, CpuSpaces, CpuState, Fault, Input, LineRoute, Lines,
    Machine, Memories, Platform, Reference, Registers, Reset, Sleep, StartFailure, Started, Tick, Time, Unfit,
};
use mm::{
    Access, Controls, FaultCode, Features, PAGE_SIZE, PhysAddr, Region, Section, Trial, VirtAddr, Width, Window, select,
};
use mm::{
    Cache, Frame, FrameRun, Frames, KernelMap, Kind, MapError, Memory, MemoryMap, Mmu, Options, PageFlags, PageRange,
};

use super::terminal::Terminal;
use crate::machine::FULL;
use crate::machine::arena::Arena;
use crate::machine::mmu::Mode;

/// Whoever has it uses the machine.
pub static TURN: Mutex<()> = Mutex::new(());

/// Everything was typed: this unwinds what would otherwise wait for ever.
pub struct End;

/// RAM from 1 MiB on, the kernel's image at its beginning.
const FIRST: u64 = 0x100;
const FRAMES: usize = 512;
const IMAGE: u64 = 16;
const RAM: FrameRun = FrameRun { first: Frame(FIRST), count: FRAMES as u64 };
const FREE: FrameRun = FrameRun { first: Frame(FIRST + IMAGE), count: FRAMES as u64 - IMAGE };

const fn image(base: u64) -> [Section; 4] {
    const fn section(name: &'static str, base: u64, at: u64, pages: u64, flags: Option<PageFlags>) -> Section {
        Section { name, pages: PageRange::new(VirtAddr(base + (at << 12)), pages), first: Frame(FIRST + at), flags }
    }
    [
        section("text", base, 0, 4, Some(PageFlags::TEXT)),
        section("rodata", base, 4, 3, Some(PageFlags::RODATA)),
        section("guard", base, 7, 1, None),
        section("data", base, 8, IMAGE - 8, Some(PageFlags::DATA)),
    ]
}

static I686: [Section; 4] = image(0xC010_0000);
static AMD64: [Section; 4] = image(0xFFFF_FFFF_8010_0000);

/// Commands that do nothing to a machine that is none. All others that there are would: they are never entered.
const HARMLESS: [&str; 14] = [
    "help", "paging", "cpu", "mem", "maps", "walk", "atlas", "audit", "log", "cmdline", "uptime", "reboot", "poweroff",
    "version",
];

/// Physical memory and what is known of it. The kernel is lent all of it for ever, and has it until it has ended.
pub struct Board {
    _arena: Arena,
    memory: *mut CpuMemory,
    memories: *mut Memories,
    metadata: *mut [u64],
    regions: *mut [Region],
    /// Frames that are free when the kernel starts.
    free: u64,
}

impl Board {
    /// A machine that runs in `mode`, as the kernel is handed it. The kernel must have ended when the board is dropped.
    pub fn new(mode: Mode) -> (Self, Machine) {
        let arena = Arena::new(FIRST, FRAMES);
        let metadata = Box::into_raw(vec![0; Frames::metadata_words(&[FREE], &[])].into_boxed_slice());
        // SAFETY: the box lives as long as the board, and the allocator in it is dropped before.
        let frames = Frames::new(&[FREE], &[], unsafe { &mut *metadata }).expect("one run is in order");
        // SAFETY: the arena shows exactly these frames and lives as long as the board.
        let window = unsafe { Window::new(arena.base(), RAM) };
        let mut memory = Memory::new(window, frames);
        let family = if matches!(mode, Mode::Pml2 | Mode::Pml3) { &mm::i686::FAMILY } else { &mm::amd64::FAMILY };
        let selection = select(family, &FULL, Options { no_xpa: matches!(mode, Mode::Pml2 | Mode::Pml4) });
        let paging = selection.paging;
        let sections = if matches!(mode, Mode::Pml2 | Mode::Pml3) { &I686 } else { &AMD64 };
        let map =
            KernelMap::build(&mut memory, paging, sections, [RAM].into_iter()).expect("enough frames for the tables");
        let free = memory.free_frames();

        let regions = Box::into_raw(vec![Region::default(); 16].into_boxed_slice());
        // SAFETY: the box lives as long as the board.
        let mut memory_map = MemoryMap::new(unsafe { &mut *regions });
        memory_map.insert(RAM.first.start(), RAM.count * PAGE_SIZE, Kind::Usable);
        memory_map.reserve(RAM.first.start(), FREE.first.start(), Kind::Image);
        let memory = Box::into_raw(Box::new(CpuMemory::new(memory)));
        let memories = Box::into_raw(Box::new(Memories::new()));
        // SAFETY: the boxes live as long as the board.
        let all = unsafe { &*memories };
        // SAFETY: as above.
        all.install(unsafe { &*memory });
        let machine = Machine {
            platform: &*HOST,
            memory: all,
            map,
            selection,
            features: FULL,
            memory_map,
            clock: Clock::default(),
            lines: Lines::default(),
            boot: BootFacts {
                arch: "x86_64",
                command_line: "",
                loader: "none",
                acpi: Default::default(),
                selftest: false,
                max_cpus: None,
            },
        };
        (Self { _arena: arena, memory, memories, metadata, regions, free }, machine)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: made from boxes in `new`. The kernel has ended, and nothing else borrows them but the allocator in
        // the memory, which goes first.
        unsafe {
            let free = (*self.memories).lock().free_frames();
            drop(Box::from_raw(self.memories));
            drop(Box::from_raw(self.memory));
            drop(Box::from_raw(self.metadata));
            drop(Box::from_raw(self.regions));
            assert!(free == self.free || std::thread::panicking(), "commands kept {} frames", self.free - free);
        }
    }
}

/// The one machine's consoles, and who sits before them.
pub struct Host(Mutex<Desk>);

#[derive(Default)]
struct Desk {
    typed: Vec<u8>,
    at: usize,
    is_keyboard: bool,
    /// Whether the kernel waits for a key: none is hit while a command runs.
    awaited: bool,
    terminal: Terminal,
    /// The line that was entered last, until its answer is there.
    entered: Option<String>,
    /// The kernel's commands, once it has listed them.
    commands: Vec<String>,
    /// Keys that were hit to get out of whatever shows something.
    impatience: usize,
}

/// The one machine.
pub static HOST: LazyLock<Host> = LazyLock::new(|| Host(Mutex::default()));

impl Host {
    /// Sits somebody down who will type `typed`.
    pub fn sit_down(&self, typed: &[u8], is_keyboard: bool) {
        let mut desk = self.desk();
        let commands = std::mem::take(&mut desk.commands);
        // Whoever is new here asks for help first, and reads on where there is more than a screenful; elsewhere the blank is one
        // before the next line.
        let typed = if commands.is_empty() { [b"help\r ", typed].concat() } else { typed.to_vec() };
        *desk = Desk { typed, is_keyboard, commands, ..Desk::default() };
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(|ended| ended.into_inner())
    }
}

impl Desk {
    /// The next key; `None` when it is time to go.
    fn key(&mut self) -> Option<u8> {
        self.judge();
        let line = self.terminal.line();
        let Some(key) = self.typed.get(self.at).copied() else {
            if line.is_some() {
                return None;
            }
            self.impatience += 1;
            assert!(self.impatience < 100, "neither q nor Ctrl-C leads back to the prompt");
            return Some(if self.impatience % 2 == 1 { b'q' } else { 0x03 });
        };
        self.at += 1;
        let Some(line) = line.filter(|_| matches!(key, b'\r' | b'\n')) else { return Some(key) };
        let name = line.split_ascii_whitespace().next().unwrap_or_default();
        let harms = self.commands.iter().any(|command| command == name) && !HARMLESS.contains(&name);
        if harms {
            return Some(0x03);
        }
        self.terminal.said.clear();
        self.entered = Some(line);
        Some(key)
    }

    /// Holds what the kernel answered against what was to be seen when Enter was hit.
    fn judge(&mut self) {
        if self.terminal.said.ends_with("-- more --") {
            return;
        }
        let Some(line) = self.entered.take() else { return };
        let said = &self.terminal.said;
        if line.trim() == "help" && self.commands.is_empty() {
            let rows = said.lines().skip(1).take_while(|row| !row.starts_with('\''));
            self.commands.extend(rows.filter_map(|row| row.split_ascii_whitespace().next()).map(String::from));
            assert!(self.commands.len() > 10, "help lists the commands: {said}");
        }
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { return };
        let expected = match (name, words.next(), words.next()) {
            _ if said.contains("a line has ") => return,
            (name, ..) if !self.commands.iter().any(|command| command == name) => format!("'{name}' is no command"),
            ("audit", None, None) => ", 0 findings".into(),
            ("walk", Some(word), None) if !is_number(word) => format!("walk: '{word}' is no address"),
            _ => return,
        };
        assert!(said.contains(&expected), "to {line:?} the kernel said {said:?} and not {expected:?}");
    }
}

/// Whether `word` is a number of 64 bits, as the prompt's documentation tells it.
fn is_number(word: &str) -> bool {
    let word = word.replace('_', "").to_ascii_lowercase();
    match word.strip_prefix("0x") {
        Some(digits) => !digits.starts_with('+') && u64::from_str_radix(digits, 16).is_ok(),
        None => !word.starts_with('+') && word.parse::<u64>().is_ok(),
    }
}

impl Platform for Host {
    fn write(&self, bytes: &[u8]) {
        self.desk().terminal.show(bytes);
    }

    fn listen(&self) {}

    fn read(&self) -> Option<(u8, Input)> {
        let mut desk = self.desk();
        if !std::mem::take(&mut desk.awaited) {
            return None;
        }
        let input = if desk.is_keyboard { Input::Keyboard } else { Input::Serial };
        let key = desk.key();
        drop(desk);
        Some((key.unwrap_or_else(|| end()), input))
    }

    fn overruns(&self) -> u32 {
        0
    }

    fn pause(&self) {
        self.desk().awaited = true;
    }

    fn mmu(&self) -> &dyn Mmu {
        self
    }

    fn registers(&self) -> Registers {
        Registers { cr0: 0x8001_0011, cr3: 0x11_0000, cr4: 0x20A0, efer: 0xD00 }
    }

    fn cpu(&self) -> CpuFacts {
        CpuFacts { vendor: *b"StrataFuzzer", brand: [0; 48], signature: (6, 1, 0), features: &[("pae", true)] }
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn mmu_here(&self) -> &dyn Mmu {
        self
    }

    fn look(&self, _: VirtAddr) -> Option<usize> {
        None
    }

    fn open_apic(&self, _: &mut KernelMap, _: &mut Memory) -> Result<Option<u32>, MapError> {
        Ok(None)
    }

    fn apic(&self) -> &'static str {
        "none"
    }

    fn lines(&self) -> &'static [(u8, &'static str)] {
        &[]
    }

    fn interrupts(&self, _: u8) -> u32 {
        0
    }

    fn open_io_apic(&self, _: VirtAddr) -> Result<u32, u32> {
        unreachable!("there is no APIC")
    }

    fn route_lines(&self, _: &[LineRoute]) -> bool {
        unreachable!("there is no APIC")
    }

    fn start_tick(&self) -> Tick {
        Tick { by: None, lines_kept: true }
    }

    fn start_cpus(
        &self,
        _: &[u32],
        _: &mut KernelMap,
        _: &'static Memories,
        _: &Features,
    ) -> Result<Started, StartFailure> {
        unreachable!("there is no APIC")
    }

    fn each_cpu(&self, tell: &mut dyn FnMut(CpuState)) {
        let spaces = CpuSpaces::default();
        tell(CpuState { index: 0, apic: 0, doing: "online", online: true, answers: 0, timer: "PIT", beats: 0, spaces });
    }

    fn on_others(
        &self,
        _: &(dyn Fn(usize) + Sync),
        meanwhile: &mut dyn FnMut(),
        _: &mut dyn FnMut() -> bool,
    ) -> Result<usize, CallFailure> {
        meanwhile();
        Ok(0)
    }

    fn shootdowns(&self) -> (usize, usize) {
        (0, 0)
    }

    fn time(&self) -> Time {
        // The same each time, so that a run can be repeated.
        Time { counted: Some(1_500_000), steady: true, ticks: 0, ticks_per_second: 100 }
    }

    fn prepare(&self, _: Reference) -> Result<u64, Unfit> {
        Ok(1_000)
    }

    fn measure(&self, _: Reference, _: u64) -> Option<u64> {
        Some(1_000_000)
    }

    fn heap(&self) -> (usize, usize) {
        (0, 4096)
    }

    fn enter(&self, _: &mut KernelMap, _: &mut KernelMap, _: &mut Alone) -> Result<bool, MapError> {
        unreachable!("only self-tests change the mode")
    }

    fn fault(&self, _: Fault) {
        unreachable!("only the command fault does that")
    }

    fn poke(&self, _: &mut KernelMap, _: &mut Memory, _: PhysAddr, _: Cache, _: Width, _: u64) -> Result<(), MapError> {
        unreachable!("only the command poke does that")
    }

    fn lay_trial(&self, _: &mut KernelMap, _: &mut Memory, _: &Features) -> Result<Trial, MapError> {
        unreachable!("only the self-tests do that")
    }

    fn attempt(&self, _: &Trial, _: Access, _: bool) -> Option<Result<(), FaultCode>> {
        unreachable!("only the self-tests do that")
    }

    fn with_controls(&self, _: &mut KernelMap, _: &Controls, _: &mut dyn FnMut(&mut KernelMap)) -> bool {
        unreachable!("only the self-tests do that")
    }

    fn reboot(&self, _: Option<Reset>) -> ! {
        end()
    }

    fn power_off(&self, _: Option<Sleep>) {}

    fn exit(&self, _: bool) {}
}

impl Mmu for Host {
    fn flush_page(&self, _: VirtAddr) {}
    fn flush_local(&self) {}
    fn flush_all(&self) {}
}

/// Ends the kernel's run without a panic.
fn end() -> ! {
    resume_unwind(Box::new(End))
}
