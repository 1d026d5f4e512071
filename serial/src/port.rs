//! The registers of a chip, as [`uart_16550`] reaches them: while it is set up, what was typed is kept, and no loop is for ever.

use uart_16550::backend::Backend;
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{FCR, LCR, LSR, offsets};

const DATA: u8 = offsets::DATA as u8;
const FIFO_CONTROL: u8 = offsets::FCR as u8;
const LINE_CONTROL: u8 = offsets::LCR as u8;
const LINE_STATUS: u8 = offsets::LSR as u8;

/// In the line status: a byte has come; it is damaged; there is room for one to send. The driver waits for that, and for all to be
/// gone.
pub const LSR_READY: u8 = LSR::DATA_READY.bits();
const LSR_DAMAGED: u8 = LSR::PARITY_ERROR.bits() | LSR::FRAMING_ERROR.bits() | LSR::BREAK_INTERRUPT.bits();
pub const LSR_ROOM: u8 = LSR::THR_EMPTY.bits();
const LSR_WAITED_FOR: u8 = LSR_ROOM | LSR::TRANSMITTER_EMPTY.bits();

/// How often the line status is read in vain during the set-up. A read takes about a microsecond on real hardware, sixteen bytes
/// take 1.4 ms.
const PATIENCE: u32 = 1 << 20;

/// The most bytes that are kept. Of those that come after, the last is dropped.
const ROOM: usize = 256;

/// What a port without a chip reads as.
const NOTHING: u8 = 0xFF;

/// Bytes that were typed while the chip was set up, the first first.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    bytes: [u8; ROOM],
    count: usize,
    dropped: u32,
}

impl Typed {
    const NONE: Self = Self { bytes: [0; ROOM], count: 0, dropped: 0 };

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    /// How many came beside them and were damaged on the line, or found no room.
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }

    fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.count) {
            Some(place) => {
                *place = byte;
                self.count += 1;
            }
            None => self.dropped = self.dropped.saturating_add(1),
        }
    }
}

/// The registers of a chip, reached through `B`.
#[derive(Debug)]
pub struct Port<B> {
    registers: B,
    /// Only during the set-up.
    set_up: Option<SetUp>,
}

#[derive(Debug)]
struct SetUp {
    /// How often the line status may still be read before it reads as if all that was sent had left.
    patience: u32,
    /// The first two registers are the divisor now.
    divisor: bool,
    /// The last line status.
    line: u8,
    typed: Typed,
}

impl<B: Backend> Port<B> {
    /// A port whose registers are reached through `registers`.
    pub const fn new(registers: B) -> Self {
        Self { registers, set_up: None }
    }

    /// What the registers are reached through.
    pub const fn registers(&mut self) -> &mut B {
        &mut self.registers
    }

    /// Begins the set-up.
    pub(crate) fn begin(&mut self) {
        self.set_up = Some(SetUp { patience: PATIENCE, divisor: false, line: 0, typed: Typed::NONE });
    }

    /// Ends the set-up, and returns what was typed during it.
    pub(crate) fn end(&mut self) -> Typed {
        self.drain();
        self.set_up.take().map_or(Typed::NONE, |set_up| set_up.typed)
    }

    /// Reads a register as it is: patience does not count.
    pub(crate) fn get(&mut self, register: u8) -> u8 {
        // SAFETY: the registers that this crate names are those of the chip.
        let value = unsafe { self.registers.read(register) };
        if let (LINE_STATUS, Some(set_up)) = (register, &mut self.set_up) {
            set_up.line = value;
        }
        value
    }

    /// Writes a register.
    pub(crate) fn set(&mut self, register: u8, value: u8) {
        // SAFETY: as above.
        unsafe { self.registers.write(register, value) };
    }

    /// Takes the byte that the last line status has reported, and keeps it if it is not `expected`. Tells whether it is.
    pub(crate) fn take_unless(&mut self, expected: u8) -> bool {
        let byte = self.get(DATA);
        if byte != expected {
            self.keep(byte);
        }
        byte == expected
    }

    /// Takes and keeps all that has come, as much as a chip can hold.
    pub(crate) fn drain(&mut self) {
        for _ in 0..=FIFO_SIZE {
            let line = self.get(LINE_STATUS);
            if line & LSR_READY == 0 || line == NOTHING {
                return;
            }
            let byte = self.get(DATA);
            self.keep(byte);
        }
    }

    /// Keeps a byte that was read, if the last line status says that it is whole.
    fn keep(&mut self, byte: u8) {
        let Some(set_up) = &mut self.set_up else { return };
        match set_up.line & (LSR_READY | LSR_DAMAGED) {
            LSR_READY => set_up.typed.push(byte),
            0 => {}
            _ => set_up.typed.dropped = set_up.typed.dropped.saturating_add(1),
        }
    }
}

impl<B: Backend> Backend for Port<B> {
    unsafe fn read(&mut self, register: u8) -> u8 {
        // SAFETY: the caller's promise.
        let value = unsafe { self.registers.read(register) };
        let Some(set_up) = &mut self.set_up else { return value };
        match register {
            LINE_STATUS => {
                set_up.line = value;
                set_up.patience = set_up.patience.saturating_sub(1);
                return if set_up.patience == 0 { value | LSR_WAITED_FOR } else { value };
            }
            DATA if !set_up.divisor => self.keep(value),
            _ => {}
        }
        value
    }

    unsafe fn write(&mut self, register: u8, value: u8) {
        let mut value = value;
        if let Some(set_up) = &mut self.set_up {
            match register {
                LINE_CONTROL => set_up.divisor = value & LCR::DLAB.bits() != 0,
                FIFO_CONTROL => {
                    // What is in the FIFO was typed, and goes with it where it was off before.
                    self.drain();
                    value &= !FCR::RX_FIFO_RESET.bits();
                }
                _ => {}
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.registers.write(register, value) };
    }
}
