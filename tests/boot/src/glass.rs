//! Reads the screen as a person would: the letters on it, out of the card's text memory or out of a picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::picture::Picture;

/// The most letters in a line that the kernel puts on a screen. The smallest font with which there are not more is its.
const MOST_COLUMNS: u32 = 240;

const SIZES: [RasterHeight; 4] =
    [RasterHeight::Size16, RasterHeight::Size20, RasterHeight::Size24, RasterHeight::Size32];

/// How much ink a pixel may have too much or too little, on average over a letter and squared, for it to be that letter.
/// Screens with 5 bits a colour are off by a few of the 255 steps.
const TOLERANCE: u64 = 12 * 12;

/// The lines of the card's text screen, of which `memory` holds two bytes a letter.
pub fn letters(memory: &[u8], columns: usize, lines: usize) -> Vec<String> {
    let letter = |pair: &[u8]| if (b' '..=b'~').contains(&pair[0]) { char::from(pair[0]) } else { '\u{FFFD}' };
    let line = |line: &[u8]| line.chunks_exact(2).map(letter).collect::<String>().trim_end().to_string();
    memory.chunks_exact(columns * 2).take(lines).map(line).collect()
}

fn width_of(size: RasterHeight) -> u32 {
    get_raster_width(FontWeight::Regular, size) as u32
}

/// The font on a screen like this.
fn font(picture: &Picture) -> RasterHeight {
    let fits = |size: &RasterHeight| picture.width / width_of(*size) <= MOST_COLUMNS;
    SIZES.into_iter().find(fits).unwrap_or(RasterHeight::Size32)
}

/// How many letters a line has on a screen like this.
pub fn columns(picture: &Picture) -> usize {
    (picture.width / width_of(font(picture))).min(MOST_COLUMNS) as usize
}

/// The lines of a framebuffer, letter by letter. What is no letter is U+FFFD; the cursor's stroke is a low line.
pub fn pixels(picture: &Picture) -> Vec<String> {
    let size = font(picture);
    let (width, height) = (width_of(size), size.val() as u32);
    let known: Vec<(char, &[u8])> = ('!'..='~')
        .filter_map(|letter| get_raster(letter, FontWeight::Regular, size).map(|raster| (letter, raster.pixels())))
        .collect();
    let columns = columns(picture) as u32;
    (0..picture.height / height)
        .map(|line| {
            let read = |column| letter_at(picture, &known, (column * width, line * height), (width, height));
            (0..columns).map(read).collect::<String>().trim_end().to_string()
        })
        .collect()
}

/// The letter whose shape is most like what is in the box that begins at `x`, `y`.
fn letter_at(picture: &Picture, known: &[(char, &[u8])], (x, y): (u32, u32), (width, height): (u32, u32)) -> char {
    // The darkest and the brightest pixel are paper and ink: text is in one colour, letter by letter.
    let pixels: Vec<i64> = (0..height)
        .flat_map(|row| (0..width).map(move |column| (column, row)))
        .map(|(column, row)| i64::from(picture.green(x + column, y + row)))
        .collect();
    let (paper, ink) = (*pixels.iter().min().unwrap_or(&0), *pixels.iter().max().unwrap_or(&0));
    if ink - paper < 32 {
        return ' ';
    }
    let off = |shape: &[u8]| -> u64 {
        let most = i64::from(*shape.iter().max().unwrap_or(&0));
        let each = pixels.iter().zip(shape).map(|(pixel, coverage)| {
            ((pixel - paper) * most / (ink - paper) - i64::from(*coverage)).unsigned_abs().pow(2)
        });
        each.sum::<u64>() / pixels.len() as u64
    };
    let best = known.iter().map(|(letter, shape)| (off(shape), *letter)).min();
    best.map_or('\u{FFFD}', |(off, letter)| if off <= TOLERANCE { letter } else { '\u{FFFD}' })
}

/// Holds what is on the screen against the end of what came on COM1: `said`, which ends at the prompt.
pub fn compare(said: &str, shown: &[String], columns: usize) -> Result<String, String> {
    let mut expected: Vec<String> = Vec::new();
    for line in said.lines() {
        // Spaces at a line's end do not show, and must not make a line of their own.
        let letters: Vec<char> = line.trim_end().chars().collect();
        match letters.chunks(columns).map(|part| part.iter().collect::<String>().trim_end().to_string()) {
            parts if parts.len() == 0 => expected.push(String::new()),
            parts => expected.extend(parts),
        }
    }
    let end = shown.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let count = expected.len().min(end);
    for (expected, shown) in expected.iter().rev().zip(shown[..end].iter().rev()).take(count) {
        // The prompt's line has the cursor behind it.
        let shown = if expected == "strata>" { shown.trim_end_matches(['_', '\u{FFFD}', ' ']) } else { shown };
        if expected != shown {
            return Err(format!("COM1 says '{expected}', the screen shows '{shown}'"));
        }
    }
    if count < 3 { Err("there is nothing on the screen".into()) } else { Ok(format!("{count} lines on the screen")) }
}

#[cfg(test)]
mod tests {
    use super::compare;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(String::from).collect()
    }

    #[test]
    fn only_the_same_text_is_the_same() {
        let said = "one\r\ntwo two two\r\n\r\nstrata> ";
        assert!(compare(said, &lines("one\ntwo two\n two\n\nstrata> _\n\n"), 7).is_ok());
        assert!(compare(said, &lines("tow\n two\n\nstrata>"), 7).is_err());
        assert!(compare(said, &lines("two two\n two\n\nstrata>"), 7).is_ok(), "scrolled");
        assert!(compare(said, &lines("\n\n"), 7).is_err(), "empty");
    }
}
