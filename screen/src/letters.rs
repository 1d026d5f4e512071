//! Cells put as letters into a card's text memory.

use crate::{Cell, Display, Surface};

/// The text screen of a card: two bytes a letter, the letter in code page 437 and its colours.
pub struct Letters<S> {
    surface: S,
    columns: usize,
    lines: usize,
    place: fn(usize),
}

impl<S: Surface> Letters<S> {
    /// Writes to `surface`, which shows `columns` by `lines` letters; as many lines as it has room for, if those are fewer.
    /// `place` puts the card's cursor on the letter with that number.
    pub fn new(surface: S, columns: usize, lines: usize, place: fn(usize)) -> Self {
        let columns = columns.clamp(1, crate::MOST_COLUMNS);
        let lines = lines.min(surface.bytes() / (columns * 2));
        Self { surface, columns, lines, place }
    }
}

impl<S: Surface> Display for Letters<S> {
    fn grid(&self) -> (usize, usize) {
        (self.columns, self.lines)
    }

    fn clear(&mut self) {}

    fn draw(&mut self, column: usize, line: usize, cell: Cell) {
        // Bit 7 of the colours makes letters blink on many cards.
        let colors = cell.front().on_card() | (cell.back().on_card() & 7) << 4;
        self.surface.put((line * self.columns + column) * 2, &[code_page_437(cell.letter()), colors]);
    }

    fn cursor(&mut self, column: usize, line: usize) {
        (self.place)(line * self.columns + column);
    }
}

/// `letter` as the card knows it, or a question mark.
fn code_page_437(letter: char) -> u8 {
    match letter {
        ' '..='~' => letter as u8,
        'µ' => 0xE6,
        '°' => 0xF8,
        '·' => 0xFA,
        '─' => 0xC4,
        '│' => 0xB3,
        '┌' => 0xDA,
        '┐' => 0xBF,
        '└' => 0xC0,
        '┘' => 0xD9,
        '├' => 0xC3,
        '┤' => 0xB4,
        '░' => 0xB0,
        '▒' => 0xB1,
        '▓' => 0xB2,
        '█' => 0xDB,
        '▄' => 0xDC,
        '▀' => 0xDF,
        '■' => 0xFE,
        _ => b'?',
    }
}
