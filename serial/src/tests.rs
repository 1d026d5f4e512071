//! A chip made of software, and what may happen to a real or an emulated one while it is looked for.

use std::collections::VecDeque;

use uart_16550::backend::Backend;
use uart_16550::spec::registers::FifoTriggerLevel;
use uart_16550::{BaudRate, Config, Uart16550};

use crate::{Absent, Chip, Loops, Port, Typed, find};

const FIFO: usize = 16;

/// What is at the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A chip that is deaf in loopback, as the data sheet has it.
    Real,
    /// One that goes on receiving in loopback, as QEMU's does.
    Emulated,
    /// As before, and the modem status takes no part in loopback, as in v86.
    NoModemLines,
    /// Nothing: each register reads as this.
    Constant(u8),
    /// Nothing, on a bus that keeps the last value.
    Floating,
    /// Memory: each register keeps what is written.
    Memory,
}

/// The chip. Each access takes a moment, and a byte is typed every `every` moments.
struct Simulated {
    kind: Kind,
    fifos: bool,
    /// Nothing that is sent ever leaves.
    stuck: bool,
    /// Moments until a byte that is sent in loopback is received.
    slow: usize,
    /// The modem on the other side rings, and changes its lines all the time.
    rings: bool,
    /// Every byte that is typed is damaged.
    damaged: bool,
    typist: Box<dyn FnMut(usize) -> u8>,
    every: usize,

    registers: [u8; 8],
    divisor: [u8; 2],
    enabled: bool,
    received: VecDeque<u8>,
    looping: VecDeque<(usize, u8)>,
    moment: usize,
    /// What the chip has taken of what was typed, and what it has sent.
    heard: Vec<u8>,
    sent: Vec<u8>,
    typed: usize,
}

const MCR: usize = 4;
const LOOP: u8 = 0x10;

impl Simulated {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            fifos: true,
            stuck: false,
            slow: 0,
            rings: false,
            damaged: false,
            typist: Box::new(|_| 0x15),
            every: usize::MAX,
            registers: [0; 8],
            divisor: [0; 2],
            // As the loader leaves it.
            enabled: true,
            received: VecDeque::new(),
            looping: VecDeque::new(),
            moment: 0,
            heard: Vec::new(),
            sent: Vec::new(),
            typed: 0,
        }
    }

    fn typing(mut self, every: usize, typist: impl FnMut(usize) -> u8 + 'static) -> Self {
        (self.every, self.typist) = (every, Box::new(typist));
        self
    }

    fn room(&self) -> bool {
        self.received.len() < if self.enabled { FIFO } else { 1 }
    }

    fn pass(&mut self) {
        self.moment += 1;
        while self.looping.front().is_some_and(|(moment, _)| *moment <= self.moment) && self.room() {
            let (_, byte) = self.looping.pop_front().unwrap();
            self.received.push_back(byte);
        }
        let deaf = self.kind == Kind::Real && self.registers[MCR] & LOOP != 0;
        if self.moment.is_multiple_of(self.every) && !deaf && self.room() {
            let byte = (self.typist)(self.typed);
            self.typed += 1;
            self.received.push_back(byte);
            self.heard.push(byte);
        }
    }

    fn modem_status(&self) -> u8 {
        let control = self.registers[MCR];
        if control & LOOP != 0 && self.kind != Kind::NoModemLines {
            return (control & 2) << 3 | (control & 1) << 5 | (control & 0xC) << 4;
        }
        // Ringing, and each line changes and says so.
        if self.rings { 0x4F | (self.moment as u8) << 4 } else { 0xB0 }
    }
}

