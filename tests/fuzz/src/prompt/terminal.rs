//! A terminal of which only the row with the cursor is kept.

/// What stands before the place to type at.
const PROMPT: &str = "strata> ";

/// The row with the cursor, and how far into a sequence the kernel has come.
#[derive(Default)]
pub struct Terminal {
    row: Vec<char>,
    column: usize,
    sequence: Option<String>,
    /// All that was written since the last Enter.
    pub said: String,
}

impl Terminal {
    /// Shows what the kernel writes.
    pub fn show(&mut self, bytes: &[u8]) {
        let text = str::from_utf8(bytes).expect("the kernel writes UTF-8");
        self.said.push_str(text);
        for letter in text.chars() {
            match (&mut self.sequence, letter) {
                (None, '\x1B') => self.sequence = Some(String::new()),
                (Some(sequence), letter) => {
                    sequence.push(letter);
                    // A control sequence ends with a letter (ECMA-48, 5.4).
                    if sequence.len() > 1 && ('@'..='~').contains(&letter) {
                        self.sequence = None;
                        self.obey(letter);
                    }
                }
                (None, '\x07') => {}
                (None, '\x08') => {
                    let is_typed = !self.is_prompt() || self.column > PROMPT.len();
                    assert!(is_typed && self.column > 0, "the cursor goes left of where one types");
                    self.column -= 1;
                }
                // Nobody types after a CR: it begins what wipes the pager's question away, which stands in a row of its
                // own on a terminal of 80 columns.
                (None, '\r' | '\n') => {
                    self.row.clear();
                    self.column = 0;
                }
                (None, letter) => {
                    assert!(!letter.is_control(), "{letter:?} is no letter");
                    self.row.resize(self.row.len().max(self.column + 1), ' ');
                    self.row[self.column] = letter;
                    self.column += 1;
                }
            }
        }
    }

    /// Does what a sequence says that ends with `letter`, as far as it concerns the row.
    fn obey(&mut self, letter: char) {
        match letter {
            'H' => self.column = 0,
            'J' | 'K' => self.row.truncate(self.column),
            _ => {}
        }
    }

    /// Whether the row is one to type at.
    pub fn is_prompt(&self) -> bool {
        self.row.len() >= PROMPT.len()
            && self.row.iter().copied().zip(PROMPT.chars()).all(|(seen, letter)| seen == letter)
    }

    /// What was typed, as it is to be seen.
    pub fn line(&self) -> Option<String> {
        self.is_prompt().then(|| self.row[PROMPT.len()..].iter().collect())
    }
}
