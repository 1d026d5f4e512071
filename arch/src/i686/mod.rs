//! Legacy protected mode.

pub mod descriptors;
mod double_fault;
pub mod frame;
pub mod mode;
