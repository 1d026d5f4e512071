//! What lies where in a mode's kernel part, and how high it is drawn.

use mm::{Layout, PageRange, PagingInfo};

/// A part of the address space.
pub struct Region {
    /// What it is called; empty for what nobody uses.
    pub name: &'static str,
    /// The class of its colour.
    pub class: &'static str,
    /// Its first byte.
    pub start: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The kernel part without gaps, from its highest address down.
pub fn of(info: &PagingInfo) -> Vec<Region> {
    let layout = Layout::of(info);
    let self_map = PageRange::new(info.self_map_base(), info.self_map_pages());
    let mut used = vec![
        ("aperture", "aperture", layout.aperture),
        ("self-map", "selfmap", self_map),
        ("dynamic", "dynamic", layout.dynamic),
    ];
    if !layout.aperture.contains(layout.image.start) {
        used.push(("image", "image", layout.image));
    }
    used.sort_by_key(|(_, _, range)| range.start);
    let mut all = Vec::new();
    let mut at = info.kernel_half().0;
    for (name, class, range) in used {
        let (start, bytes) = (range.start.0, range.pages * mm::PAGE_SIZE);
        if start > at {
            all.push(Region { name: "", class: "gap", start: at, bytes: start - at });
        }
        all.push(Region { name, class, start, bytes });
        // The last one may end where addresses do.
        at = start.wrapping_add(bytes);
    }
    if at != 0 && at != end(info) {
        all.push(Region { name: "", class: "gap", start: at, bytes: end(info).wrapping_sub(at) });
    }
    all.reverse();
    all
}

/// The first address behind the mode's last; 0 where that is behind the last of 64 bits.
pub fn end(info: &PagingInfo) -> u64 {
    if info.va_bits == 32 { 1 << 32 } else { 0 }
}

/// Heights for `regions` that add up to `total` pixels: to scale, but for those that would be lower than they need.
pub fn heights(regions: &[Region], total: u32) -> Vec<f64> {
    let least = |region: &Region| if region.name.is_empty() { 14.0 } else { 44.0 };
    let mut fixed = vec![false; regions.len()];
    loop {
        let taken: f64 = regions.iter().zip(&fixed).filter(|(_, fixed)| **fixed).map(|(region, _)| least(region)).sum();
        let left: u128 =
            regions.iter().zip(&fixed).filter(|(_, fixed)| !**fixed).map(|(region, _)| u128::from(region.bytes)).sum();
        let scale = (f64::from(total) - taken) / left.max(1) as f64;
        let small = regions
            .iter()
            .zip(&fixed)
            .position(|(region, fixed)| !*fixed && region.bytes as f64 * scale < least(region));
        match small {
            Some(index) => fixed[index] = true,
            None => {
                let height = |(region, fixed): (&Region, &bool)| {
                    if *fixed { least(region) } else { region.bytes as f64 * scale }
                };
                return regions.iter().zip(&fixed).map(height).collect();
            }
        }
    }
}

/// A size in the largest unit that it is a multiple of, after rounding away the page that some regions leave out.
pub fn size(bytes: u64) -> String {
    let round = if bytes < 1 << 20 { bytes } else { bytes.next_multiple_of(1 << 20) };
    let unit = (round.trailing_zeros() / 10).min(5);
    let (value, unit) = (round >> (10 * unit), unit as usize);
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    // 58112 GiB says less than 56.8 TiB.
    if value >= 2048 && unit < 5 {
        let tenths = (value * 10) >> 10;
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit + 1]).replace(".0 ", " ");
    }
    format!("{value} {}", UNITS[unit])
}
