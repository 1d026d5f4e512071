//! The screen: what a terminal shows, and how it gets onto glass.
//!
//! Text goes into a [`Terminal`], a grid of [`Cell`]s that understands the control sequences of ECMA-48 that people use.
//! From there it is drawn: [`Screen::show`] compares what the grid says with what was drawn before and hands the cells
//! that differ to a [`Display`]. Nothing is ever read back from the display, because reading a framebuffer is many times
//! slower than writing it.
//!
//! ```text
//! bytes -> Terminal (grid) -> Screen (what differs) -> Display: Pixels (font, any pixel format) -> Surface
//!                                                              Letters (text memory)           -> Surface
//! ```
//!
//! A [`Surface`] is memory that takes bytes: the only thing that the bare machine has to provide, and the only one that
//! needs unsafe code. Without a display the terminal still keeps its text, so that what was written before there was one
//! is shown when it comes.
//!
//! What must never come in: unsafe code, the heap (a panic has to be shown too), and knowledge of where a framebuffer was
//! found.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod cell;
mod color;
mod font;
mod geometry;
mod letters;
mod pixels;
mod surface;
mod terminal;
mod view;

pub use cell::Cell;
pub use color::{Color, Rgb};
pub use geometry::{Channel, Geometry, Palette, PixelFormat, Unusable};
pub use letters::Letters;
pub use pixels::Pixels;
pub use surface::Surface;
pub use terminal::{MOST_COLUMNS, MOST_LINES, Terminal};
pub use view::{Display, Screen};

#[cfg(test)]
mod tests;
