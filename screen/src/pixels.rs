//! Cells drawn as pixels.

use crate::color::nearest;
use crate::font::Font;
use crate::geometry::PixelFormat;
use crate::{Cell, Color, Display, Geometry, Rgb, Surface, Unusable};

/// The most bytes that a line of one letter has: 16 pixels of 4 bytes.
const LETTER_LINE: usize = 64;

/// How many lines the cursor has, at the foot of a letter: one in so many.
const CURSOR_PART: usize = 8;

/// A linear framebuffer.
pub struct Pixels<S> {
    surface: S,
    geometry: Geometry,
    font: Font,
    ramp: Ramp,
}

/// The pixels between two colours. Text comes in runs of the same two, so those of the last are kept.
struct Ramp {
    front: Color,
    back: Color,
    pixels: [u32; SHADES],
}

/// How many shades a letter's edge has.
const SHADES: usize = 32;

impl<S: Surface> Pixels<S> {
    /// Draws on `surface`, which is as `geometry` says.
    ///
    /// # Errors
    /// What is wrong with `geometry`.
    pub fn new(surface: S, geometry: Geometry) -> Result<Self, Unusable> {
        geometry.check()?;
        let ramp = Ramp::new(&geometry.format, Color::WHITE, Color::BLACK);
        Ok(Self { surface, geometry, font: Font::for_width(geometry.width), ramp })
    }

    /// Pixels in a line, and lines.
    pub const fn size(&self) -> (u32, u32) {
        (self.geometry.width, self.geometry.height)
    }

    /// Fills the rectangle that begins at pixel `x` of line `y`. What is beyond the edges is left out.
    pub fn fill(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), color: Rgb) {
        let pixel = encode(&self.geometry.format, color).to_le_bytes();
        let bytes = self.geometry.pixel_bytes();
        let mut chunk = [0; LETTER_LINE];
        let pixels = chunk.len() / bytes;
        chunk.chunks_exact_mut(bytes).for_each(|slot| slot.copy_from_slice(&pixel[..bytes]));
        let (right, bottom) = (self.geometry.width, self.geometry.height);
        for line in y.min(bottom)..y.saturating_add(height).min(bottom) {
            let mut column = x.min(right);
            let end = x.saturating_add(width).min(right);
            while column < end {
                let count = pixels.min((end - column) as usize);
                self.surface.put(self.offset(column, line), &chunk[..count * bytes]);
                column += count as u32;
            }
        }
    }

    const fn offset(&self, x: u32, y: u32) -> usize {
        y as usize * self.geometry.pitch as usize + x as usize * self.geometry.pixel_bytes()
    }
}

impl<S: Surface> Display for Pixels<S> {
    fn grid(&self) -> (usize, usize) {
        (self.geometry.width as usize / self.font.width(), self.geometry.height as usize / self.font.height())
    }

    fn clear(&mut self) {
        self.fill((0, 0), (u32::MAX, u32::MAX), Color::BLACK.rgb());
    }

    fn draw(&mut self, column: usize, line: usize, cell: Cell) {
        let (width, height, bytes) = (self.font.width(), self.font.height(), self.geometry.pixel_bytes());
        if (cell.front(), cell.back()) != (self.ramp.front, self.ramp.back) {
            self.ramp = Ramp::new(&self.geometry.format, cell.front(), cell.back());
        }
        let cursor = if cell.has_cursor() { height - height / CURSOR_PART } else { height };
        let (x, y) = ((column * width) as u32, line * height);
        for (n, row) in self.font.shape(cell.letter()).chunks_exact(width).enumerate() {
            let mut pixels = [0; LETTER_LINE];
            for (slot, coverage) in pixels.chunks_exact_mut(bytes).zip(row) {
                let shade = if n >= cursor { SHADES - 1 } else { usize::from(*coverage) * SHADES / 256 };
                slot.copy_from_slice(&self.ramp.pixels[shade].to_le_bytes()[..bytes]);
            }
            self.surface.put(self.offset(x, (y + n) as u32), &pixels[..width * bytes]);
        }
    }

    fn cursor(&mut self, _: usize, _: usize) {}
}

impl Ramp {
    fn new(format: &PixelFormat, front: Color, back: Color) -> Self {
        let mix = |shade: usize| {
            let part = |front: u8, back: u8| {
                ((usize::from(front) * shade + usize::from(back) * (SHADES - 1 - shade)) / (SHADES - 1)) as u8
            };
            let (front, back) = (front.rgb(), back.rgb());
            encode(format, core::array::from_fn(|n| part(front[n], back[n])))
        };
        Self { front, back, pixels: core::array::from_fn(mix) }
    }
}

/// `color` as a pixel.
fn encode(format: &PixelFormat, color: Rgb) -> u32 {
    match format {
        PixelFormat::Indexed(palette) => nearest(palette.colors(), color) as u32,
        PixelFormat::Direct(channels) => channels.iter().zip(color).fold(0, |pixel, (channel, value)| {
            // Eight bits made as many as there are: the highest ones, or with zeros after them.
            let value = u64::from(value) << 24 >> (32 - u32::from(channel.bits));
            pixel | (value << channel.position) as u32
        }),
    }
}
