//! What the CPU does about an access: the walk as the CPU makes it, which trusts no entry.
//!
//! The other routines ask what a tree says, and may rely on how Strata writes it. This one takes every word as the CPU
//! does: in the CPU's order, down to the first entry that is absent or has a reserved bit, and only then to the rights of
//! all levels together (SDM vol. 3A, 4.6 and 4.7).

use super::Table;
use crate::format::bit;
use crate::reserved::{beyond_width, reserved};
use crate::{Access, AccessKind, Controls, FaultCode, Features, Format, Frame, Level, Limits, Memory};
use crate::{PAGE_SHIFT, Refusal, VirtAddr};

pub(crate) fn verdict<F: Format>(
    memory: &Memory,
    root: Frame,
    va: VirtAddr,
    access: Access,
    controls: &Controls,
) -> Result<(), Refusal> {
    if !F::INFO.is_canonical(va) {
        return Err(Refusal::NotCanonical);
    }
    let controls = Controls { no_execute: controls.no_execute && F::INFO.no_execute, ..*controls };
    let limits = Limits::new(&F::INFO, &Features { nx: controls.no_execute, ..controls.features });
    let fault = |why| Err(Refusal::PageFault(why | circumstances(access, &controls)));
    let mut frame = root;
    // What every entry so far has set, and what any of them has.
    let (mut all, mut any) = (u64::MAX, 0);
    for level in (1..=F::INFO.levels).rev() {
        if !memory.window.frames().contains(frame) {
            return Err(Refusal::Unseen(frame));
        }
        let raw = Table::<F>::at(&memory.window, frame, level).raw(F::INFO.index(va, level));
        if raw & bit::PRESENT == 0 {
            return fault(FaultCode::empty());
        }
        let leaf = ends::<F>(raw, level, &limits);
        let wrong = raw & forbidden::<F>(level, leaf, &limits, &controls.features);
        if wrong != 0 && !controls.ignores_reserved {
            return fault(FaultCode::PRESENT | FaultCode::RESERVED);
        }
        let raw = raw & !wrong;
        if !F::root_registers(level) {
            (all, any) = (all & raw, any | raw);
        }
        if leaf {
            let no_execute = controls.no_execute && any & bit::NO_EXECUTE != 0;
            let (user, write) = (all & bit::USER != 0, all & bit::WRITE != 0);
            let permitted = permits(access, &controls, user, write, !no_execute);
            return if permitted { Ok(()) } else { fault(FaultCode::PRESENT) };
        }
        frame = Frame((raw & F::ADDRESS) >> PAGE_SHIFT);
    }
    // Unreachable: whatever is present at level 1 is a leaf.
    Err(Refusal::Unseen(frame))
}

/// Whether the present entry `raw` ends the walk. In pml2, bit 7 means nothing on a CPU without large pages; elsewhere it
/// always does, and is reserved where the CPU has no page of that size.
fn ends<F: Format>(raw: u64, level: Level, limits: &Limits) -> bool {
    F::is_leaf(raw, level) && (F::INFO.levels > 2 || level <= limits.top_leaf)
}

/// The reserved bits of a present entry.
fn forbidden<F: Format>(level: Level, leaf: bool, limits: &Limits, features: &Features) -> u64 {
    if F::INFO.entry_bytes == 4 && leaf && level > 1 {
        // The lowest of bits 20 to 13 are bits 32 and up of the address, as far as the CPU has them; 21 is reserved.
        let address_bits = if features.pse36 { features.phys_bits.clamp(32, 40) - 32 } else { 0 };
        let address = ((1 << address_bits) - 1) << 13;
        return reserved(&F::INFO, limits, level, leaf) & !address;
    }
    let too_large = if leaf && level > limits.top_leaf { bit::PAGE_SIZE } else { 0 };
    beyond_width(&F::INFO, limits) | reserved(&F::INFO, limits, level, leaf) | too_large
}

/// What the error code says of the access, whatever is wrong with it.
fn circumstances(access: Access, controls: &Controls) -> FaultCode {
    let mut code = FaultCode::empty();
    code.set(FaultCode::WRITE, access.kind == AccessKind::Write);
    code.set(FaultCode::USER, access.user);
    code.set(FaultCode::FETCH, access.kind == AccessKind::Fetch && (controls.no_execute || controls.smep));
    code
}

/// SDM vol. 3A, 4.6.1, with `user`, `write` and `execute` as all levels together give them.
fn permits(access: Access, controls: &Controls, user: bool, write: bool, execute: bool) -> bool {
    if access.user && !user {
        return false;
    }
    let kept_out = !access.user && user;
    match access.kind {
        AccessKind::Fetch => execute && !(kept_out && controls.smep),
        _ if kept_out && controls.smap && !controls.ac => false,
        AccessKind::Read => true,
        AccessKind::Write => write || !access.user && !controls.write_protect,
    }
}
