//! What the live tables permit, all levels together.

use mm::{Frame, Mapping, Rights, Section, Seen, VirtAddr};

use super::{Failure, Outcome, Verdict};
use crate::Machine;

/// The first leaf of the live tree for which `wrong` has a complaint.
fn every_leaf(machine: &Machine, wrong: impl Fn(&Mapping) -> Option<&'static str>) -> Verdict {
    let mut verdict = Ok(Outcome::Passed);
    machine.map.tables().visit(&machine.memory.lock(), &mut |seen| {
        if let Seen::Leaf(leaf) = seen
            && verdict.is_ok()
            && let Some(what) = wrong(&leaf)
        {
            verdict = Err(Failure::NotAt(what, leaf.start));
        }
    });
    verdict
}

/// Nothing can be both written and executed.
pub fn w_xor_x(machine: &mut Machine) -> Verdict {
    if !machine.map.tables().paging().limits.no_execute {
        return Ok(Outcome::Skipped("without NX, whatever can be read can be executed"));
    }
    every_leaf(machine, |leaf| {
        let both = leaf.flags.rights.contains(Rights::WRITE | Rights::EXEC);
        both.then_some("what can be written cannot be executed")
    })
}

/// The kernel half is closed to ring 3, and nothing is left of what was mapped outside of it at boot.
pub fn kernel_half(machine: &mut Machine) -> Verdict {
    let half = machine.map.tables().paging().routines.info.kernel_half();
    every_leaf(machine, |leaf| {
        if leaf.start == VirtAddr(0) {
            Some("page 0 is not mapped")
        } else if leaf.start < half {
            Some("nothing is mapped outside the kernel half")
        } else {
            leaf.flags.rights.contains(Rights::USER).then_some("the kernel half is closed to ring 3")
        }
    })
}

/// Text and constants cannot be written, by whatever address, and the guard page is mapped nowhere that it guards.
pub fn constants(machine: &mut Machine) -> Verdict {
    let info = &machine.map.tables().paging().routines.info;
    let sections = machine.map.sections();
    let constant = |section: &Section| section.flags.is_some_and(|flags| !flags.rights.contains(Rights::WRITE));
    every_leaf(machine, |leaf| {
        let end = leaf.frame.offset(info.pages(leaf.level));
        let holds = |section: &Section| {
            let last = Frame(section.first.0 + section.pages.pages);
            leaf.frame < last && section.first < end
        };
        let writable = leaf.flags.rights.contains(Rights::WRITE);
        let guard = |section: &Section| section.flags.is_none() && section.pages.contains(leaf.start);
        if writable && sections.iter().any(|section| constant(section) && holds(section)) {
            Some("text and constants cannot be written through any mapping")
        } else {
            sections.iter().any(guard).then_some("the guard page below the stack is not mapped")
        }
    })
}
