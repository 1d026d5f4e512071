//! Long output, a screenful at a time.

use core::fmt;

use crate::{Platform, threads, typed};

/// Rows of the screen, and letters in one.
const ROWS: usize = 25;
const COLUMNS: usize = 80;

/// What is said when the screen is full, and what wipes it out again.
const MORE: &[u8] = b"-- more --";
const WIPE: &[u8] = b"\r          \r";

/// Counts rows, and asks before the first of them leaves the screen.
pub struct Pager {
    /// How many rows may still be written. One row is left for the question.
    left: usize,
    /// Letters in the row so far.
    column: usize,
    /// Whether nobody wants to read on.
    over: bool,
}

/// What somebody wants who was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    Page,
    Row,
    Nothing,
}

impl Pager {
    /// A pager with an empty screen before it.
    pub const fn new() -> Self {
        Self { left: ROWS - 1, column: 0, over: false }
    }

    /// Writes `text`, and waits for a key wherever the screen is full.
    ///
    /// # Errors
    /// If nobody wants to read on.
    pub fn write(&mut self, platform: &dyn Platform, text: &str) -> fmt::Result {
        let mut rest = text;
        while !self.over && !rest.is_empty() {
            if self.left == 0 {
                self.obey(ask(platform));
                continue;
            }
            let (row, behind) = rest.split_at(self.row(rest));
            platform.write(row.as_bytes());
            rest = behind;
        }
        if self.over { Err(fmt::Error) } else { Ok(()) }
    }

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Page => self.left = ROWS - 1,
            Wish::Row => self.left = 1,
            Wish::Nothing => self.over = true,
        }
    }

    /// How many bytes of `text` belong to the present row; counts the row if they end it.
    fn row(&mut self, text: &str) -> usize {
        for (at, letter) in text.char_indices() {
            if letter == '\n' || self.column == COLUMNS {
                self.column = 0;
                self.left -= 1;
                return at + usize::from(letter == '\n');
            }
            self.column += 1;
        }
        text.len()
    }
}

/// Says that there is more, and waits until somebody says how much of it.
fn ask(platform: &dyn Platform) -> Wish {
    platform.write(MORE);
    let wish = loop {
        match typed::read(platform).and_then(|(key, _)| wish(key)) {
            Some(wish) => break wish,
            None => threads::wait_for_input(platform),
        }
    };
    platform.write(WIPE);
    wish
}

/// Space: a page; Enter: a row; q or Ctrl-C: enough.
const fn wish(key: u8) -> Option<Wish> {
    match key {
        b' ' => Some(Wish::Page),
        b'\r' | b'\n' => Some(Wish::Row),
        b'q' | b'Q' | 0x03 => Some(Wish::Nothing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Pager, ROWS, Wish};

    /// Writes `text` and answers each question with `wish`; returns what was written before each question.
    fn pages(text: &str, wish: Wish) -> Vec<String> {
        let mut pager = Pager::new();
        let mut pages = vec![String::new()];
        let mut rest = text;
        while !rest.is_empty() {
            if pager.left == 0 {
                pages.push(String::new());
                pager.obey(wish);
            }
            if pager.over {
                break;
            }
            let (row, behind) = rest.split_at(pager.row(rest));
            pages.last_mut().unwrap().push_str(row);
            rest = behind;
        }
        pages
    }

    fn lines(count: usize) -> String {
        (0..count).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_page_is_a_screen_less_the_row_of_the_question() {
        assert_eq!(pages(&lines(ROWS - 1), Wish::Page).len(), 1);
        let two = pages(&lines(2 * (ROWS - 1)), Wish::Page);
        assert_eq!(two.iter().map(|page| page.lines().count()).collect::<Vec<_>>(), [ROWS - 1, ROWS - 1]);
        assert_eq!(two.concat(), lines(2 * (ROWS - 1)), "nothing is lost");
    }

    #[test]
    fn enter_gives_a_row_and_q_nothing() {
        assert_eq!(pages(&lines(ROWS + 2), Wish::Row).len(), 1 + 3);
        let pages = pages(&lines(100), Wish::Nothing);
        assert_eq!(pages.concat(), lines(ROWS - 1));
    }

    #[test]
    fn a_line_that_is_too_wide_takes_several_rows() {
        let wide = "x".repeat(COLUMNS * 2 + 1) + "\n";
        let text = wide.repeat(ROWS - 1);
        let pages = pages(&text, Wish::Page);
        assert_eq!((pages.len(), pages.concat() == text), (3, true));
        assert_eq!(pages[0], wide.repeat((ROWS - 1) / 3));
    }
}
