//! Four levels written by hand: no format, no error, no check but for a missing table. What a call a page costs at least.

use super::PageTables;
use crate::arena;

const FLAGS: u64 = 0x8000_0000_0000_0007;
const READ_ONLY: u64 = 0x8000_0000_0000_0005;
const TABLE: u64 = 7;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The tree.
pub struct Tree {
    root: u64,
}

type Table = *mut u64;

fn table(pa: u64) -> Table {
    arena::at(pa).cast()
}

fn index(va: u64, level: u32) -> usize {
    (va >> (3 + 9 * level)) as usize & 511
}

/// # Safety
/// `table` is one, and `index` below 512.
unsafe fn get(table: Table, index: usize) -> u64 {
    // SAFETY: by this function's contract.
    unsafe { table.add(index).read() }
}

/// # Safety
/// As for `get`.
unsafe fn set(table: Table, index: usize, entry: u64) {
    // SAFETY: by this function's contract.
    unsafe { table.add(index).write(entry) };
}

fn new_table() -> u64 {
    let Some(pa) = arena::alloc() else { panic!("the arena is large enough") };
    // SAFETY: the frame is ours.
    unsafe { arena::at(pa).write_bytes(0, arena::FRAME) };
    pa
}

impl Tree {
    /// The entry at `level` for `va` if all tables are there.
    #[inline(always)]
    fn entry(&self, va: u64, level: u32) -> Option<Table> {
        let mut at = table(self.root);
        for above in (level + 1..=4).rev() {
            // SAFETY: a table of this tree.
            let entry = unsafe { get(at, index(va, above)) };
            if entry & 1 == 0 {
                return None;
            }
            at = table(entry & ADDRESS);
        }
        Some(at.wrapping_add(index(va, level)))
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, va: u64, level: u32, entry: u64) {
        let mut at = table(self.root);
        for above in (level + 1..=4).rev() {
            // SAFETY: a table of this tree.
            unsafe {
                if get(at, index(va, above)) == 0 {
                    set(at, index(va, above), new_table() | TABLE);
                }
                at = table(get(at, index(va, above)) & ADDRESS);
            }
        }
        // SAFETY: as above.
        unsafe { set(at, index(va, level), entry) };
    }

    #[inline(always)]
    fn put(&mut self, va: u64, level: u32, entry: u64) {
        match self.entry(va, level) {
            // SAFETY: a slot of a table of this tree.
            Some(slot) => unsafe { slot.write(entry) },
            None => self.grow(va, level, entry),
        }
    }

    /// Calls `each` with every leaf table of the range, the first page in it and how many.
    fn leaves(&mut self, va: u64, pages: usize, mut each: impl FnMut(Table, usize, usize, u64)) {
        let mut done = 0;
        while done < pages {
            let at = va + ((done as u64) << 12);
            let first = index(at, 1);
            let count = (512 - first).min(pages - done);
            let Some(slot) = self.entry(at, 1) else { panic!("tables are there") };
            each(slot.wrapping_sub(first), first, count, done as u64);
            done += count;
        }
    }
}

impl PageTables for Tree {
    fn new() -> Self {
        Self { root: new_table() }
    }

    #[inline(never)]
    fn map(&mut self, va: u64, pa: u64) {
        self.put(va, 1, pa | FLAGS);
    }

    #[inline(never)]
    fn map_large(&mut self, va: u64, pa: u64, shift: u32) {
        if shift == 21 { self.put(va, 2, pa | FLAGS | LARGE) } else { self.put(va, 3, pa | FLAGS | LARGE) }
    }

    #[inline(never)]
    fn translate(&self, va: u64) -> u64 {
        let mut at = table(self.root);
        for level in (1..=4).rev() {
            // SAFETY: a table of this tree.
            let entry = unsafe { get(at, index(va, level)) };
            if entry & 1 == 0 {
                return 0;
            }
            if level == 1 || entry & LARGE != 0 {
                let offset = (1 << (3 + 9 * level)) - 1;
                return entry & ADDRESS & !offset | va & offset;
            }
            at = table(entry & ADDRESS);
        }
        0
    }

    #[inline(never)]
    fn unmap(&mut self, va: u64) {
        if let Some(slot) = self.entry(va, 1) {
            // SAFETY: a slot of a table of this tree.
            unsafe { slot.write(0) };
        }
    }

    #[inline(never)]
    fn protect(&mut self, va: u64) {
        if let Some(slot) = self.entry(va, 1) {
            // SAFETY: a slot of a table of this tree.
            unsafe { slot.write(slot.read() & ADDRESS | READ_ONLY) };
        }
    }

    #[inline(never)]
    fn map_range(&mut self, va: u64, pa: u64, pages: usize) {
        let mut done = 0;
        while done < pages {
            let at = va + ((done as u64) << 12);
            self.grow(at, 1, 0);
            done += 512 - index(at, 1);
        }
        self.leaves(va, pages, |table, first, count, done| {
            for n in 0..count {
                // SAFETY: entries of a table of this tree.
                unsafe { set(table, first + n, (pa + ((done + n as u64) << 12)) | FLAGS) };
            }
        });
    }

    #[inline(never)]
    fn map_list(&mut self, va: u64, frames: &[u64]) -> bool {
        self.map_range(va, 0, frames.len());
        self.leaves(va, frames.len(), |table, first, count, done| {
            for (n, pa) in frames[done as usize..][..count].iter().enumerate() {
                // SAFETY: entries of a table of this tree.
                unsafe { set(table, first + n, pa | FLAGS) };
            }
        });
        true
    }

    #[inline(never)]
    fn unmap_range(&mut self, va: u64, pages: usize) {
        // Whole tables of level 2, and their leaf tables unread.
        for gib in 0..(pages as u64) >> 18 {
            let at = va + (gib << 30);
            let Some(slot) = self.entry(at, 3) else { continue };
            // SAFETY: a slot and then a table of this tree.
            unsafe {
                let below = slot.read() & ADDRESS;
                slot.write(0);
                for n in 0..512 {
                    arena::free(get(table(below), n) & ADDRESS);
                }
                arena::free(below);
            }
        }
    }

    #[inline(never)]
    fn protect_range(&mut self, va: u64, pages: usize) {
        self.leaves(va, pages, |table, first, count, _| {
            for n in first..first + count {
                // SAFETY: entries of a table of this tree.
                unsafe { set(table, n, get(table, n) & ADDRESS | READ_ONLY) };
            }
        });
    }

    #[inline(never)]
    fn destroy(self) {
        fn below(pa: u64, level: u32) {
            if level > 1 {
                for n in 0..512 {
                    // SAFETY: a table of the tree.
                    let entry = unsafe { get(table(pa), n) };
                    if entry & (1 | LARGE) == 1 {
                        below(entry & ADDRESS, level - 1);
                    }
                }
            }
            arena::free(pa);
        }
        below(self.root, 4);
    }
}
