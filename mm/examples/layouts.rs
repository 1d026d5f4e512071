//! Prints docs/memory-map.md: the four address spaces, from the constants that the kernel uses.
//!
//!     just atlas
//!
//! `tools/lint` checks that the page says what this prints.

use mm::{Layout, PageRange, PagingInfo, amd64, i686};

fn main() {
    println!("# The four address spaces\n");
    println!("![The four layouts side by side](images/layouts.svg)\n");
    println!("Made from the code's constants by `just atlas`, as is the picture; the regions are told in");
    println!("[`mm/src/layout.rs`](../mm/src/layout.rs), the shapes in [`mm/src/formats.rs`](../mm/src/formats.rs).");
    for routines in [&i686::PML2, &i686::PML3, &amd64::PML4, &amd64::PML5] {
        draw(&routines.info);
    }
}

fn draw(info: &PagingInfo) {
    println!("\n## {}\n", info.name);
    println!(
        "{} levels, {}-byte entries, {}-bit virtual and up to {}-bit physical addresses.",
        info.levels, info.entry_bytes, info.va_bits, info.phys_bits
    );
    println!(
        "\n| level | entries | one entry covers | a leaf? | entries in the self-map from |\n|---|---|---|---|---|"
    );
    for level in (1..=info.levels).rev() {
        let leaf = if level <= info.top_leaf { "yes" } else { "no" };
        let covers = size(info.pages(level) * 4096);
        println!("| {level} | {} | {covers} | {leaf} | `{:#x}` |", info.entries(level), info.entry_base(level));
    }
    let layout = Layout::of(info);
    let self_map = PageRange::new(info.self_map_base(), info.self_map_pages());
    let mut regions = vec![
        ("user", layout.user),
        ("aperture: physical memory, at base + address", layout.aperture),
        ("dynamic: devices, windows", layout.dynamic),
        ("self-map", self_map),
    ];
    if !layout.aperture.contains(layout.image.start) {
        regions.push(("image", layout.image));
    }
    regions.sort_by_key(|(_, range)| range.start);
    println!("\n```text");
    let mut next = Some(0);
    for (name, range) in regions {
        if next != Some(range.start.0) {
            println!("{:>18}   ...", "");
        }
        println!("{:#018x} - {:#018x}  {:>8}  {name}", range.start, range.last_byte(), size(range.pages * 4096));
        next = range.last_byte().0.checked_add(1);
    }
    println!("```");
}

/// A size in the largest unit that it is a multiple of, after rounding away the page that some regions leave out at an
/// end.
fn size(bytes: u64) -> String {
    let round = if bytes < 1 << 20 { bytes } else { bytes.next_multiple_of(1 << 20) };
    let unit = (round.trailing_zeros() / 10).min(5);
    let about = if round == bytes { "" } else { "~" };
    format!("{about}{} {}", round >> (10 * unit), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit as usize])
}
