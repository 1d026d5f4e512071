//! One place of the grid.

use crate::Color;

/// A letter, its colours, and whether the cursor is on it; in four bytes, because there are thousands. A blank is zero, so
/// that a grid of blanks takes no room in the kernel's file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cell(u32);

/// A Unicode scalar value has 21 bits.
const LETTER: u32 = (1 << 21) - 1;
const FRONT_SHIFT: u32 = 21;
const BACK_SHIFT: u32 = 25;
const COLOR: u32 = 15;
const CURSOR: u32 = 1 << 29;

const PLAIN: u32 = ' ' as u32 | (Color::WHITE.number() as u32) << FRONT_SHIFT;

/// No terminal makes this: it stands for "not drawn yet".
const NEVER: u32 = u32::MAX;

impl Cell {
    /// A space in the usual colours.
    pub const BLANK: Self = Self::new(' ', Color::WHITE, Color::BLACK);

    /// Differs from every cell that can be shown.
    pub(crate) const UNKNOWN: Self = Self(NEVER);

    /// `letter` in the colour `front` on the colour `back`.
    pub const fn new(letter: char, front: Color, back: Color) -> Self {
        let bits = letter as u32 | (front.number() as u32) << FRONT_SHIFT | (back.number() as u32) << BACK_SHIFT;
        Self(bits ^ PLAIN)
    }

    /// The same, under the cursor.
    pub const fn under_cursor(self) -> Self {
        Self(self.0 | CURSOR)
    }

    /// The letter.
    pub fn letter(self) -> char {
        char::from_u32((self.0 ^ PLAIN) & LETTER).unwrap_or(' ')
    }

    /// The letter's colour.
    pub const fn front(self) -> Color {
        Color::numbered(((self.0 ^ PLAIN) >> FRONT_SHIFT & COLOR) as u8)
    }

    /// The colour behind it.
    pub const fn back(self) -> Color {
        Color::numbered(((self.0 ^ PLAIN) >> BACK_SHIFT & COLOR) as u8)
    }

    /// Whether the cursor is on it.
    pub const fn has_cursor(self) -> bool {
        self.0 & CURSOR != 0
    }
}
