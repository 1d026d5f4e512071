//! What CPUs are asked to forget.

use crate::VirtAddr;

/// Pages whose translations are to be forgotten, one by one or all there are.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    pages: [VirtAddr; Self::MOST_PAGES],
    /// How many of them count. More than there are places for: everything.
    count: usize,
    global: bool,
    may_wait: bool,
}

impl Flush {
    /// With more pages than so many, one full flush is cheaper than a flush a page: INVLPG costs about 100 ns.
    pub const MOST_PAGES: usize = 33;

    /// No page yet.
    pub const fn none() -> Self {
        Self { pages: [VirtAddr(0); Self::MOST_PAGES], count: 0, global: false, may_wait: false }
    }

    /// One 4 KiB page, global or not, and all paging-structure caches.
    pub const fn page(va: VirtAddr) -> Self {
        let mut flush = Self::none();
        flush.add(va);
        flush
    }

    /// Everything; translations that are global only if `global`.
    pub const fn all(global: bool) -> Self {
        let mut flush = Self::none();
        flush.add_all(global);
        flush
    }

    /// Adds everything; translations that are global only if `global`.
    pub(crate) const fn add_all(&mut self, global: bool) {
        (self.count, self.global) = (Self::MOST_PAGES + 1, global);
    }

    /// Adds a page; everything, if there is no room.
    pub const fn add(&mut self, va: VirtAddr) {
        if self.count < Self::MOST_PAGES {
            self.pages[self.count] = va;
            self.count += 1;
        } else {
            self.add_all(true);
        }
    }

    /// The same, and a CPU that does not touch the pages while it idles may forget them when it goes on.
    pub const fn when_awake(mut self) -> Self {
        self.let_wait();
        self
    }

    /// The same, in place: there are some hundred bytes to be copied otherwise.
    pub(crate) const fn let_wait(&mut self) {
        self.may_wait = true;
    }

    /// The pages to be forgotten one by one, global or not; `None` if everything is.
    pub fn pages(&self) -> Option<&[VirtAddr]> {
        self.pages.get(..self.count)
    }

    /// Where everything is to be forgotten: global translations too.
    pub const fn has_global(&self) -> bool {
        self.global
    }

    /// Whether a CPU that idles may forget later. Never where a table was taken out of the tree: a CPU reads tables ahead of
    /// its time, whatever it runs.
    pub const fn may_wait(&self) -> bool {
        self.may_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_until_there_is_no_room_and_then_everything() {
        let mut flush = Flush::none();
        assert_eq!(flush.pages(), Some(&[][..]));
        for page in 0..Flush::MOST_PAGES as u64 {
            flush.add(VirtAddr(page << 12));
            assert_eq!(flush.pages().map(<[_]>::len), Some(page as usize + 1));
        }
        flush.add(VirtAddr(0x1000));
        assert_eq!((flush.pages(), flush.has_global()), (None, true), "it may have been a global one");
        flush.add(VirtAddr(0x2000));
        assert_eq!(flush.pages(), None);
    }

    #[test]
    fn everything_is_no_page() {
        for global in [false, true] {
            assert_eq!((Flush::all(global).pages(), Flush::all(global).has_global()), (None, global));
        }
        assert_eq!(Flush::page(VirtAddr(0x1000)).pages(), Some(&[VirtAddr(0x1000)][..]));
        assert!(!Flush::page(VirtAddr(0)).may_wait() && Flush::page(VirtAddr(0)).when_awake().may_wait());
    }
}
