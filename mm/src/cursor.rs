//! Page by page through a range.

use crate::walk::Place;
use crate::{Frame, Limits, MapError, Mapping, Memory, PAGE_SHIFT, PageFlags, PageMap, PageRange, PagingRoutines};
use crate::{Stale, VirtAddr};

/// A place in a range of an address space, for those who must go page by page: a fault handler, a loader.
///
/// It remembers the table that it is in, so that a step to a neighbour needs no walk. What it makes stale is gathered in
/// one token, which [`PageMap::with_cursor`] returns. Each change is of one 4 KiB page; a large page in the way is split.
pub struct Cursor<'a> {
    memory: &'a mut Memory,
    routines: &'static PagingRoutines,
    limits: Limits,
    place: Place,
    stale: Stale,
    /// What is left of the range, from where the cursor stands.
    left: PageRange,
    /// The first and the last page whose translation has become stale, by address.
    touched: Option<(VirtAddr, VirtAddr)>,
}

impl PageMap {
    /// Lets `work` go through a range page by page. Beside its result there is the token of all that it changed, whatever
    /// came of it.
    ///
    /// # Errors
    /// What is wrong with the range; `work` has not been called then.
    pub fn with_cursor<T>(
        &mut self,
        memory: &mut Memory,
        range: PageRange,
        work: impl FnOnce(&mut Cursor) -> T,
    ) -> Result<(T, Stale), MapError> {
        let (routines, limits) = (self.paging().routines, self.paging().limits);
        let place = (routines.steps.start)(self.root(), range, self.is_live())?;
        let stale = (routines.steps.stale)(range);
        let mut cursor = Cursor { memory, routines, limits, place, stale, left: range, touched: None };
        let result = work(&mut cursor);
        let Cursor { mut stale, touched, .. } = cursor;
        stale.narrow(match touched {
            Some((first, last)) => PageRange::new(first, ((last.0 - first.0) >> PAGE_SHIFT) + 1),
            None => PageRange::new(range.start, 0),
        });
        Ok((result, stale))
    }
}

impl Cursor<'_> {
    /// What is left of the range: it begins at the page where the cursor stands. No page is left at the end.
    pub const fn left(&self) -> PageRange {
        self.left
    }

    /// Goes `pages` pages on, or to the end of the range if there are not so many.
    #[inline]
    pub fn skip(&mut self, pages: u64) {
        let pages = pages.min(self.left.pages);
        self.left = PageRange::new(self.left.start.offset(pages << PAGE_SHIFT), self.left.pages - pages);
        if self.left.pages > 0 {
            (self.routines.steps.go)(&mut self.place, self.left);
        }
    }

    /// The leaf that maps this page.
    pub fn query(&mut self) -> Option<Mapping> {
        self.here().ok()?;
        (self.routines.steps.query)(self.memory, &mut self.place)
    }

    /// Maps this page.
    ///
    /// # Errors
    /// [`MapError::Occupied`], [`MapError::BeyondPhys`], [`MapError::NoMemory`], or [`MapError::Empty`] at the end.
    #[inline]
    pub fn map(&mut self, frame: Frame, flags: PageFlags) -> Result<(), MapError> {
        self.here()?;
        (self.routines.steps.map)(self.memory, &self.limits, &mut self.place, frame, flags)
    }

    /// Unmaps this page and tells the frame that it mapped.
    ///
    /// # Errors
    /// [`MapError::NotMapped`], [`MapError::NoMemory`] if a large page has to be split, or [`MapError::Empty`] at the
    /// end.
    #[inline]
    pub fn unmap(&mut self) -> Result<Frame, MapError> {
        self.here()?;
        let frame = (self.routines.steps.unmap)(self.memory, &mut self.place, &mut self.stale)?;
        self.touch();
        Ok(frame)
    }

    /// Changes what this page permits.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    #[inline]
    pub fn protect(&mut self, flags: PageFlags) -> Result<(), MapError> {
        self.here()?;
        (self.routines.steps.protect)(self.memory, &self.limits, &mut self.place, flags, &mut self.stale)?;
        self.touch();
        Ok(())
    }

    #[inline]
    fn here(&self) -> Result<(), MapError> {
        if self.left.pages == 0 { Err(MapError::Empty) } else { Ok(()) }
    }

    #[inline]
    fn touch(&mut self) {
        let here = self.left.start;
        // The cursor goes forward only.
        self.touched = Some((self.touched.map_or(here, |(first, _)| first), here));
    }
}