impl Backend for Simulated {
    unsafe fn read(&mut self, register: u8) -> u8 {
        self.pass();
        let register = usize::from(register);
        match self.kind {
            Kind::Constant(value) => return value,
            Kind::Floating => return self.registers[0],
            Kind::Memory => return self.registers[register],
            _ => {}
        }
        match register {
            0 | 1 if self.registers[3] & 0x80 != 0 => self.divisor[register],
            0 => self.received.pop_front().unwrap_or_default(),
            2 => 1 | if self.enabled { 0xC0 } else { 0 },
            5 => {
                let ready = u8::from(!self.received.is_empty());
                let damaged = if self.damaged { ready << 3 } else { 0 };
                ready | damaged | if self.stuck { 0 } else { 0x60 }
            }
            6 => self.modem_status(),
            _ => self.registers[register],
        }
    }

    unsafe fn write(&mut self, register: u8, value: u8) {
        self.pass();
        let register = usize::from(register);
        match self.kind {
            Kind::Floating => return self.registers[0] = value,
            Kind::Memory => return self.registers[register] = value,
            _ => {}
        }
        match register {
            0 | 1 if self.registers[3] & 0x80 != 0 => self.divisor[register] = value,
            0 if self.registers[MCR] & LOOP != 0 => self.looping.push_back((self.moment + self.slow, value)),
            0 => self.sent.push(value),
            2 => {
                let enabled = self.fifos && value & 1 != 0;
                if value & 2 != 0 || enabled != self.enabled {
                    self.received.clear();
                }
                self.enabled = enabled;
            }
            MCR => self.registers[MCR] = value & 0x1F,
            _ => self.registers[register] = value,
        }
    }
}

type Looked = (Result<(Chip, Typed), Absent>, Uart16550<Port<Simulated>>);

fn look(chip: Simulated) -> Looked {
    // SAFETY: a simulated chip has all registers.
    let mut uart = unsafe { Uart16550::new_with_backend(Port::new(chip)) };
    let fifo_trigger_level = Some(FifoTriggerLevel::Eight);
    let config = Config { baud_rate: BaudRate::Baud115200, fifo_trigger_level, ..Config::DEFAULT };
    (find(&mut uart, config), uart)
}

/// What the chip still has at the end was typed just now, and is not lost either.
fn all_typed(typed: &Typed, uart: &mut Uart16550<Port<Simulated>>) -> Vec<u8> {
    let mut all = typed.bytes().to_vec();
    all.extend(&uart.backend_mut().registers().received);
    all
}

const LINES: Chip = Chip { fifos: true, loops: Loops::ModemLines, room: true };

#[test]
fn a_silent_line_has_a_chip() {
    for kind in [Kind::Real, Kind::Emulated] {
        let (found, mut uart) = look(Simulated::new(kind));
        let (chip, typed) = found.unwrap();
        assert_eq!((chip, typed.bytes().len(), typed.dropped()), (LINES, 0, 0));
        let chip = uart.backend_mut().registers();
        // DTR, RTS, OUT2, not in loopback; no interrupts; 8 bits; one twelfth of the clock.
        assert_eq!((chip.registers[MCR], chip.registers[1], chip.registers[3]), (0x0B, 0, 3));
        assert_eq!(chip.divisor, [1, 0]);
        assert!(chip.enabled && chip.sent.is_empty());
    }
}

#[test]
fn typed_bytes_neither_hide_the_chip_nor_get_lost() {
    for kind in [Kind::Emulated, Kind::NoModemLines] {
        for every in 1..200 {
            for byte in [0x15, b'a', 0xFF, 0x42, 0xA5, 0x5A, 0x60] {
                let (found, mut uart) = look(Simulated::new(kind).typing(every, move |_| byte));
                let (chip, typed) =
                    found.unwrap_or_else(|absent| panic!("{kind:?}, {byte:#x} every {every}: {absent}"));
                assert_eq!(chip.loops == Loops::ModemLines, kind == Kind::Emulated);
                assert_eq!(typed.dropped(), 0);
                let heard = uart.backend_mut().registers().heard.clone();
                assert_eq!(all_typed(&typed, &mut uart), heard, "{kind:?}, {byte:#x} every {every}");
            }
        }
    }
}

