//! Entries in words, for people: prompts, reports, logs.

use core::fmt;

use crate::{Cache, PageFlags, Pte, Rights, Step};

/// Five letters, `r` first because whatever is mapped can be read: `rwxug`, each or a dash.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let letter = |right, letter| if self.contains(right) { letter } else { '-' };
        let (write, exec) = (letter(Rights::WRITE, 'w'), letter(Rights::EXEC, 'x'));
        write!(f, "r{write}{exec}{}{}", letter(Rights::USER, 'u'), letter(Rights::GLOBAL, 'g'))
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Cache::WriteBack => "wb",
            Cache::WriteThrough => "wt",
            Cache::WriteCombining => "wc",
            Cache::Uncached => "uc",
        })
    }
}

impl fmt::Display for PageFlags {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.rights, self.cache)
    }
}

impl fmt::Display for Pte {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Pte::Absent => f.write_str("nothing"),
            Pte::Table(frame, rights) => write!(f, "table at {:#x}, {rights}", frame.start()),
            Pte::Leaf(frame, flags) => write!(f, "page at {:#x}, {flags}", frame.start()),
        }
    }
}

/// `level 4 at 0x1000ff8: 0x0000000000102023  table at 0x102000, rwx--`
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "level {} at {:#x}: {:#018x}  {}", self.level, self.at, self.raw, self.pte)
    }
}
