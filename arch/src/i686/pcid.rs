//! There are no process-context identifiers outside of long mode (SDM vol. 3A, 4.10.1).

/// How many CPUs may have them.
pub const CPUS: usize = 0;

/// Switches nothing on.
///
/// # Safety
/// None is needed.
pub unsafe fn switch_on(_cpu: usize) -> bool {
    false
}

/// Whether they are switched on.
pub const fn is_on(_cr4: u64) -> bool {
    false
}

/// Whether the CPU with this number has switched them on and has INVPCID.
pub const fn has_invpcid(_cpu: usize) -> bool {
    false
}

/// What CR3 is loaded with.
pub const fn cr3(root: u64, _number: usize, _keep: bool) -> u64 {
    root
}

/// Never called, as no CPU has INVPCID here.
///
/// # Safety
/// None is needed.
pub unsafe fn forget_all() {}
