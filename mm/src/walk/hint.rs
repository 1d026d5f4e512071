//! Where the last walks came to, so that the next one need not begin at the root.
//!
//! What a CPU's paging-structure caches are to its walks (SDM vol. 3A, 4.10.3), these are to the calls about a single page
//! of the user half: the table of level 1 that the last one came to, a few tables of level 2, and one of level 3. A hint never says what an
//! entry says. It only says where a table lies, and the entry is looked at as ever.
//!
//! # Why a hint can be trusted
//!
//! It must name a table only for as long as the tree leads there. Of all changes of a tree, mapping, protecting and splitting take
//! no table out of it. What does comes through one of three gates, each of which has every hint forgotten:
//! [`Trees::push`](crate::trees::Trees::push), where an unlinked table goes to wait for the flush; `free`, which ends a tree; and
//! `KernelMap::put`, which writes any word anywhere. A window that moves takes the hints along too, because they are pointers
//! into it.
//!
//! Where each CPU has its own [`Memory`](crate::Memory), there are other hints to the same tree. The gates begin a new *epoch* in
//! what the memories have in common, and whoever has got the right to change a tree, which is when a [`PageMap`](crate::PageMap) is
//! called, compares it with that of its hints and forgets those from before. Who took a table out of the tree had that
//! right earlier, so the new epoch is seen. Later nobody takes one out before the call is over. The routines themselves do not
//! look: who calls them by way of the table, and with several memories, brings hints up to date by calling a `PageMap`.

use core::cell::Cell;

use super::Table;
use crate::{Format, Frame, PAGE_SHIFT};

/// How many tables of level 2 are remembered: as many as cover 8 GiB, each at the place that its address picks.
const DIRECTORIES: usize = 8;

/// The tables of one tree that the last walks came to.
pub(crate) struct Hints {
    /// When they were noted.
    epoch: Cell<usize>,
    root: Cell<Frame>,
    leaf: Cell<Hint>,
    /// As `entries` of the leaf table, but 0 too if the entry that names it says that it is full: before one of its pages is
    /// unmapped, that entry has to be changed.
    clearable: Cell<u64>,
    directories: [Cell<Hint>; DIRECTORIES],
    /// Of level 3: for pages of 1 GiB.
    top: Cell<Hint>,
}

/// A table of a known level.
#[derive(Clone, Copy)]
struct Hint {
    /// The first address that it maps.
    base: u64,
    table: *mut u8,
    /// How many entries it has: 0 if there is no hint.
    entries: u64,
}

// SAFETY: nothing in it is bound to a thread: it says where memory lies, and whoever goes there does so by way of the
// `Memory` that it is part of.
unsafe impl Send for Hint {}

impl Hint {
    const NONE: Self = Self { base: 0, table: core::ptr::null_mut(), entries: 0 };

    /// The number of the page of `1 << shift` bytes that begins at `va`, counted from the first of `pages` such behind `base`.
    /// `None` if it is none of them, or if no page begins there.
    #[inline(always)]
    fn page(&self, va: u64, shift: u32, pages: u64) -> Option<usize> {
        // Bits below the page number become the highest ones, so that one comparison looks at all.
        let page = va.wrapping_sub(self.base).rotate_right(shift);
        (page < pages).then_some(page as usize)
    }
}

impl Hints {
    /// None at all.
    pub const fn new() -> Self {
        Self {
            epoch: Cell::new(0),
            root: Cell::new(Frame(0)),
            leaf: Cell::new(Hint::NONE),
            clearable: Cell::new(0),
            directories: [const { Cell::new(Hint::NONE) }; DIRECTORIES],
            top: Cell::new(Hint::NONE),
        }
    }

    /// Forgets all of them.
    pub fn forget(&self) {
        self.leaf.set(Hint::NONE);
        self.clearable.set(0);
        self.directories.iter().for_each(|hint| hint.set(Hint::NONE));
        self.top.set(Hint::NONE);
    }

