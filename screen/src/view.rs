//! What is drawn, and what has to be drawn.

use crate::terminal::CELLS;
use crate::{Cell, Terminal};

/// What shows cells.
pub trait Display {
    /// How many columns and lines it has room for.
    fn grid(&self) -> (usize, usize);

    /// Makes all of it the colour behind text, the edges that belong to no cell too.
    fn clear(&mut self);

    /// Draws a cell.
    fn draw(&mut self, column: usize, line: usize, cell: Cell);

    /// Puts the display's own cursor there, if it has one.
    fn cursor(&mut self, column: usize, line: usize);
}

/// A terminal, and the display that it is on once there is one.
pub struct Screen<D> {
    terminal: Terminal,
    display: Option<D>,
    /// What the display shows.
    shown: [Cell; CELLS],
    /// Where the cursor is drawn.
    cursor: (usize, usize),
}

impl<D: Display> Screen<D> {
    /// An empty terminal without a display.
    pub const fn new() -> Self {
        Self { terminal: Terminal::new(), display: None, shown: [Cell::BLANK; CELLS], cursor: (0, 0) }
    }

    /// Writes text, and shows what it has changed.
    pub fn write(&mut self, bytes: &[u8]) {
        self.terminal.write(bytes);
        self.show();
    }

    /// Begins a page: nothing else is shown any more, and what is written from here on stays where it is. What does not fit
    /// is left out at the end, because what comes first matters most.
    pub fn begin_page(&mut self) {
        self.terminal.begin_page();
    }

    /// Ends the page: text scrolls again. Tells whether some was left out.
    pub const fn end_page(&mut self) -> bool {
        self.terminal.end_page()
    }

    /// Shows the terminal on `display` from now on, with what was written before.
    pub fn attach(&mut self, mut display: D) {
        let (columns, lines) = display.grid();
        self.terminal.resize(columns, lines);
        display.clear();
        self.display = Some(display);
        self.redraw();
    }

    /// The display, to draw on beside the terminal. [`redraw`](Self::redraw) brings the text back.
    pub const fn display(&mut self) -> Option<&mut D> {
        self.display.as_mut()
    }

    /// Takes the display away: what was given to reach it is about to be gone.
    pub fn detach(&mut self) -> Option<D> {
        self.display.take()
    }

    /// What the terminal says.
    pub const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Draws everything anew.
    pub fn redraw(&mut self) {
        self.shown.fill(Cell::UNKNOWN);
        self.terminal.touch_all();
        self.show();
    }

    /// Draws the cells that differ from what was drawn before.
    fn show(&mut self) {
        let Some(display) = &mut self.display else { return };
        let (columns, lines) = self.terminal.size();
        let (column, line) = self.terminal.cursor();
        // The cursor leaves one line and comes to another.
        let touched = self.terminal.take_touched() | 1 << line | 1 << self.cursor.1;
        for n in (0..lines).filter(|n| touched >> n & 1 != 0) {
            let shown = &mut self.shown[n * columns..][..columns];
            for (at, (cell, shown)) in self.terminal.line(n).iter().zip(shown).enumerate() {
                let cell = if (at, n) == (column, line) { cell.under_cursor() } else { *cell };
                if *shown != cell {
                    *shown = cell;
                    display.draw(at, n, cell);
                }
            }
        }
        self.cursor = (column, line);
        display.cursor(column, line);
    }
}

impl<D: Display> Default for Screen<D> {
    fn default() -> Self {
        Self::new()
    }
}
