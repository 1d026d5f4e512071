//! An access and what the CPU says to it: who tries what, how the CPU is set, and the page fault's error code.

use core::fmt;

use crate::{Features, Frame};

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Fetch,
}

/// Who tries what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// What.
    pub kind: AccessKind,
    /// From ring 3, and not from ring 0.
    pub user: bool,
}

impl Access {
    /// Every access there is.
    pub const ALL: [Self; 6] = {
        use AccessKind::{Fetch, Read, Write};
        [
            Self { kind: Read, user: false },
            Self { kind: Write, user: false },
            Self { kind: Fetch, user: false },
            Self { kind: Read, user: true },
            Self { kind: Write, user: true },
            Self { kind: Fetch, user: true },
        ]
    };
}

/// What beside the tables decides about an access: what the CPU has, and how it is set at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Controls {
    /// What the CPU has. Large pages in pml2 are switched on where there are any (CR4.PSE).
    pub features: Features,
    /// CR0.WP: the kernel too may write only what may be written.
    pub write_protect: bool,
    /// EFER.NXE: the NX bit counts, and is not reserved.
    pub no_execute: bool,
    /// CR4.SMEP: the kernel does not execute what ring 3 may.
    pub smep: bool,
    /// CR4.SMAP: the kernel does not touch what ring 3 may.
    pub smap: bool,
    /// EFLAGS.AC: it does so all the same.
    pub ac: bool,
    /// Reserved bits are ignored. The manual knows no such CPU, but an emulator may be one.
    pub ignores_reserved: bool,
}

impl Controls {
    /// The controls as the registers CR0, CR4 and IA32_EFER have them (0 where there is none), with EFLAGS.AC clear.
    pub const fn of(features: Features, cr0: u64, cr4: u64, efer: u64) -> Self {
        Self {
            features,
            write_protect: cr0 >> 16 & 1 != 0,
            no_execute: efer >> 11 & 1 != 0,
            smep: cr4 >> 20 & 1 != 0,
            smap: cr4 >> 21 & 1 != 0,
            ac: false,
            ignores_reserved: false,
        }
    }
}

bitflags::bitflags! {
    /// The error code of a page fault (SDM vol. 3A, 4.7).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct FaultCode: u32 {
        /// P: there is a translation, or what should be one; clear, an entry on the way is absent.
        const PRESENT = 1 << 0;
        /// W/R: a store.
        const WRITE = 1 << 1;
        /// U/S: from ring 3.
        const USER = 1 << 2;
        /// RSVD: an entry on the way has a reserved bit set.
        const RESERVED = 1 << 3;
        /// I/D: an instruction fetch, on a CPU with NX or SMEP switched on.
        const FETCH = 1 << 4;
        // The CPU may set bits that are not among these, for features that Strata does not use.
        const _ = !0;
    }
}

/// Why an access does not take place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The mode does not translate the address: on amd64 a general protection fault.
    NotCanonical,
    /// A page fault.
    PageFault(FaultCode),
    /// A table lies in this frame, where it cannot be looked at: the CPU would go by whatever is there.
    Unseen(Frame),
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            AccessKind::Read => "read",
            AccessKind::Write => "write",
            AccessKind::Fetch => "execute",
        })
    }
}
