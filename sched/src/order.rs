//! In which order locks are taken, and the check that they are.
//!
//! Every lock of the kernel belongs to a [`Class`], and each class names those that may be held when one of it is taken. All of
//! them stand above it here, so there is no ring, and somebody can always go on. Each CPU has a word with a bit for every class
//! that is held on it; a lock looks at the word before it is waited for and leaves its bit there. That costs a load and two stores
//! of a word that no other CPU touches, so it is done in every build: an order that is wrong is a panic wherever it is taken, and
//! not a deadlock on the day that two CPUs meet.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A kind of lock, by its place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// What is kept of threads beside what the scheduler knows. Held alone.
    Stacks,
    /// What threads of a test share. Held alone.
    Test,
    /// The byte heap.
    Heap,
    /// Physical memory, and page tables with it.
    Memory,
    /// The log's lines.
    Log,
    /// The sending half of COM1.
    Com1,
    /// The screen.
    Screen,
    /// What was typed and not read yet.
    Typed,
    /// The receiving half of COM1. From here on all are taken with interrupts off.
    Receiver,
    /// The keyboard.
    Keyboard,
    /// The threads that sleep on a CPU.
    Sleepers,
    /// The threads that are ready on a CPU.
    Queue,
    /// The list of free threads.
    Slots,
    /// A thread's name.
    Name,
    /// How the lines of devices lead to controllers.
    Lines,
    /// The choice of a register of an I/O APIC.
    IoApic,
}

impl Class {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Self; 16] = [
        Self::Stacks,
        Self::Test,
        Self::Heap,
        Self::Memory,
        Self::Log,
        Self::Com1,
        Self::Screen,
        Self::Typed,
        Self::Receiver,
        Self::Keyboard,
        Self::Sleepers,
        Self::Queue,
        Self::Slots,
        Self::Name,
        Self::Lines,
        Self::IoApic,
    ];

    /// Those that are taken with interrupts on. An interrupt finds any of them held.
    const OF_THREADS: u32 = Self::Receiver.bit() - 1;

    /// Those that nobody waits for with interrupts off, so that a CPU that waits for them can still be asked to forget translations.
    const WHILE_FLUSHING: u32 = Self::Stacks.bit() | Self::Memory.bit();

    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The classes of which locks may be held when one of this is taken.
    const fn behind(self) -> u32 {
        match self {
            Self::Stacks | Self::Test | Self::Heap => 0,
            Self::Memory => Self::Heap.bit(),
            Self::Log => Self::Memory.behind() | Self::Memory.bit(),
            Self::Com1 | Self::Screen | Self::Typed => Self::Log.behind() | Self::Log.bit(),
            Self::Receiver | Self::Keyboard | Self::Sleepers | Self::Slots | Self::Name | Self::Lines => {
                Self::OF_THREADS
            }
            Self::Queue => Self::OF_THREADS | Self::Sleepers.bit(),
            Self::IoApic => Self::OF_THREADS | Self::Lines.bit(),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Stacks => "what is kept of threads",
            Self::Test => "a test's value",
            Self::Heap => "the heap",
            Self::Memory => "memory",
            Self::Log => "the log",
            Self::Com1 => "COM1",
            Self::Screen => "the screen",
            Self::Typed => "what was typed",
            Self::Receiver => "COM1's receiver",
            Self::Keyboard => "the keyboard",
            Self::Sleepers => "the sleepers of a CPU",
            Self::Queue => "the queue of a CPU",
            Self::Slots => "the list of free threads",
            Self::Name => "a thread's name",
            Self::Lines => "the routes of lines",
            Self::IoApic => "an I/O APIC",
        })
    }
}

/// The classes of which locks are held on a CPU: a word of the CPU's own. What interrupts it leaves it as it was.
#[derive(Debug, Default)]
pub struct Held(AtomicU32);

impl Held {
    /// None is held.
    pub const fn none() -> Self {
        Self(AtomicU32::new(0))
    }

    /// # Panics
    /// If a lock of `class` must not be waited for behind one that is held.
    pub(crate) fn check(&self, class: Class) {
        let wrong = self.0.load(Ordering::Relaxed) & !class.behind();
        if wrong != 0 {
            complain(wrong, format_args!("{class} is locked"));
        }
    }

    /// Notes that a lock of `class` is held; whether there was none before.
    pub(crate) fn add(&self, class: Class) -> bool {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before | class.bit(), Ordering::Relaxed);
        before & class.bit() == 0
    }

    pub(crate) fn remove(&self, class: Class) {
        self.0.store(self.0.load(Ordering::Relaxed) & !class.bit(), Ordering::Relaxed);
    }

    /// # Panics
    /// If a lock is held that a CPU may wait for without being able to answer.
    pub(crate) fn check_flush(&self) {
        let wrong = self.0.load(Ordering::Relaxed) & !Class::WHILE_FLUSHING;
        if wrong != 0 {
            complain(wrong, format_args!("translations are flushed on all CPUs"));
        }
    }
}

/// Whether the order does not matter any more.
static IGNORED: AtomicBool = AtomicBool::new(false);

/// Ends the check, because nobody goes on but who reports a panic.
pub fn ignore() {
    IGNORED.store(true, Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn complain(held: u32, what: fmt::Arguments) {
    if !IGNORED.load(Ordering::Relaxed)
        && let Some(class) = Class::ALL.into_iter().find(|class| held & class.bit() != 0)
    {
        panic!("{what} while this CPU holds {class}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_comes_behind_earlier_ones_only() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
            // So there is no ring.
            assert!(class.behind() < class.bit(), "{class} may be taken behind itself or a later one");
        }
    }

    #[test]
    fn what_is_held_alone_is_held_alone() {
        for alone in [Class::Stacks, Class::Test] {
            assert_eq!(alone.behind(), 0);
            for class in Class::ALL.into_iter().filter(|class| class.bit() & Class::OF_THREADS != 0) {
                assert_eq!(class.behind() & alone.bit(), 0, "{class} behind {alone}");
            }
        }
    }
}
