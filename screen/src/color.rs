//! The sixteen colours of a terminal.

/// One of the sixteen colours, by its ANSI number: 0 to 7 as black, red, green, yellow, blue, magenta, cyan, white, and 8
/// to 15 the same in bright.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Color(u8);

/// Red, green and blue, 0 to 255 each.
pub type Rgb = [u8; 3];

/// What the sixteen look like on a display that can show any: dark enough to read bright on them, and the reverse.
const LOOKS: [Rgb; 16] = [
    [0x10, 0x12, 0x16],
    [0xC8, 0x3C, 0x3C],
    [0x4E, 0xA6, 0x4E],
    [0xC0, 0x92, 0x2E],
    [0x4C, 0x7C, 0xD0],
    [0xA8, 0x5C, 0xBC],
    [0x38, 0xA4, 0xA8],
    [0xC8, 0xCA, 0xCC],
    [0x5C, 0x60, 0x68],
    [0xF0, 0x6C, 0x6C],
    [0x80, 0xD4, 0x80],
    [0xF0, 0xCC, 0x64],
    [0x82, 0xAC, 0xF4],
    [0xD8, 0x90, 0xE8],
    [0x70, 0xD8, 0xD8],
    [0xF6, 0xF6, 0xF6],
];

impl Color {
    /// What is behind the text where nobody says otherwise.
    pub const BLACK: Self = Self(0);
    /// Text, where nobody says otherwise.
    pub const WHITE: Self = Self(7);

    /// The colour with this ANSI number, of which the low four bits count.
    pub const fn numbered(number: u8) -> Self {
        Self(number & 15)
    }

    /// Its ANSI number, 0 to 15.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The same in bright.
    pub const fn bright(self) -> Self {
        Self(self.0 | 8)
    }

    /// Its number on a card's text screen, where red and blue have changed places.
    pub const fn on_card(self) -> u8 {
        self.0 & 0b1010 | (self.0 & 1) << 2 | (self.0 & 4) >> 2
    }

    /// What it looks like.
    pub const fn rgb(self) -> Rgb {
        LOOKS[self.0 as usize]
    }

    /// The one that looks most like `rgb`.
    pub fn nearest(rgb: Rgb) -> Self {
        Self(nearest(&LOOKS, rgb) as u8)
    }
}

/// The index of the colour of `choice` that is nearest to `rgb`; 0 if there is none.
pub fn nearest(choice: &[Rgb], rgb: Rgb) -> usize {
    let distance = |other: &Rgb| -> u32 { other.iter().zip(rgb).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    choice.iter().enumerate().min_by_key(|(_, other)| distance(other)).map_or(0, |(index, _)| index)
}
