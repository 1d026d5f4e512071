//! What the live tables leave to programs at boot. That the kernel half is closed to them, that nothing can be both written
//! and executed, and that constants cannot be written is for the audit to say, which runs at every boot.

use mm::{Seen, VirtAddr};

use super::{Failure, Outcome, Verdict};
use crate::Machine;

/// Nothing is left of what was mapped outside the kernel half at boot, not even for ring 3.
pub fn user_half(machine: &Machine) -> Verdict {
    let half: VirtAddr = machine.map.tables().paging().routines.info.kernel_half();
    let mut verdict = Ok(Outcome::Passed);
    machine.map.tables().visit(&machine.memory.lock(), &mut |seen| {
        if let Seen::Leaf(leaf) = seen
            && leaf.start < half
        {
            verdict = Err(Failure::NotAt("nothing is mapped outside the kernel half", leaf.start));
        }
    });
    verdict
}
