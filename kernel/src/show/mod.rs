//! What the prompt prints, a file a subject. Everything is made as it is printed: nothing here needs a heap.

mod cpu;
mod cpus;
mod frame;
mod maps;
mod mem;
mod paging;
mod threads;
mod walk;

pub use cpu::cpu;
pub use cpus::cpus;
pub use frame::{Change, frame};
pub use maps::maps;
pub use mem::mem;
pub use paging::paging;
pub use threads::threads;
pub use walk::walk;

use core::fmt;

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

/// A number of bytes in the largest unit of which there is one, rounded to the nearest: `512 GiB`.
pub(crate) struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let unit = self.0.max(1).ilog2() / 10;
        let rest = (self.0 >> (10 * unit).saturating_sub(1)) & u64::from(unit > 0);
        let count = (self.0 >> (10 * unit)) + rest;
        let width = f.width().unwrap_or(0).saturating_sub(4);
        write!(f, "{count:>width$} {}", UNITS[unit as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_rounded_to_the_nearest_unit() {
        let said = |bytes| Size(bytes).to_string();
        assert_eq!((said(0), said(1023), said(1024)), ("0 B".into(), "1023 B".into(), "1 KiB".into()));
        assert_eq!((said((3 << 30) - 4096), said(248 << 20)), ("3 GiB".into(), "248 MiB".into()));
        assert_eq!((said((1 << 56) - 8192), said(u64::MAX)), ("64 PiB".into(), "16 EiB".into()));
        assert_eq!(format!("{:>8}", Size(2 << 20)), "   2 MiB");
    }
}
