//! What a person would see, compared with what was written.

mod geometry;
mod glass;
mod pixels;
mod terminal;

use crate::{Cell, Display, Screen};

/// A display that remembers what it was told, and how much of it.
struct Glass {
    columns: usize,
    cells: Vec<Cell>,
    drawn: usize,
    cursor: (usize, usize),
}

impl Glass {
    fn new(columns: usize, lines: usize) -> Self {
        Self { columns, cells: vec![Cell::BLANK; columns * lines], drawn: 0, cursor: (0, 0) }
    }
}

impl Display for Glass {
    fn grid(&self) -> (usize, usize) {
        (self.columns, self.cells.len() / self.columns)
    }

    fn clear(&mut self) {
        self.cells.fill(Cell::BLANK);
    }

    fn draw(&mut self, column: usize, line: usize, cell: Cell) {
        assert!(column < self.columns, "drawn beside the display");
        self.cells[line * self.columns + column] = cell;
        self.drawn += 1;
    }

    fn cursor(&mut self, column: usize, line: usize) {
        self.cursor = (column, line);
    }
}

/// A screen that shows `columns` by `lines` cells.
fn screen(columns: usize, lines: usize) -> Box<Screen<Glass>> {
    let mut screen = Box::new(Screen::new());
    screen.attach(Glass::new(columns, lines));
    screen
}

/// What can be read on the display: its lines, without the blanks at their ends and without the empty lines at the foot.
fn read(screen: &mut Screen<Glass>) -> Vec<String> {
    let glass = screen.display().expect("a display");
    let columns = glass.columns;
    let line = |cells: &[Cell]| cells.iter().map(|cell| cell.letter()).collect::<String>().trim_end().to_string();
    let mut lines: Vec<String> = glass.cells.chunks(columns).map(line).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