#[test]
fn text_keeps_its_order() {
    for (kind, fifos) in [(Kind::Emulated, true), (Kind::Emulated, false), (Kind::NoModemLines, true)] {
        let mut chip = Simulated::new(kind).typing(2, |count| b'!' + (count % 64) as u8);
        (chip.fifos, chip.enabled) = (fifos, fifos);
        let (found, mut uart) = look(chip);
        let (chip, typed) = found.unwrap();
        assert_eq!(chip.fifos, fifos);
        let all = all_typed(&typed, &mut uart);
        assert!(all.len() > 5, "{all:?}");
        assert!(all.iter().enumerate().all(|(count, byte)| usize::from(*byte) == 33 + count % 64), "{all:?}");
    }
}

#[test]
fn switching_the_fifos_on_costs_one_byte_at_most() {
    for every in 1..20 {
        let mut chip = Simulated::new(Kind::Emulated).typing(every, |count| count as u8);
        chip.enabled = false;
        let (found, mut uart) = look(chip);
        let (_, typed) = found.unwrap();
        let heard = uart.backend_mut().registers().heard.len();
        assert!(all_typed(&typed, &mut uart).len() + 1 >= heard, "every {every}");
    }
}

#[test]
fn a_chip_that_is_deaf_in_loopback_misses_what_comes_then_and_nothing_else() {
    for every in 1..100 {
        let (found, mut uart) = look(Simulated::new(Kind::Real).typing(every, |count| count as u8));
        let (chip, typed) = found.unwrap();
        assert_eq!(chip, LINES);
        assert_eq!(all_typed(&typed, &mut uart), uart.backend_mut().registers().heard.clone());
    }
}

#[test]
fn a_ringing_modem_changes_nothing() {
    for kind in [Kind::Real, Kind::Emulated, Kind::NoModemLines] {
        let mut chip = Simulated::new(kind).typing(7, |_| b'R');
        chip.rings = true;
        assert!(look(chip).0.is_ok(), "{kind:?}");
    }
}

#[test]
fn bytes_may_take_their_time_in_loopback() {
    let mut chip = Simulated::new(Kind::NoModemLines).typing(9, |_| 0x5A);
    chip.slow = 500;
    assert_eq!(look(chip).0.unwrap().0.loops, Loops::Bytes);
}

#[test]
fn what_is_no_chip_is_none_whatever_it_reads_as() {
    for value in 0..=255 {
        assert_eq!(look(Simulated::new(Kind::Constant(value))).0.unwrap_err(), Absent::Scratch, "{value:#x}");
    }
    for kind in [Kind::Floating, Kind::Memory] {
        let absent = look(Simulated::new(kind)).0.unwrap_err();
        assert!(matches!(absent, Absent::Loopback { .. }), "{kind:?}: {absent}");
    }
}

#[test]
fn a_chip_that_sends_nothing_is_there_and_has_no_room() {
    let mut chip = Simulated::new(Kind::Emulated);
    chip.stuck = true;
    assert_eq!(look(chip).0.unwrap().0, Chip { room: false, ..LINES });
}

#[test]
fn damaged_bytes_are_counted_and_dropped() {
    let mut chip = Simulated::new(Kind::Emulated).typing(5, |_| 0);
    chip.damaged = true;
    let (chip, typed) = look(chip).0.unwrap();
    assert_eq!((chip, typed.bytes().len()), (LINES, 0));
    assert!(typed.dropped() > 0);
}

#[test]
fn more_than_there_is_room_for_is_counted() {
    let mut chip = Simulated::new(Kind::NoModemLines).typing(2, |count| (count % 64) as u8);
    chip.slow = 3000;
    let (_, typed) = look(chip).0.unwrap();
    assert_eq!(typed.bytes().len(), 256);
    assert!(typed.dropped() > 0);
    assert!(typed.bytes().iter().enumerate().all(|(count, byte)| usize::from(*byte) == count % 64));
}
