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

/// The lines of `said` as they are broken on a screen.
fn wrapped(said: &str, columns: usize) -> Vec<String> {
    let mut expected: Vec<String> = Vec::new();
    for line in said.lines() {
        // Spaces at a line's end do not show, and must not make a line of their own.
        let letters: Vec<char> = line.trim_end().chars().collect();
        match letters.chunks(columns).map(|part| part.iter().collect::<String>().trim_end().to_string()) {
            parts if parts.len() == 0 => expected.push(String::new()),
            parts => expected.extend(parts),
        }
    }
    expected
}

/// What stands in a page's last line when the page was too small.
const CUT: &str = "(the rest is on COM1)";

/// What stands before the calls that led to a panic.
const CALLS: &str = "\ncalled from:\r\n";

/// Holds a page, which is all that is on the screen, against `said`, of which it is the beginning. Returns what is shown.
pub fn page(said: &str, shown: &[String], columns: usize) -> Result<Vec<String>, String> {
    // A call has a line, whatever its length.
    let (before, calls) = said.trim_end().split_once(CALLS).unwrap_or((said.trim_end(), ""));
    let mut expected = wrapped(before, columns);
    if !calls.is_empty() {
        expected.push(CALLS.trim().into());
        let cut = |line: &str| line.chars().take(columns).collect::<String>().trim_end().to_string();
        expected.extend(calls.lines().map(cut));
    }
    let lines: Vec<String> =
        shown.iter().map(|line| line.trim_end_matches(['_', '\u{FFFD}', ' ']).to_string()).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let lines = &lines[..end];
    let whole = match lines.split_last() {
        Some((last, before)) if last == CUT && lines.len() == shown.len() => before,
        _ if lines.len() == expected.len() => lines,
        _ => return Err(format!("the screen shows {} lines of {}: {lines:#?}", lines.len(), expected.len())),
    };
    match whole.iter().zip(&expected).find(|(shown, said)| shown != said) {
        Some((shown, said)) => Err(format!("COM1 says '{said}', the screen shows '{shown}'")),
        None => Ok(whole.to_vec()),
    }
}

/// Holds what is on the screen against the end of what came on COM1: `said`, which ends at the prompt.
pub fn compare(said: &str, shown: &[String], columns: usize) -> Result<String, String> {
    let expected = wrapped(said, columns);
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
    use super::{compare, page};

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(String::from).collect()
    }

    #[test]
    fn a_page_is_whole_or_says_that_it_is_not() {
        let said = "one\r\ntwo two two\r\nend\r\n";
        assert!(page(said, &lines("one\ntwo two\n two\nend\n_\n"), 7).is_ok());
        assert!(page(said, &lines("one\ntwo two\n(the rest is on COM1)"), 7).is_ok());
        assert!(page(said, &lines("one\ntwo two\n two"), 7).is_err(), "cut off without a word");
        assert!(page(said, &lines("one\ntwo two\n(the rest is on COM1)\n\n"), 7).is_err(), "cut off too early");
        assert!(page(said, &lines("old\none\ntwo two\n two\nend"), 7).is_err(), "not cleared");
        let calls = "a\r\ncalled from:\r\n 0: abcdefghijkl\r\n 1: b\r\n";
        assert!(page(calls, &lines("a\ncalled from:\n 0: abcdefghi\n 1: b"), 13).is_ok());
        assert!(page(calls, &lines("a\ncalled from:\n 0: abcdefghi\njkl\n 1: b"), 13).is_err());
        assert!(page(said, &lines("one\ntwo tow\n two\nend"), 7).is_err());
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
