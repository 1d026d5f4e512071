//! The grid, and what text and control sequences do to it.

use vte::{Params, Perform};

use crate::{Cell, Color};

/// The widest terminal, in cells.
pub const MOST_COLUMNS: usize = 240;

/// The highest terminal, in lines. A set of lines is kept as the bits of a word, so at most 128.
pub const MOST_LINES: usize = 80;

/// As many cells as the largest terminal has.
pub(crate) const CELLS: usize = MOST_COLUMNS * MOST_LINES;

/// Columns from one tabulator stop to the next.
const TAB: usize = 8;

/// Room for the text of a sequence that says something about the terminal's window: nobody looks at it.
const WINDOW_TEXT: usize = 4;

/// A terminal as ECMA-48 and xterm have it, as far as the kernel's own text and an editor of lines go: cursor movement,
/// erasing, sixteen colours.
pub struct Terminal {
    grid: Grid,
    parser: Option<vte::Parser<WINDOW_TEXT>>,
}

struct Grid {
    cells: [Cell; CELLS],
    columns: usize,
    lines: usize,
    /// Where the next letter goes. The column may be one beyond the last: the line is broken when a letter comes, so
    /// that a full line is not followed by an empty one.
    column: usize,
    line: usize,
    pen: Pen,
    /// The lines that were changed, a bit each.
    touched: u128,
    /// What becomes of text that goes over the foot.
    foot: Foot,
    /// Whether a line that is too long is cut off, and not continued on the next (DEC's autowrap mode, reset).
    cuts: bool,
}

/// What becomes of text that goes over the foot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Foot {
    /// Everything moves up for it.
    Scrolls,
    /// It is left out; none was yet.
    Holds,
    /// The next letter is left out.
    Full,
    /// Some was left out.
    Lost,
}

/// How letters look from now on.
#[derive(Clone, Copy)]
struct Pen {
    front: Color,
    back: Color,
    bold: bool,
    reverse: bool,
}

impl Pen {
    const PLAIN: Self = Self { front: Color::WHITE, back: Color::BLACK, bold: false, reverse: false };

    const fn cell(self, letter: char) -> Cell {
        let front = if self.bold { self.front.bright() } else { self.front };
        if self.reverse { Cell::new(letter, self.back, front) } else { Cell::new(letter, front, self.back) }
    }
}

impl Terminal {
    /// 80 columns, and as many lines as can be: whatever is written before there is a display is kept for it.
    pub const fn new() -> Self {
        let grid = Grid {
            cells: [Cell::BLANK; CELLS],
            columns: 80,
            lines: MOST_LINES,
            column: 0,
            line: 0,
            pen: Pen::PLAIN,
            touched: 0,
            foot: Foot::Scrolls,
            cuts: false,
        };
        Self { grid, parser: None }
    }

    /// Takes text and control sequences. What is not UTF-8 is shown as U+FFFD; an unknown sequence does nothing.
    pub fn write(&mut self, bytes: &[u8]) {
        self.parser.get_or_insert_with(vte::Parser::new_with_size).advance(&mut self.grid, bytes);
    }

    /// Columns and lines.
    pub const fn size(&self) -> (usize, usize) {
        (self.grid.columns, self.grid.lines)
    }

    /// The column and the line of the cursor, on the grid.
    pub fn cursor(&self) -> (usize, usize) {
        (self.grid.column.min(self.grid.columns - 1), self.grid.line)
    }

    /// The cells of a line.
    pub fn line(&self, line: usize) -> &[Cell] {
        &self.grid.cells[line * self.grid.columns..][..self.grid.columns]
    }

    /// Gives it another size. The lines up to the cursor's stay as far as there is room, cut off on the right where there
    /// is none.
    pub fn resize(&mut self, columns: usize, lines: usize) {
        let (columns, lines) = (columns.clamp(1, MOST_COLUMNS), lines.clamp(1, MOST_LINES));
        let grid = &mut self.grid;
        let gone = (grid.line + 1).saturating_sub(lines);
        grid.scroll(gone);
        grid.line -= gone;
        grid.reflow(columns);
        grid.lines = lines;
        grid.cells[lines * columns..].fill(Cell::BLANK);
        grid.column = grid.column.min(columns);
        grid.touched = u128::MAX;
    }

    /// Begins a page: nothing is there any more, and from here on nothing moves up. Text that does not fit is left out.
    pub(crate) fn begin_page(&mut self) {
        self.grid.foot = Foot::Scrolls;
        self.write(b"\x1b[m\x1b[?7h\x1b[2J\x1b[H");
        self.grid.foot = Foot::Holds;
    }

    /// Ends it: text scrolls again. Tells whether some was left out.
    pub(crate) const fn end_page(&mut self) -> bool {
        matches!(core::mem::replace(&mut self.grid.foot, Foot::Scrolls), Foot::Lost)
    }

    /// Counts every line as changed.
    pub(crate) const fn touch_all(&mut self) {
        self.grid.touched = u128::MAX;
    }

