//! QEMU's screen dumps as PNG.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A picture, three bytes a pixel.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// The picture in the binary PPM `ppm`.
    pub fn parse(ppm: &[u8]) -> Result<Self, String> {
        let (width, height, pixels) = parse(ppm).ok_or("QEMU's screenshot is no PPM")?;
        Ok(Self { width, height, pixels: pixels.into() })
    }

    /// Red, green and blue of a pixel.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y * self.width + x) as usize * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// How green a pixel is.
    pub fn green(&self, x: u32, y: u32) -> u8 {
        self.pixels[(y * self.width + x) as usize * 3 + 1]
    }

    /// Saves it as a PNG.
    pub fn save(&self, file: &Path) -> Result<(), String> {
        let out = File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut encoder = png::Encoder::new(BufWriter::new(out), self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// Width, height and the pixels of a binary PPM with 8 bits a colour.
fn parse(ppm: &[u8]) -> Option<(u32, u32, &[u8])> {
    let mut fields = ppm.splitn(5, |byte| byte.is_ascii_whitespace());
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    if field()? != "P6" {
        return None;
    }
    let (width, height, most) = (field()?.parse().ok()?, field()?.parse().ok()?, field()?);
    let pixels = fields.next()?;
    let bytes = u64::from(width) * u64::from(height) * 3;
    (most == "255" && pixels.len() as u64 == bytes).then_some((width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_whole_pictures_are_taken() {
        assert_eq!(parse(b"P6\n2 1\n255\nabcdef"), Some((2, 1, &b"abcdef"[..])));
        assert_eq!(parse(b"P6\n2 1\n255\nabcde"), None);
        assert_eq!(parse(b"P5\n2 1\n255\nabcdef"), None);
        assert_eq!(parse(b""), None);
    }
}
