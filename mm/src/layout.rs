//! Where things lie in the kernel's address space, for each mode.
//!
//! ```text
//!            pml2 / pml3                     pml4                          pml5
//! user       0x00001000 .. 0xBFFFFFFF        0x1000 .. 0x7FFFFFFFEFFF      0x1000 .. 0xFFFFFFFFFFEFFF
//! aperture   0xC0000000, 768 MiB             0xFFFF800000000000, 64 TiB    0xFF00000000000000, 4 PiB
//! self-map   the last 4 MiB / 8 MiB          0xFFFFF68000000000, 512 GiB   0xFFED000000000000, 256 TiB
//! dynamic    0xF0000000 .. 0xFF7FFFFF        0xFFFFFF0000000000, 512 GiB   the same
//! image      0xC0100000, in the aperture     0xFFFFFFFF80000000, 2 GiB     the same
//! ```
//!
//! Image and dynamic region have the same addresses in both modes of an architecture, so that what lies
//! there (the kernel itself, its stacks, its devices) stays where it is when the mode changes under it.

use crate::{PageRange, PagingInfo, VirtAddr};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// The regions of one mode's address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Programs; never page 0, and on amd64 never the last page below the hole (SYSRET would fault in ring 0
    /// with a return address behind it).
    pub user: PageRange,
    /// Physical memory, at base + address.
    pub aperture: PageRange,
    /// Devices, stacks and temporary windows.
    pub dynamic: PageRange,
    /// The kernel as it was linked.
    pub image: PageRange,
}

const fn region(start: u64, bytes: u64) -> PageRange {
    PageRange::new(VirtAddr(start), bytes >> crate::PAGE_SHIFT)
}

impl Layout {
    /// The layout of the mode with the shape `info`.
    pub const fn of(info: &PagingInfo) -> Self {
        let kernel = info.kernel_half().0;
        if info.va_bits == 32 {
            let dynamic = kernel + 768 * MIB;
            // Where pml3's self-map begins; pml2's is smaller and begins higher.
            let end = (4 * GIB) - 8 * MIB;
            return Self {
                user: region(0x1000, kernel - 0x1000),
                aperture: region(kernel, 768 * MIB),
                dynamic: region(dynamic, end - dynamic),
                image: region(kernel, 768 * MIB),
            };
        }
        let half = 1u64 << (info.va_bits - 1);
        Self {
            user: region(0x1000, half - 0x2000),
            aperture: region(kernel, if info.levels == 5 { 4096 * TIB } else { 64 * TIB }),
            // The last entry but one of the table that maps the topmost 256 TiB.
            dynamic: region(0u64.wrapping_sub(2 * 512 * GIB), 512 * GIB),
            image: region(0u64.wrapping_sub(2 * GIB), 2 * GIB),
        }
    }

    /// No two regions meet, none meets the self-map, and each is a valid range of its mode.
    pub(crate) const fn is_sound(&self, info: &PagingInfo) -> bool {
        let image_in_aperture = info.va_bits == 32;
        info.check(self.user).is_ok()
            && info.check(self.aperture).is_ok()
            && info.check(self.dynamic).is_ok()
            && info.check(self.image).is_ok()
            && apart(self.user, self.aperture)
            && apart(self.aperture, self.dynamic)
            && (image_in_aperture || apart(self.aperture, self.image))
            && apart(self.dynamic, self.image)
    }
}

const fn apart(a: PageRange, b: PageRange) -> bool {
    !a.contains(b.start) && !b.contains(a.start)
}