    /// The lines that were changed since this was asked last, a bit each.
    pub(crate) const fn take_touched(&mut self) -> u128 {
        core::mem::replace(&mut self.grid.touched, 0)
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Grid {
    /// Moves everything up by `count` lines.
    fn scroll(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let end = self.lines * self.columns;
        let count = (count * self.columns).min(end);
        self.cells.copy_within(count..end, 0);
        self.cells[end - count..end].fill(Cell::BLANK);
        self.touched = u128::MAX;
    }

    /// Moves the lines apart or together, so that each has `columns` cells. The cursor is at most at the last of as many
    /// lines as fit then.
    fn reflow(&mut self, columns: usize) {
        let (old, kept) = (self.columns, self.columns.min(columns));
        let move_line = |cells: &mut [Cell; CELLS], line: usize| {
            if (line + 1) * columns <= CELLS {
                cells.copy_within(line * old..line * old + kept, line * columns);
                cells[line * columns + kept..(line + 1) * columns].fill(Cell::BLANK);
            }
        };
        if columns > old {
            (0..=self.line).rev().for_each(|line| move_line(&mut self.cells, line));
        } else {
            (0..=self.line).for_each(|line| move_line(&mut self.cells, line));
        }
        let end = ((self.line + 1) * columns).min(CELLS);
        self.cells[end..].fill(Cell::BLANK);
        self.columns = columns;
    }

    fn next_line(&mut self) {
        if self.line + 1 < self.lines {
            self.column = 0;
            self.line += 1;
        } else if self.foot == Foot::Scrolls {
            self.column = 0;
            self.scroll(1);
        } else if self.foot == Foot::Holds {
            self.foot = Foot::Full;
        }
    }

    /// Blanks cells of the cursor's line.
    fn erase(&mut self, columns: core::ops::Range<usize>) {
        let start = self.line * self.columns;
        let (from, to) = (columns.start.min(self.columns), columns.end.min(self.columns));
        self.cells[start + from..start + to].fill(self.pen.cell(' '));
        self.touched |= 1 << self.line;
    }

    fn erase_lines(&mut self, lines: core::ops::Range<usize>) {
        self.cells[lines.start * self.columns..lines.end * self.columns].fill(self.pen.cell(' '));
        self.touched = u128::MAX;
    }

    /// Select Graphic Rendition: colours and the like.
    fn select(&mut self, params: &Params) {
        let mut params = params.iter().map(|param| param.first().copied().unwrap_or(0));
        while let Some(param) = params.next() {
            match param {
                0 => self.pen = Pen::PLAIN,
                1 => self.pen.bold = true,
                7 => self.pen.reverse = true,
                22 => self.pen.bold = false,
                27 => self.pen.reverse = false,
                30..=37 => self.pen.front = Color::numbered((param - 30) as u8),
                90..=97 => self.pen.front = Color::numbered((param - 90) as u8).bright(),
                39 => self.pen.front = Color::WHITE,
                40..=47 => self.pen.back = Color::numbered((param - 40) as u8),
                100..=107 => self.pen.back = Color::numbered((param - 100) as u8).bright(),
                49 => self.pen.back = Color::BLACK,
                38 | 48 => {
                    let Some(color) = extended(&mut params) else { return };
                    *(if param == 38 { &mut self.pen.front } else { &mut self.pen.back }) = color;
                }
                _ => {}
            }
        }
    }
}

/// A colour of the 256, or any colour: the nearest of the sixteen.
fn extended(params: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let mut byte = || params.next().map(|value| value.min(255) as u8);
    match byte()? {
        2 => Some(Color::nearest([byte()?, byte()?, byte()?])),
        5 => Some(match byte()? {
            number @ 0..16 => Color::numbered(number),
            gray @ 232.. => Color::nearest([8 + (gray - 232) * 10; 3]),
            cube => {
                let step = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
                let cube = cube - 16;
                Color::nearest([step(cube / 36), step(cube / 6 % 6), step(cube % 6)])
            }
        }),
        _ => None,
    }
}

impl Perform for Grid {
    fn print(&mut self, letter: char) {
        if self.column >= self.columns {
            if self.cuts {
                return;
            }
            self.next_line();
        }
        if matches!(self.foot, Foot::Full | Foot::Lost) {
            self.foot = Foot::Lost;
            return;
        }
        self.cells[self.line * self.columns + self.column] = self.pen.cell(letter);
        self.touched |= 1 << self.line;
        self.column += 1;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            // The kernel ends a line with LF alone, as Unix does; what a terminal's driver would add is added here.
            b'\n' => self.next_line(),
            b'\r' => self.column = 0,
            b'\t' => self.column = ((self.column / TAB + 1) * TAB).min(self.columns - 1),
            0x08 => self.column = self.column.min(self.columns).saturating_sub(1),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let first = params.iter().next().and_then(|param| param.first().copied());
        match (intermediates, first, action) {
            _ if ignore => return,
            (b"?", Some(7), 'h' | 'l') => return self.cuts = action == 'l',
            ([], ..) => {}
            _ => return,
        }
        let param = |n: usize| params.iter().nth(n).and_then(|param| param.first().copied()).map_or(0, usize::from);
        let count = param(0).max(1);
        let (right, bottom) = (self.columns - 1, self.lines - 1);
        match action {
            'A' => self.line = self.line.saturating_sub(count),
            'B' => self.line = (self.line + count).min(bottom),
            'C' => self.column = (self.column + count).min(right),
            'D' => self.column = self.column.min(right).saturating_sub(count),
            'G' => self.column = (count - 1).min(right),
            'H' | 'f' => {
                self.line = (count - 1).min(bottom);
                self.column = (param(1).max(1) - 1).min(right);
            }
            'J' => match param(0) {
                0 => {
                    self.erase(self.column..self.columns);
                    self.erase_lines(self.line + 1..self.lines);
                }
                1 => {
                    self.erase(0..self.column + 1);
                    self.erase_lines(0..self.line);
                }
                2 | 3 => self.erase_lines(0..self.lines),
                _ => {}
            },
            'K' => match param(0) {
                0 => self.erase(self.column..self.columns),
                1 => self.erase(0..self.column + 1),
                2 => self.erase(0..self.columns),
                _ => {}
            },
            'm' => self.select(params),
            _ => {}
        }
    }
}
