//! Legacy protected mode.

pub mod descriptors;
pub mod frame;
pub mod mode;
mod tasks;
