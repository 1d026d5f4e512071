//! A row of the matrix: a machine, and what has to come up on it.

use crate::faults::{self, Has};
use crate::flood::Flood;

/// A machine, how it is booted, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub kernel: Kernel,
    /// Whether the emulated CPU may have long mode.
    pub long_mode: bool,
    pub cpu: &'static str,
    pub memory: &'static str,
    /// How many CPUs the machine has, and how many of them have to run.
    pub cpus: (u32, u32),
    pub firmware: Firmware,
    pub medium: Medium,
    /// What the menu's `screen` says; empty for what it says by itself.
    pub screen: &'static str,
    pub start: Start,
    pub expect: Expect,
    /// What has to be said on the way up.
    pub says: Vec<&'static str>,
    /// The least RAM that has to be found, in MiB.
    pub ram_mib: u64,
    /// Whether only what is asked is tried, and no self-test: on a machine on which that would take long.
    pub brief: bool,
    /// Whether the prompt is tried key by key.
    pub prompt: bool,
    /// Whether `bench` is tried, on a machine whose clock counts instructions.
    pub bench: bool,
    /// Commands to type at the prompt, and a part of the answer to each.
    pub asks: Vec<(&'static str, &'static str)>,
    /// Commands that a key has to end.
    pub cuts: Vec<Cut>,
    /// Keys to press on the PS/2 keyboard, as QEMU's monitor calls them, and a part of the answer.
    pub keyboard: Vec<(&'static str, &'static str)>,
    /// Where something is typed while the machine starts. No more is tried then than that a command is answered.
    pub flood: Option<Flood>,
    /// Whether QEMU is stopped and continued while all CPUs are busy.
    pub stalls: bool,
    /// Whether it is one of the few rows of `just test-quick`.
    pub quick: bool,
    /// What the clock has to be calibrated by; nothing if it is not looked at.
    pub clock: Option<&'static str>,
    /// What is said of the machine beside its CPU and its memory.
    pub machine: &'static str,
    /// The graphics card, as QEMU's option `-device` has it; `none` for no card, empty for what the machine has by itself.
    pub card: &'static str,
}

/// A command that a key ends. See [`Row::cut`].
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub command: &'static str,
    pub begun: &'static str,
    pub seconds: u64,
    pub key: &'static str,
    pub answer: &'static str,
}

/// Which of the two kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    I686,
    X86_64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Firmware {
    Bios,
    UefiX64,
    UefiIa32,
}

/// What the image is on: it is an optical disc and a disk at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Medium {
    /// In the CD-ROM drive that the machine has by itself.
    Cd,
    /// In a CD-ROM drive behind an AHCI controller.
    AhciCd,
    /// On a disk behind an AHCI controller.
    AhciDisk,
    /// On a USB stick behind an xHCI controller.
    UsbXhci,
    /// On a USB stick behind an EHCI controller.
    UsbEhci,
}

