//! The letters' shapes.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::MOST_COLUMNS;

/// The sizes there are, from the smallest.
const SIZES: [RasterHeight; 4] =
    [RasterHeight::Size16, RasterHeight::Size20, RasterHeight::Size24, RasterHeight::Size32];

/// What is drawn for a letter that the font does not have.
const REPLACEMENT: char = '\u{FFFD}';

/// Noto Sans Mono at one of its sizes.
#[derive(Clone, Copy)]
pub struct Font {
    size: RasterHeight,
}

impl Font {
    /// The font for a screen that is `width` pixels wide: the smallest with which the lines are not longer than those of
    /// the longest terminal, because where pixels are small, letters have to have more of them.
    pub fn for_width(width: u32) -> Self {
        let fits = |size: &RasterHeight| width as usize / Self { size: *size }.width() <= MOST_COLUMNS;
        Self { size: SIZES.into_iter().find(fits).unwrap_or(RasterHeight::Size32) }
    }

    /// Pixels in a letter's line.
    pub const fn width(self) -> usize {
        get_raster_width(FontWeight::Regular, self.size)
    }

    /// Lines in a letter.
    pub const fn height(self) -> usize {
        self.size.val()
    }

    /// The shape of `letter`: how much of each pixel it covers, 0 to 255, line by line from the top.
    pub fn shape(self, letter: char) -> &'static [u8] {
        let raster = |letter| get_raster(letter, FontWeight::Regular, self.size).map(|raster| raster.pixels());
        raster(letter).or_else(|| raster(REPLACEMENT)).unwrap_or_default()
    }
}
