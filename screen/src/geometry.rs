//! What a framebuffer is like, and whether it can be drawn on.

use core::fmt;

use crate::Rgb;

/// Where one of the primary colours stands in a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// The number of its lowest bit.
    pub position: u8,
    /// How many bits it has.
    pub bits: u8,
}

/// Most colours that a palette can have: an index has at most 8 bits here.
const MOST_COLORS: usize = 256;

/// The colours of a display whose pixels are indices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Palette {
    colors: [Rgb; MOST_COLORS],
    count: usize,
}

impl Palette {
    /// The first 256 of `colors`.
    pub fn new(colors: impl Iterator<Item = Rgb>) -> Self {
        let mut palette = Self { colors: [[0; 3]; MOST_COLORS], count: 0 };
        for (slot, color) in palette.colors.iter_mut().zip(colors) {
            *slot = color;
            palette.count += 1;
        }
        palette
    }

    /// The colours, by index.
    pub fn colors(&self) -> &[Rgb] {
        &self.colors[..self.count]
    }
}

/// What a pixel's bits mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one, and no heap to put it on")]
pub enum PixelFormat {
    /// Red, green and blue, each somewhere in the pixel.
    Direct([Channel; 3]),
    /// The number of a colour in a list.
    Indexed(Palette),
}

/// A linear framebuffer, as whoever set the mode describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes from a line to the next.
    pub pitch: u32,
    /// Bits in a pixel.
    pub depth: u8,
    /// What they mean.
    pub format: PixelFormat,
}

/// The smallest and the largest side that is believed, in pixels.
const SIDES: core::ops::RangeInclusive<u32> = 160..=16384;

/// Why a framebuffer cannot be drawn on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// So many pixels by so many: nothing is like that.
    Size(u32, u32),
    /// A pixel with so many bits.
    Depth(u8),
    /// Indices of so many bits.
    IndexDepth(u8),
    /// A line takes so many bytes, and the next is said to begin after so many.
    Pitch {
        /// What a line takes, in bytes.
        line: u32,
        /// What was said, in bytes.
        pitch: u32,
    },
    /// A colour that is not inside a pixel of so many bits.
    Channel(Channel, u8),
    /// A list without colours.
    NoColors,
}

impl Geometry {
    /// Bytes in a pixel.
    pub const fn pixel_bytes(&self) -> usize {
        self.depth.div_ceil(8) as usize
    }

    /// Bytes in all lines.
    pub const fn bytes(&self) -> u64 {
        self.pitch as u64 * self.height as u64
    }

    /// Whether it can be drawn on.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), Unusable> {
        if !SIDES.contains(&self.width) || !SIDES.contains(&self.height) {
            return Err(Unusable::Size(self.width, self.height));
        }
        match self.format {
            PixelFormat::Direct(channels) => {
                if !matches!(self.depth, 15 | 16 | 24 | 32) {
                    return Err(Unusable::Depth(self.depth));
                }
                let inside = |channel: &&Channel| {
                    channel.bits > 0 && u32::from(channel.position) + u32::from(channel.bits) <= u32::from(self.depth)
                };
                if let Some(channel) = channels.iter().find(|channel| !inside(channel)) {
                    return Err(Unusable::Channel(*channel, self.depth));
                }
            }
            PixelFormat::Indexed(_) if self.depth != 8 => return Err(Unusable::IndexDepth(self.depth)),
            PixelFormat::Indexed(palette) if palette.colors().is_empty() => return Err(Unusable::NoColors),
            PixelFormat::Indexed(_) => {}
        }
        let line = self.width * self.pixel_bytes() as u32;
        if self.pitch < line { Err(Unusable::Pitch { line, pitch: self.pitch }) } else { Ok(()) }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unusable::Size(width, height) => write!(f, "{width} by {height} pixels are no size of a screen"),
            Unusable::Depth(depth) => write!(f, "{depth} bits a pixel are not 15, 16, 24 or 32"),
            Unusable::IndexDepth(depth) => write!(f, "{depth} bits a pixel that index a palette are not 8"),
            Unusable::Pitch { line, pitch } => {
                write!(f, "a line takes {line} bytes, but the next is said to begin after {pitch}")
            }
            Unusable::Channel(channel, depth) => write!(
                f,
                "{} bits of colour from bit {} on are not inside a pixel of {depth} bits",
                channel.bits, channel.position
            ),
            Unusable::NoColors => f.write_str("its palette has no colours"),
        }
    }
}
