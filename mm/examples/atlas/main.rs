//! Draws docs/images/layouts.svg: the four address spaces side by side, from the constants that the kernel uses.
//!
//!     just atlas
//!
//! `tools/lint` checks that the picture in docs/ is the one that this draws.

mod column;
mod regions;
mod svg;

use mm::{PagingRoutines, amd64, i686};

/// The modes, from the left.
const MODES: [(&PagingRoutines, &str); 4] =
    [(&i686::PML2, "i686"), (&i686::PML3, "i686"), (&amd64::PML4, "x86_64"), (&amd64::PML5, "x86_64")];

/// All of the picture, and what is around the columns, in pixels.
const WIDTH: u32 = 4 * column::WIDTH + 5 * MARGIN;
const HEIGHT: u32 = TOP + column::HEIGHT + FOOT;
const MARGIN: u32 = 24;
const TOP: u32 = 28;
const FOOT: u32 = 76;

/// What has to be said to whoever looks at it.
const NOTES: [&str; 3] = [
    "Left: the address space. Right: its kernel part, higher addresses above, to scale but for what would be too small to read.",
    "XPA takes a kernel from the first column of its pair to the second; image and dynamic region stay where they are.",
    "Below, on a logarithmic scale: what an entry of each level covers. Filled: it can map as much by itself. Dashed: it names a table.",
];

fn main() {
    let mut out = svg::begin(WIDTH, HEIGHT);
    for (number, (routines, arch)) in MODES.iter().enumerate() {
        let x = MARGIN + number as u32 * (column::WIDTH + MARGIN);
        column::draw(&mut out, (x, TOP), &routines.info, arch);
    }
    for (line, words) in NOTES.iter().enumerate() {
        svg::text(&mut out, (MARGIN, HEIGHT - FOOT + 22 + 18 * line as u32), "note", words);
    }
    out.push_str("</svg>\n");
    print!("{out}");
}
