//! One page after the other: a place in a tree that is kept between changes.

use super::map::effective;
use super::one::table_address;
use super::read::leaf;
use super::{Table, map, protect, query, unmap};
use crate::entry::MARKS;
use crate::format::bit;
use crate::{Format, Frame, Holes, Limits, MapError, MapRequest, Mapping, Memory, PAGE_SHIFT, PageFlags, PageRange};
use crate::{ProtectRequest, Pte, Stale};

/// A page, and the table of level 1 that has its entry, if there is one.
///
/// It holds good as long as nothing but the steps below changes the tree, which a [`Cursor`](crate::Cursor) sees to.
pub struct Place {
    root: Frame,
    /// Whether a CPU may set marks meanwhile.
    live: bool,
    /// The number of the page.
    page: u64,
    /// The table for the pages that differ from `page` in the bits of an index alone: null if none is known.
    table: *mut u8,
    /// Whether the entry that names the table says that all its pages are mapped.
    full: bool,
    /// What all entries on the way to the table have set, and what any of them has.
    all: u64,
    any: u64,
}

/// What can be done at a place. See [`Cursor`](crate::Cursor), whose methods these are.
pub struct Steps {
    pub(crate) start: fn(Frame, PageRange, bool) -> Result<Place, MapError>,
    pub(crate) go: fn(&mut Place, PageRange),
    pub(crate) map: fn(&mut Memory, &Limits, &mut Place, Frame, PageFlags) -> Result<(), MapError>,
    pub(crate) unmap: fn(&mut Memory, &mut Place, &mut Stale) -> Result<Frame, MapError>,
    pub(crate) protect: fn(&mut Memory, &Limits, &mut Place, PageFlags, &mut Stale) -> Result<(), MapError>,
    pub(crate) query: fn(&Memory, &mut Place) -> Option<Mapping>,
    pub(crate) stale: fn(PageRange) -> Stale,
}

impl Steps {
    pub(crate) const fn of<F: Format>() -> Self {
        Self {
            start: start::<F>,
            go: go::<F>,
            map: map_here::<F>,
            unmap: unmap_here::<F>,
            protect: protect_here::<F>,
            query: query_here::<F>,
            stale: Stale::new::<F>,
        }
    }
}

fn start<F: Format>(root: Frame, range: PageRange, live: bool) -> Result<Place, MapError> {
    F::INFO.check(range)?;
    let page = F::INFO.page_number(range.start);
    Ok(Place { root, live, page, table: core::ptr::null_mut(), full: false, all: 0, any: 0 })
}

/// Goes to the first page of `range`.
fn go<F: Format>(place: &mut Place, range: PageRange) {
    let page = F::INFO.page_number(range.start);
    if (page ^ place.page) >= F::INFO.pages(2) {
        place.table = core::ptr::null_mut();
    }
    place.page = page;
}

fn map_here<F: Format>(
    memory: &mut Memory,
    limits: &Limits,
    place: &mut Place,
    frame: Frame,
    flags: PageFlags,
) -> Result<(), MapError> {
    if frame.0 >= limits.frame_end() {
        return Err(MapError::BeyondPhys);
    }
    let Some((table, index)) = place.entry::<F>(memory) else {
        return map::<F>(memory, place.root, limits, &MapRequest { range: place.range::<F>(), first: frame, flags });
    };
    if table.raw(index) & bit::PRESENT != 0 {
        return Err(MapError::Occupied);
    }
    let bits = F::leaf_bits(effective::<F>(limits, flags, place.page), 1);
    table.store(index, frame.0 << PAGE_SHIFT | bits);
    Ok(())
}

fn unmap_here<F: Format>(memory: &mut Memory, place: &mut Place, stale: &mut Stale) -> Result<Frame, MapError> {
    match place.entry::<F>(memory) {
        Some((table, index)) if !place.full => {
            let raw = table.raw(index);
            if raw & bit::PRESENT == 0 {
                return Err(MapError::NotMapped);
            }
            table.store(index, 0);
            stale.note(1, 1, raw & bit::GLOBAL != 0);
            Ok(F::leaf_frame(raw, 1))
        }
        _ => {
            let mut first = Frame(0);
            let mut report = |run: crate::FrameRun| first = run.first;
            let range = place.range::<F>();
            let token = unmap::<F>(memory, place.root, range, Holes::Refuse, Some(&mut report))?;
            // A large page may have been split, and the table is full no more.
            place.table = core::ptr::null_mut();
            stale.join(token);
            Ok(first)
        }
    }
}

fn protect_here<F: Format>(
    memory: &mut Memory,
    limits: &Limits,
    place: &mut Place,
    flags: PageFlags,
    stale: &mut Stale,
) -> Result<(), MapError> {
    let Some((table, index)) = place.entry::<F>(memory) else {
        let request = ProtectRequest { range: place.range::<F>(), flags, live: place.live };
        let token = protect::<F>(memory, place.root, limits, &request)?;
        stale.join(token);
        return Ok(());
    };
    let raw = table.raw(index);
    if raw & bit::PRESENT == 0 {
        return Err(MapError::NotMapped);
    }
    let bits = F::leaf_bits(effective::<F>(limits, flags, place.page), 1);
    let new = raw & (F::ADDRESS | MARKS) | bits;
    if place.live && raw & MARKS != MARKS {
        table.replace(index, new)
    } else {
        table.store(index, new)
    }
    stale.note(1, 1, raw & bit::GLOBAL != 0);
    Ok(())
}

fn query_here<F: Format>(memory: &Memory, place: &mut Place) -> Option<Mapping> {
    let va = F::INFO.page_address(place.page);
    let Some((table, index)) = place.entry::<F>(memory) else { return query::<F>(memory, place.root, va) };
    let raw = table.raw(index);
    if raw & bit::PRESENT == 0 { None } else { Some(leaf::<F>(va, raw, 1, place.all, place.any)) }
}

impl Place {
    fn range<F: Format>(&self) -> PageRange {
        PageRange::new(F::INFO.page_address(self.page), 1)
    }

    /// The table of level 1 and the index of the page's entry, if there is such a table.
    #[inline(always)]
    fn entry<F: Format>(&mut self, memory: &Memory) -> Option<(Table<F>, usize)> {
        if self.table.is_null() {
            self.find::<F>(memory)?;
        }
        let table = Table { entries: self.table.cast(), level: 1 };
        Some((table, self.page as usize & (F::INFO.entries(1) - 1)))
    }

    #[cold]
    #[inline(never)]
    fn find<F: Format>(&mut self, memory: &Memory) -> Option<()> {
        let mut table = Table::<F>::root(&memory.window, self.root);
        (self.all, self.any, self.full) = (u64::MAX, 0, false);
        for level in (2..=F::INFO.levels).rev() {
            let index = (self.page >> F::INFO.pages(level).trailing_zeros()) as usize & (F::INFO.entries(level) - 1);
            let raw = table.raw(index);
            if !matches!(F::decode(raw, level), Pte::Table(..)) {
                return None;
            }
            if !F::root_registers(level) {
                (self.all, self.any) = (self.all & raw, self.any | raw);
            }
            self.full = level == 2 && raw & bit::FULL != 0;
            table = table.below(&memory.window, Frame(table_address::<F>(raw, level) >> PAGE_SHIFT));
        }
        self.table = table.entries.cast();
        Some(())
    }
}
