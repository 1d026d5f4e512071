//! What the prompt prints, a file a subject. Everything is made as it is printed: nothing here needs a heap.

mod cpu;
mod maps;
mod mem;
mod paging;
mod walk;

pub use cpu::cpu;
pub use maps::maps;
pub use mem::mem;
pub use paging::paging;
pub use walk::walk;

use mm::PagingInfo;

/// The size of a page at `level`, as one says it: `4K`, `2M`, `4M`, `1G`.
fn page_size(info: &PagingInfo, level: mm::Level) -> &'static str {
    match info.shift(level) {
        12 => "4K",
        21 => "2M",
        22 => "4M",
        30 => "1G",
        _ => "?",
    }
}