/// How the kernel is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// By an ISO whose menu starts one entry by itself: the row's kernel with these options.
    Options { no_xpa: bool, more: &'static str },
    /// By the hostile loader, in the case of this name, with these options.
    Hostile { case: &'static str, options: &'static str },
    /// By the real menu, waiting for its default or (by its id) walking to an entry.
    Menu(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Pml2,
    Pml3,
    Pml4,
    Pml5,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Xpa {
    On,
    Off,
    Unsupported,
}

/// What has to come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The prompt, in this mode.
    Ready { mode: Mode, xpa: Xpa, nx: bool, pa_bits: u32 },
    /// Each of these kinds of failure is reported as it should be on a CPU that has that.
    Faults { has: Has, kinds: &'static [&'static str] },
    /// NMIs that come while the mode changes are reported.
    NmiInLift(Mode),
    /// A panic of this kind can be read on the screen.
    PanicScreen { mode: Mode, kind: &'static str },
    /// The machine has neither a screen nor COM1, and the mode comes up all the same: a command typed on the keyboard is
    /// carried out.
    Silent(Mode),
    /// The self-tests run by themselves, pass, and QEMU is left.
    SelfTest,
    /// A sentence that says why not, on COM1 and on the screen.
    Refuses(&'static str),
    /// A sentence that says why not on COM1, and a block with its code in the framebuffer.
    RefusesByBlock(&'static str, usize),
}

pub fn i686(name: &'static str, cpu: &'static str, memory: &'static str) -> Row {
    Row::new(name, Kernel::I686, cpu, memory)
}

pub fn x86_64(name: &'static str, cpu: &'static str, memory: &'static str) -> Row {
    Row::new(name, Kernel::X86_64, cpu, memory)
}

impl Row {
    fn new(name: &'static str, kernel: Kernel, cpu: &'static str, memory: &'static str) -> Self {
        Self {
            name,
            kernel,
            long_mode: kernel == Kernel::X86_64,
            cpu,
            memory,
            cpus: (1, 1),
            firmware: Firmware::Bios,
            medium: Medium::Cd,
            screen: "",
            start: Start::Options { no_xpa: false, more: "" },
            expect: Expect::SelfTest,
            says: Vec::new(),
            ram_mib: 0,
            brief: false,
            prompt: false,
            bench: false,
            asks: Vec::new(),
            cuts: Vec::new(),
            keyboard: Vec::new(),
            flood: None,
            stalls: false,
            quick: false,
            clock: None,
            machine: "",
            card: "",
        }
    }

    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    pub fn medium(mut self, medium: Medium) -> Self {
        self.medium = medium;
        self
    }

    /// So many CPUs, all of which have to run.
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = (count, count);
        self
    }

    /// So many CPUs run, though the machine has more.
    pub fn only(mut self, count: u32) -> Self {
        self.cpus.1 = count;
        self
    }

    pub fn screen(mut self, screen: &'static str) -> Self {
        self.screen = screen;
        self
    }

    pub fn card(mut self, card: &'static str) -> Self {
        self.card = card;
        self
    }

    pub fn on64(mut self) -> Self {
        self.long_mode = true;
        self
    }

    pub fn on32(mut self) -> Self {
        self.long_mode = false;
        self
    }

    pub fn noxpa(mut self) -> Self {
        self.start = Start::Options { no_xpa: true, more: "" };
        self
    }

    pub fn options(mut self, more: &'static str) -> Self {
        self.start = Start::Options { no_xpa: false, more };
        self
    }

    pub fn hostile(mut self, case: &'static str, options: &'static str) -> Self {
        self.start = Start::Hostile { case, options };
        self
    }

    pub fn asks(mut self, command: &'static str, answer: &'static str) -> Self {
        self.asks.push((command, answer));
        self
    }

    /// `command` is typed, and `key` as soon as `begun` is printed and some seconds are over; `answer` is printed then.
    pub fn cut(
        mut self,
        command: &'static str,
        (begun, seconds): (&'static str, u64),
        key: &'static str,
        answer: &'static str,
    ) -> Self {
        self.cuts.push(Cut { command, begun, seconds, key, answer });
        self
    }

    pub fn menu(mut self, id: &'static str) -> Self {
        self.start = Start::Menu(id);
        self
    }

    pub fn prompt(mut self) -> Self {
        self.prompt = true;
        self
    }

    pub fn brief(mut self) -> Self {
        self.brief = true;
        self
    }

    pub fn bench(mut self) -> Self {
        self.bench = true;
        self
    }

    pub fn keyboard(mut self, keys: &'static str, answer: &'static str) -> Self {
        self.keyboard.push((keys, answer));
        self
    }

    pub fn flood(mut self, flood: Flood) -> Self {
        self.flood = Some(flood);
        self
    }

    pub fn stalls(mut self) -> Self {
        self.stalls = true;
        self
    }

    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    pub fn clock(mut self, calibrated: &'static str) -> Self {
        self.clock = Some(calibrated);
        self
    }

    pub fn machine(mut self, machine: &'static str) -> Self {
        self.machine = machine;
        self
    }

    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    pub fn ready(self, mode: Mode, xpa: Xpa, nx: bool, pa_bits: u32) -> Self {
        self.expect(Expect::Ready { mode, xpa, nx, pa_bits })
    }

    /// Every kind of failure.
    pub fn faults(self, has: Has) -> Self {
        self.expect(Expect::Faults { has, kinds: &faults::ALL })
    }

    /// Those kinds of failure that concern the other CPUs.
    pub fn faults_among_cpus(self, mode: Mode) -> Self {
        let has = Has { mode, nx: true, reserved: true, alone: false, machine_check: true };
        self.expect(Expect::Faults { has, kinds: &faults::AMONG_CPUS })
    }

    /// Those kinds of failure that not every CPU of a mode has.
    pub fn optional_faults(self, has: Has) -> Self {
        self.expect(Expect::Faults { has, kinds: &faults::OPTIONAL })
    }

    /// NMIs while this mode changes into the other one and back.
    pub fn nmi_in_lift(self, mode: Mode) -> Self {
        self.expect(Expect::NmiInLift(mode))
    }

    /// A panic of this kind, read on the screen.
    pub fn panic_screen(self, mode: Mode, kind: &'static str) -> Self {
        self.expect(Expect::PanicScreen { mode, kind })
    }

    pub fn says(mut self, sentence: &'static str) -> Self {
        self.says.push(sentence);
        self
    }

    pub fn ram_mib(mut self, least: u64) -> Self {
        self.ram_mib = least;
        self
    }

    /// Whether the machine has the device through which the kernel leaves QEMU. Without it a panic stays on the screen.
    pub fn leaves(&self) -> bool {
        !matches!(self.expect, Expect::PanicScreen { .. })
    }

    /// The row's name as a file name.
    pub fn file(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let mut name: String = self.name.chars().map(plain).collect();
        while name.contains("--") {
            name = name.replace("--", "-");
        }
        name
    }
}

impl Kernel {
    pub fn name(self) -> &'static str {
        match self {
            Kernel::I686 => "i686",
            Kernel::X86_64 => "x86_64",
        }
    }
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Pml2 => "pml2",
            Mode::Pml3 => "pml3",
            Mode::Pml4 => "pml4",
            Mode::Pml5 => "pml5",
        }
    }

    pub fn levels(self) -> u32 {
        match self {
            Mode::Pml2 => 2,
            Mode::Pml3 => 3,
            Mode::Pml4 => 4,
            Mode::Pml5 => 5,
        }
    }

    pub fn va_bits(self) -> u32 {
        match self {
            Mode::Pml2 | Mode::Pml3 => 32,
            Mode::Pml4 => 48,
            Mode::Pml5 => 57,
        }
    }
}

impl Xpa {
    pub fn name(self) -> &'static str {
        match self {
            Xpa::On => "on",
            Xpa::Off => "off",
            Xpa::Unsupported => "unsupported",
        }
    }
}
