//! Long mode.

pub mod descriptors;
pub mod frame;
pub mod mode;
pub mod pcid;
