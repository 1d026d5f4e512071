//! What is typed: read by the prompt, and watched while a command runs.
//!
//! Ctrl-C ends a command. While one runs, [`ended`] moves what was typed to a list and looks for it. What comes before it is dropped, as a
//! terminal does; without it, all stays in order for the prompt, so that lines can be pasted behind a command that takes long.

use core::sync::atomic::{AtomicBool, Ordering};

use sched::{Class, Lock};

use crate::{Input, Platform};

/// The byte of Ctrl-C.
const INTERRUPT: u8 = 0x03;

/// How many bytes are kept.
const ROOM: usize = 12 * 1024;

/// Beside a byte: it was typed on the keyboard; something is missing before it.
const KEYBOARD: u16 = 1 << 8;
const GAP: u16 = 1 << 9;

/// What was typed and not read yet.
struct Typed {
    kept: [u16; ROOM],
    first: usize,
    count: usize,
    /// The platform's count of overruns, as it was last, and whether it has moved since the last byte.
    seen: u32,
    gap: bool,
    /// How many gaps were read.
    overruns: u32,
}

static TYPED: Lock<Typed> = Lock::new(Class::Typed, Typed::new());

/// Whether a command runs that Ctrl-C ends, and whether that has come.
static WATCHED: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);

impl Typed {
    const fn new() -> Self {
        Self { kept: [0; ROOM], first: 0, count: 0, seen: 0, gap: false, overruns: 0 }
    }

    /// Takes a byte from the platform.
    fn fetch(&mut self, platform: &dyn Platform) -> Option<u16> {
        let byte = platform.read();
        self.gap |= core::mem::replace(&mut self.seen, platform.overruns()) != self.seen;
        let (byte, input) = byte?;
        let keyboard = if input == Input::Keyboard { KEYBOARD } else { 0 };
        let gap = if core::mem::take(&mut self.gap) { GAP } else { 0 };
        Some(u16::from(byte) | keyboard | gap)
    }

    fn push(&mut self, word: u16) {
        self.kept[(self.first + self.count) % ROOM] = word;
        self.count += 1;
    }

    fn pop(&mut self) -> Option<u16> {
        let word = (self.count > 0).then(|| self.kept[self.first])?;
        self.first = (self.first + 1) % ROOM;
        self.count -= 1;
        Some(word)
    }

    fn read(&mut self, platform: &dyn Platform) -> Option<(u8, Input)> {
        let word = self.pop().or_else(|| self.fetch(platform));
        let gap = word.map_or_else(|| core::mem::take(&mut self.gap), |word| word & GAP != 0);
        self.overruns = self.overruns.wrapping_add(u32::from(gap));
        let word = word?;
        Some((word as u8, if word & KEYBOARD != 0 { Input::Keyboard } else { Input::Serial }))
    }

    /// Keeps what has come. Returns whether Ctrl-C is the last of it.
    fn watch(&mut self, platform: &dyn Platform) -> bool {
        while self.count < ROOM {
            let Some(word) = self.fetch(platform) else { return false };
            if word as u8 == INTERRUPT {
                self.count = 0;
                return true;
            }
            self.push(word);
        }
        false
    }
}

/// Begins with nothing typed.
pub fn start(platform: &dyn Platform) {
    let mut typed = TYPED.lock();
    *typed = Typed::new();
    typed.seen = platform.overruns();
}

/// A byte that was typed, if there is one, and where. Does not wait.
pub fn read(platform: &dyn Platform) -> Option<(u8, Input)> {
    TYPED.lock().read(platform)
}

/// In how many places something is missing among what was read so far, because it could not be kept.
pub fn overruns() -> u32 {
    TYPED.lock().overruns
}

/// Has Ctrl-C end the command that begins now.
pub fn watch() {
    ENDED.store(false, Ordering::Relaxed);
    WATCHED.store(true, Ordering::Relaxed);
}

/// Ends the watch: the command is over, prints its last lines, or reads the keys itself. Returns whether Ctrl-C has ended it.
pub fn unwatch() -> bool {
    WATCHED.store(false, Ordering::Relaxed);
    ENDED.load(Ordering::Relaxed)
}

/// Whether Ctrl-C has ended the command that runs. Looks what was typed; only the prompt's thread may ask.
pub fn ended(platform: &dyn Platform) -> bool {
    if !WATCHED.load(Ordering::Relaxed) {
        return false;
    }
    if !ENDED.load(Ordering::Relaxed) && TYPED.lock().watch(platform) {
        ENDED.store(true, Ordering::Relaxed);
    }
    ENDED.load(Ordering::Relaxed)
}

/// The same as of the last look, for other threads that work for the command.
pub fn was_ended() -> bool {
    WATCHED.load(Ordering::Relaxed) && ENDED.load(Ordering::Relaxed)
}
