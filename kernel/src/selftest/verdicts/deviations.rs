//! Where emulators, and CPUs, are known to differ from the manual: the one table.
//!
//! A deviation is in force from the first case that nothing but it explains, and from then on every case must show it: a
//! CPU that differs now and then fails the test, and so does whatever is not in the table.

use mm::{Controls, FaultCode, Features};

/// A known deviation.
pub struct Deviation {
    /// Who has it.
    pub who: &'static str,
    /// What the manual says, and what is done instead.
    pub what: &'static str,
    /// The controls as it takes them.
    pub controls: fn(Controls) -> Controls,
    /// The error code that it makes of the right one.
    pub code: fn(FaultCode) -> FaultCode,
}

/// Changes nothing.
const SAME: fn(FaultCode) -> FaultCode = |code| code;

/// The table.
pub const TABLE: [Deviation; 6] = [
    // SDM vol. 3A, 4.7: a reserved bit is looked at in a present entry only, so RSVD comes with P.
    Deviation {
        who: "TCG",
        what: "P is clear in the error code where RSVD is set",
        controls: |controls| controls,
        code: |code| if code.contains(FaultCode::RESERVED) { code - FaultCode::PRESENT } else { code },
    },
    // SDM vol. 3A, tables 4-4 and 4-6: without a PAT, its bit is reserved in a leaf. A 486 predates the word, and may
    // well ignore it too.
    Deviation {
        who: "TCG, Bochs",
        what: "the PAT bit is not reserved on a CPU without PAT",
        controls: |controls| Controls { features: Features { pat: true, ..controls.features }, ..controls },
        code: SAME,
    },
    // SDM vol. 3A, 4.5.4 and table 4-16: without 1 GiB pages, bit 7 is reserved in a page-directory-pointer entry.
    Deviation {
        who: "TCG",
        what: "a 1 GiB page is translated on a CPU that does not offer them",
        controls: |controls| Controls { features: Features { page_1g: true, ..controls.features }, ..controls },
        code: SAME,
    },
    // SDM vol. 3A, 4.1.4: without CPUID leaf 0x80000008 there are 36 bits with PAE or PSE-36, else 32; those beyond are
    // reserved. TCG keeps to that in PAE's entries.
    Deviation {
        who: "Bochs, TCG in 4 MiB pages",
        what: "addresses have 40 bits on a CPU that does not say how many",
        controls: |controls| {
            let phys_bits = controls.features.phys_bits.max(40);
            Controls { features: Features { phys_bits, ..controls.features }, ..controls }
        },
        code: SAME,
    },
    // SDM vol. 3A, table 4-4: without PSE-36, bits 21 to 13 of a 4 MiB page's entry are reserved.
    Deviation {
        who: "TCG, Bochs",
        what: "a 4 MiB page has address bits beyond 32 on a CPU without PSE-36",
        controls: |controls| Controls { features: Features { pse36: true, ..controls.features }, ..controls },
        code: SAME,
    },
    // SDM vol. 3A, 4.7: a reserved bit that is set in a present entry is a page fault. Last, because others of the table are
    // parts of it: it is in force only from a case on that no set of the others explains.
    Deviation {
        who: "v86",
        what: "no reserved bit is checked",
        controls: |controls| Controls { ignores_reserved: true, ..controls },
        code: SAME,
    },
];

/// Those of the table that this machine has shown.
#[derive(Clone, Copy, Default)]
pub struct Shown(u32);

impl Shown {
    /// Every way to add to these, the smaller first; after them every set with the table's last, which stands for others too.
    pub fn supersets(self) -> impl Iterator<Item = Self> {
        let last = 1u32 << (TABLE.len() - 1);
        let sets = move || {
            (0..TABLE.len() as u32).flat_map(move |count| (0..last).filter(move |set| set.count_ones() == count))
        };
        let known = self.0 & last != 0;
        let narrow = sets().filter(move |set| !known && set & self.0 == self.0);
        let wide = sets().map(move |set| set | last).filter(move |set| !known || set & self.0 == self.0);
        narrow.chain(wide).map(Self)
    }

    /// Those that are in force.
    pub fn iter(self) -> impl Iterator<Item = &'static Deviation> {
        TABLE.iter().enumerate().filter(move |(index, _)| self.0 >> index & 1 != 0).map(|(_, deviation)| deviation)
    }
}
