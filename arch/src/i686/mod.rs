//! Legacy protected mode.

use core::arch::global_asm;

pub mod descriptors;
pub mod frame;
pub mod mode;
pub mod pcid;
mod tasks;

global_asm!(include_str!("memset.s"), options(att_syntax));
