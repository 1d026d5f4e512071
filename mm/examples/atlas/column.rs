//! One mode: its name and shape, the address space, its kernel part, and what an entry of each level covers.

use mm::{Layout, PagingInfo};

use crate::regions::{self, size};
use crate::svg::{band, line, polygon, text, text_end, upright};

/// Pixels that a column takes.
pub const WIDTH: u32 = 250;
pub const HEIGHT: u32 = LADDER + 5 * RUNG + 4;

/// Where its parts begin, from its top and its left.
const BARS: u32 = 88;
const BAR_HEIGHT: u32 = 440;
const LADDER: u32 = BARS + BAR_HEIGHT + 46;
const RUNG: u32 = 24;
const WHOLE: u32 = 44;
const PART: u32 = 78;

/// Draws the mode with the shape `info`, from `x`, `y` on.
pub fn draw(out: &mut String, (x, y): (u32, u32), info: &PagingInfo, arch: &str) {
    text(out, (x, y + 26), "mode", info.name);
    text_end(out, (x + WIDTH, y + 26), "arch", arch);
    let shape: Vec<String> = (1..=info.levels).rev().map(|level| info.entries(level).to_string()).collect();
    text(out, (x, y + 48), "shape", &format!("{} levels: {}", info.levels, shape.join(" · ")));
    let bits = format!("{}-byte entries · {} → {} address bits", info.entry_bytes, info.va_bits, info.phys_bits);
    text(out, (x, y + 66), "shape", &bits);
    let part = whole(out, (x, y + BARS), info);
    let (left, right) = (x + WHOLE, x + PART);
    let corners =
        [(left, part.0), (right, f64::from(y + BARS)), (right, f64::from(y + BARS + BAR_HEIGHT)), (left, part.1)];
    polygon(out, "zoom", &corners);
    kernel(out, (x + PART, y + BARS), info);
    ladder(out, (x, y + LADDER), info);
}

/// The whole address space; returns where the kernel's part begins and ends.
fn whole(out: &mut String, (x, y): (u32, u32), info: &PagingInfo) -> (f64, f64) {
    let layout = Layout::of(info);
    let total = f64::from(BAR_HEIGHT);
    let kernel = regions::end(info).wrapping_sub(info.kernel_half().0);
    // Both halves of 64 bits are as large; what is between them is so much larger that it cannot be to scale.
    let (kernel_height, hole) = if info.va_bits == 32 { (total / 4.0, 0.0) } else { (total * 0.42, total * 0.16) };
    let (top, middle) = (f64::from(y), f64::from(y) + kernel_height);
    band(out, "kernel", (x, top), (WHOLE, kernel_height));
    upright(out, (x + WHOLE / 2, top + kernel_height / 2.0), "on", &format!("kernel {}", size(kernel)));
    if hole > 0.0 {
        band(out, "gap", (x, middle), (WHOLE, hole));
        upright(out, (x + WHOLE / 2, middle + hole / 2.0), "faint", "no address");
    }
    let user = (middle + hole, total - kernel_height - hole);
    band(out, "user", (x, user.0), (WHOLE, user.1));
    let words = format!("user {}", size(layout.user.pages * mm::PAGE_SIZE + 2 * mm::PAGE_SIZE));
    upright(out, (x + WHOLE / 2, user.0 + user.1 / 2.0), "on", &words);
    (top, middle)
}

/// The kernel's part, region by region.
fn kernel(out: &mut String, (x, y): (u32, u32), info: &PagingInfo) {
    let regions = regions::of(info);
    let width = WIDTH - PART;
    let mut at = f64::from(y);
    for (region, height) in regions.iter().zip(regions::heights(&regions, BAR_HEIGHT)) {
        band(out, region.class, (x, at), (width, height));
        if region.name.is_empty() {
            if height >= 34.0 {
                text(
                    out,
                    (x + 10, (at + height / 2.0 + 4.0) as u32),
                    "faint",
                    &format!("{} unused", size(region.bytes)),
                );
            }
        } else {
            let top = at as u32;
            text(out, (x + 10, top + 16), "name", region.name);
            text_end(out, (x + width - 10, top + 16), "size", &size(region.bytes));
            // The lowest address stands at the foot, where it is.
            text(out, (x + 10, (at + height) as u32 - 7), "address", &format!("{:#x}", region.start));
            if region.name == "aperture" {
                let middle = (at + height / 2.0) as u32;
                if height > 100.0 {
                    text(out, (x + 10, middle), "told", "physical memory,");
                    text(out, (x + 10, middle + 15), "told", "at base + address");
                }
                if info.va_bits == 32 {
                    text(out, (x + 10, middle + 38), "told", "the image is in it");
                }
            }
        }
        at += height;
    }
}

/// What one entry of each level covers: a rung a level, filled where the entry can map that much by itself.
fn ladder(out: &mut String, (x, y): (u32, u32), info: &PagingInfo) {
    text(out, (x, y - 10), "heading", "one entry covers");
    for (rung, level) in (1..=info.levels).rev().enumerate() {
        let top = y + rung as u32 * RUNG;
        let class = if level <= info.top_leaf { "leaf" } else { "table" };
        // A logarithm has room for a page and for 256 TiB.
        let covers = info.pages(level) * mm::PAGE_SIZE;
        let length = 20 + (covers.ilog2() - 12) * (WIDTH - 154) / 36;
        text(out, (x, top + 14), "level", &format!("level {level}"));
        band(out, class, (x + 58, f64::from(top + 4)), (length, 12.0));
        text(out, (x + 58 + length + 8, top + 14), "level", &size(covers));
    }
    line(out, (x, y - 30), (x + WIDTH, y - 30));
}
