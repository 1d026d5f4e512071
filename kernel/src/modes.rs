//! The mode that the kernel does not run in, and could.

use mm::PagingRoutines;

use crate::Machine;

/// The mode that this CPU could run in beside the live one.
pub fn other(machine: &Machine) -> Option<&'static PagingRoutines> {
    let family = family();
    let live = machine.map.tables().paging().routines;
    match core::ptr::eq(live, family.base) {
        true => (family.has_xpa)(&machine.features).then_some(family.xpa),
        false => Some(family.base),
    }
}

#[cfg(target_os = "none")]
fn family() -> &'static mm::Family {
    &mm::FAMILY
}
#[cfg(not(target_os = "none"))]
fn family() -> &'static mm::Family {
    &mm::amd64::FAMILY
}