    /// Forgets all of them that were noted before `epoch`.
    #[inline(always)]
    pub fn catch_up(&self, epoch: usize) {
        if self.epoch.get() != epoch {
            self.forget();
            self.epoch.set(epoch);
        }
    }

    /// The table of level 1 that the last walk came to, and the index of the entry for the page that begins at `va`, if it
    /// is one of that table's. `clear` says that the page is to be unmapped.
    #[inline(always)]
    pub(super) fn leaf<F: Format>(&self, root: Frame, va: u64, clear: bool) -> Option<(Table<F>, usize)> {
        let leaf = self.leaf.get();
        let index = leaf.page(va, PAGE_SHIFT, if clear { self.clearable.get() } else { leaf.entries })?;
        (root.0 == self.root.get().0).then(|| (Table { entries: leaf.table.cast(), level: 1 }, index))
    }

    /// The table of level 2 on the way to the page that begins at `va`, if it is known, and the number of the page, counted
    /// from the first that the table maps.
    #[inline(always)]
    pub(super) fn directory<F: Format>(&self, root: Frame, va: u64) -> Option<(Table<F>, usize)> {
        let hint = self.directories[place::<F>(va)].get();
        let page = hint.page(va, PAGE_SHIFT, hint.entries * F::INFO.pages(2))?;
        (root.0 == self.root.get().0).then(|| (Table { entries: hint.table.cast(), level: 2 }, page))
    }

    /// The same table, and the index of the entry for the large page that begins at `va`.
    #[inline(always)]
    pub(super) fn large<F: Format>(&self, root: Frame, va: u64) -> Option<(Table<F>, usize)> {
        let hint = self.directories[place::<F>(va)].get();
        let index = hint.page(va, F::INFO.shift(2), hint.entries)?;
        (root.0 == self.root.get().0).then(|| (Table { entries: hint.table.cast(), level: 2 }, index))
    }

    /// The table of level 3 that the last walk for a page of 1 GiB came to, and the index of the entry for the one that
    /// begins at `va`.
    #[inline(always)]
    pub(super) fn top<F: Format>(&self, root: Frame, va: u64) -> Option<(Table<F>, usize)> {
        let hint = self.top.get();
        let index = hint.page(va, F::INFO.shift(3), hint.entries)?;
        (root.0 == self.root.get().0).then(|| (Table { entries: hint.table.cast(), level: 3 }, index))
    }

    /// Notes that `table` is the one of level 1 on the way to `va` in the user half. `full` is what the entry that names it
    /// says.
    #[inline(always)]
    pub(super) fn note_leaf<F: Format>(&self, root: Frame, va: u64, table: Table<F>, full: bool) {
        if F::INFO.levels == 2 {
            self.begin(root);
        }
        let leaf = hint(va, table);
        self.leaf.set(leaf);
        self.clearable.set(if full { 0 } else { leaf.entries });
    }

    /// Notes that `table` is the one of level 2 on the way to `va` in the user half.
    pub(super) fn note_directory<F: Format>(&self, root: Frame, va: u64, table: Table<F>) {
        self.begin(root);
        self.directories[place::<F>(va)].set(hint(va, table));
    }

    /// Notes that `table` is the one of level 3 on the way to `va` in the user half.
    pub(super) fn note_top<F: Format>(&self, root: Frame, va: u64, table: Table<F>) {
        self.begin(root);
        self.top.set(hint(va, table));
    }

    /// All hints are about one tree.
    #[inline]
    fn begin(&self, root: Frame) {
        if self.root.get() != root {
            self.forget();
            self.root.set(root);
        }
    }
}

#[inline(always)]
fn hint<F: Format>(va: u64, table: Table<F>) -> Hint {
    let bytes = F::INFO.pages(table.level + 1) << PAGE_SHIFT;
    Hint { base: va & !(bytes - 1), table: table.entries.cast(), entries: F::INFO.entries(table.level) as u64 }
}

#[inline(always)]
fn place<F: Format>(va: u64) -> usize {
    (va >> F::INFO.shift(3)) as usize % DIRECTORIES
}
