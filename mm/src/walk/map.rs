//! Mapping a range.

use super::one::index as index_of;
use super::{By, One, Pages, Part, Table, in_kernel_half, table_rights};
use crate::chain::Chain;
use crate::format::{UserBits, bit};
use crate::{Cache, Pte, Rights, Window};
use crate::{
    Format, Frame, Level, Limits, ListRequest, MapError, MapRequest, Memory, PAGE_SHIFT, PageFlags, PageRange,
};

pub(crate) fn map<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
) -> Result<(), MapError> {
    if request.range.pages != 1 {
        return map_large::<F>(memory, root, limits, request);
    }
    if let Some(entry) = memory.hints.leaf::<F>(root, request.range.start.0, false)
        && map_entry::<F>(entry, limits, request, 1).is_some()
    {
        return Ok(());
    }
    map_elsewhere::<F>(memory, root, limits, request)
}

/// The same where the table is another than the last time.
#[inline(never)]
fn map_elsewhere<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
) -> Result<(), MapError> {
    if let Some(one) = One::of::<F>(request.range, 1)
        && map_one::<F>(memory, root, limits, request, one, By::Hint).is_some()
    {
        return Ok(());
    }
    map_from_root::<F>(memory, root, limits, request)
}

/// The same for large pages.
#[inline(never)]
fn map_large<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
) -> Result<(), MapError> {
    if let Some(one) = One::of::<F>(request.range, 2)
        && map_one::<F>(memory, root, limits, request, one, By::Hint).is_some()
    {
        return Ok(());
    }
    if let Some(one) = One::of::<F>(request.range, 3)
        && map_one::<F>(memory, root, limits, request, one, By::Hint).is_some()
    {
        return Ok(());
    }
    map_from_root::<F>(memory, root, limits, request)
}

/// The same where no hint helps, and whatever else there is.
#[inline(never)]
fn map_from_root<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
) -> Result<(), MapError> {
    if let Some(one) = One::of::<F>(request.range, 1)
        && (map_one::<F>(memory, root, limits, request, one, By::Walk).is_some()
            || map_anew::<F>(memory, root, limits, request, one).is_some())
    {
        return Ok(());
    }
    if let Some(one) = One::of::<F>(request.range, 2)
        && map_one::<F>(memory, root, limits, request, one, By::Walk).is_some()
    {
        return Ok(());
    }
    if let Some(one) = One::of::<F>(request.range, 3)
        && map_one::<F>(memory, root, limits, request, one, By::Walk).is_some()
    {
        return Ok(());
    }
    map_range::<F>(memory, root, limits, request)
}

/// Maps one page if all is as usual; else nothing has happened.
#[inline(always)]
fn map_one<F: Format>(
    memory: &Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
    one: One,
    by: By,
) -> Option<()> {
    let larger_than_cpu = one.level > 1 && one.level > limits.top_leaf;
    if larger_than_cpu || request.first.0 & (F::INFO.pages(one.level) - 1) != 0 {
        return None;
    }
    map_entry::<F>(one.entry::<F>(memory, root, by, false)?, limits, request, one.level)
}

/// Maps one page to which no table of level 1 leads yet, if there are frames for those that are missing; else nothing has
/// happened. The tables are all made before the first of them is linked, from the lowest up.
#[inline(always)]
fn map_anew<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
    one: One,
) -> Option<()> {
    let bits = user_bits::<F>(limits, request.flags, 1)?;
    let (above, index) = one.end::<F>(&memory.window, root)?;
    if request.first.0 >= limits.frame_end() || above.peek(index) & bit::PRESENT != 0 {
        return None;
    }
    let mut new = [Frame(0); MOST_LEVELS];
    for at in 1..above.level {
        let Ok(frame) = memory.blank() else {
            new[1..usize::from(at)].iter().for_each(|frame| memory.give_back(*frame));
            return None;
        };
        new[usize::from(at)] = frame;
    }
    let page = F::INFO.page_number(request.range.start);
    let mut entry = request.first.0 << PAGE_SHIFT | bits;
    for level in 1..above.level {
        let frame = new[usize::from(level)];
        let table = Table::<F>::at(&memory.window, frame, level);
        table.prepare(index_of::<F>(request.range.start.0, level), entry);
        entry = F::encode(Pte::Table(frame, table_rights::<F>(page)), level + 1);
    }
    above.store(index, entry);
    Some(())
}

/// The most levels that a format has, and one: levels count from 1.
const MOST_LEVELS: usize = 6;

/// Maps the page that an entry at `level` covers if all is as usual; else nothing has happened.
#[inline(always)]
fn map_entry<F: Format>(
    (table, index): (Table<F>, usize),
    limits: &Limits,
    request: &MapRequest,
    level: Level,
) -> Option<()> {
    let frame = request.first.0;
    let bits = user_bits::<F>(limits, request.flags, level)?;
    if frame >= limits.frame_end() || table.peek(index) & bit::PRESENT != 0 {
        return None;
    }
    table.store(index, frame << PAGE_SHIFT | bits);
    Some(())
}

/// All but the address of a leaf in the user half; `None` for write-combining on a CPU without it, which is left to the
/// general way.
#[inline(always)]
pub(super) fn user_bits<F: Format>(limits: &Limits, flags: PageFlags, level: Level) -> Option<u64> {
    let words = if level == 1 { const { &UserBits::new(&F::INFO, 1) } } else { const { &UserBits::new(&F::INFO, 2) } };
    if flags.cache == Cache::WriteCombining && !limits.pat {
        return None;
    }
    let bits = words.get(flags);
    Some(if F::INFO.no_execute { bits & limits.leaf_bits() } else { bits })
}

pub(crate) fn map_list<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &ListRequest,
) -> Result<(), MapError> {
    let range = PageRange::new(request.start, request.frames.len() as u64);
    F::INFO.check(range)?;
    // The CPU's frames end at a power of two: a bit beyond it in any of them is a bit beyond it in all together.
    if request.frames.iter().fold(0, |any, frame| any | frame.0) >= limits.frame_end() {
        return Err(MapError::BeyondPhys);
    }
    carry_out::<F, _>(memory, root, limits, range, request.flags, 1, request.frames)
}

#[cold]
#[inline(never)]
fn map_range<F: Format>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    request: &MapRequest,
) -> Result<(), MapError> {
    F::INFO.check(request.range)?;
    let frames_end = request.first.0.checked_add(request.range.pages);
    if frames_end.is_none_or(|end| end > limits.frame_end()) {
        return Err(MapError::BeyondPhys);
    }
    let largest = largest::<F>(limits, F::INFO.page_number(request.range.start), request.first);
    carry_out::<F, _>(memory, root, limits, request.range, request.flags, largest, request.first)
}

/// The frames that a request maps its pages onto.
trait Source: Copy {
    /// The frame of page number `n` of the request.
    fn frame(self, n: u64) -> Frame;

    /// The addresses of the frames for `count` pages from number `n` on.
    fn addresses(self, n: u64, count: u64) -> impl Iterator<Item = u64>;
}

/// Consecutive frames.
impl Source for Frame {
    fn frame(self, n: u64) -> Frame {
        self.offset(n)
    }

    #[inline(always)]
    fn addresses(self, n: u64, count: u64) -> impl Iterator<Item = u64> {
        let first = self.frame(n).start().0;
        (0..count).map(move |n| first + (n << PAGE_SHIFT))
    }
}

/// Frames wherever they are.
impl Source for &[Frame] {
    fn frame(self, n: u64) -> Frame {
        self[n as usize]
    }

    #[inline(always)]
    fn addresses(self, n: u64, count: u64) -> impl Iterator<Item = u64> {
        self[n as usize..][..count as usize].iter().map(|frame| frame.start().0)
    }
}

/// What a request comes to on this CPU.
struct Job<F: Format, R: Source> {
    pages: Pages,
    frames: R,
    flags: PageFlags,
    /// The level of the largest pages that fit: page and frame are aligned alike everywhere in the range.
    largest: Level,
    format: core::marker::PhantomData<F>,
}

fn carry_out<F: Format, R: Source>(
    memory: &mut Memory,
    root: Frame,
    limits: &Limits,
    range: PageRange,
    flags: PageFlags,
    largest: Level,
    frames: R,
) -> Result<(), MapError> {
    let pages = Pages::of::<F>(range);
    let flags = effective::<F>(limits, flags, pages.first);
    let job = Job::<F, R> { pages, frames, flags, largest, format: core::marker::PhantomData };
    let root = Table::root(&memory.window, root);
    let need = job.survey(&memory.window, root, pages)?;
    let mut spare = take(memory, need)?;
    job.fill(memory, root, pages, &mut spare);
    debug_assert!(spare.is_empty(), "the survey counted every table");
    Ok(())
}

/// The highest level at which page number `page` can lie on `frame`.
fn largest<F: Format>(limits: &Limits, page: u64, frame: Frame) -> Level {
    let apart = page ^ frame.0;
    (2..=limits.top_leaf).take_while(|level| apart & (F::INFO.pages(*level) - 1) == 0).last().unwrap_or(1)
}

/// What `flags` come to for the half of `page` on this CPU. A global page in the user half would outlive its
/// address space, so there is none; ring 3 has no business in the kernel half, where a large page of pml2 or pml3
/// has no table above it to say so.
#[inline]
pub(super) fn effective<F: Format>(limits: &Limits, flags: PageFlags, page: u64) -> PageFlags {
    let mut effective = limits.effective(flags);
    effective.rights.remove(if in_kernel_half::<F>(page) { Rights::USER } else { Rights::GLOBAL });
    effective
}

/// Takes the tables that a survey counted: none at all is the common case.
#[inline]
pub(super) fn take(memory: &mut Memory, need: u64) -> Result<Chain, MapError> {
    if need == 0 { Ok(Chain::new()) } else { Chain::take(memory, need) }
}

impl<F: Format, R: Source> Job<F, R> {
    fn frame(&self, page: u64) -> Frame {
        self.frames.frame(page - self.pages.first)
    }

    /// Whether the entry at `level` that covers `part` can map it as one page.
    fn leaf_fits(&self, level: Level, part: Part) -> bool {
        part.whole && level <= self.largest
    }

    /// Counts the tables that are missing.
    fn survey(&self, window: &Window, table: Table<F>, pages: Pages) -> Result<u64, MapError> {
        if table.level == 1 {
            let any = pages.indices::<F>().fold(0, |any, index| any | table.peek(index));
            return if any & bit::PRESENT == 0 { Ok(0) } else { Err(MapError::Occupied) };
        }
        let mut need = 0;
        for part in pages.parts::<F>(table.level) {
            let raw = table.raw(part.index);
            need += match F::decode(raw, table.level) {
                Pte::Leaf(..) => return Err(MapError::Occupied),
                Pte::Table(..) if raw & bit::FULL != 0 => return Err(MapError::Occupied),
                Pte::Absent => self.tables_for(table.level, part),
                Pte::Table(next, _) => self.survey(window, table.below(window, next), part.pages)?,
            };
        }
        Ok(need)
    }

    /// How many tables an absent entry at `level` needs below it to map `part`: counted, not walked, so that a range
    /// far too large for memory is refused at once.
    fn tables_for(&self, level: Level, part: Part) -> u64 {
        (1..level)
            .map(|below| {
                // A table at level `below` is needed for each entry above it that is not a leaf.
                let shift = F::INFO.pages(below + 1).trailing_zeros();
                let (first, last) = (part.pages.first >> shift, (part.pages.end - 1) >> shift);
                if below >= self.largest {
                    return last - first + 1;
                }
                let cut_first = part.pages.first != first << shift;
                let cut_last = part.pages.end != (last + 1) << shift;
                if first == last {
                    u64::from(cut_first || cut_last)
                } else {
                    u64::from(cut_first) + u64::from(cut_last)
                }
            })
            .sum()
    }

    fn fill(&self, memory: &Memory, table: Table<F>, pages: Pages, spare: &mut Chain) {
        if table.level == 1 {
            return self.leaves(pages, |index, raw| table.store(index, raw));
        }
        for part in pages.parts::<F>(table.level) {
            match table.get(part.index) {
                Pte::Table(next, _) => self.fill(memory, table.below(&memory.window, next), part.pages, spare),
                _ if self.leaf_fits(table.level, part) => {
                    table.set(part.index, Pte::Leaf(self.frame(part.pages.first), self.flags));
                }
                _ => self.grow(memory, table, part, spare),
            }
        }
    }

    /// Fills a new table and links it only then: no CPU ever sees it half made. One that is filled as a whole need not be
    /// cleared before.
    fn grow(&self, memory: &Memory, table: Table<F>, part: Part, spare: &mut Chain) {
        let Some(frame) = spare.pop(memory) else { unreachable!("the survey counted every table") };
        let new = table.below(&memory.window, frame);
        if !(new.level == 1 && part.whole) {
            new.clear();
        }
        if new.level == 1 {
            self.leaves(part.pages, |index, raw| new.prepare(index, raw));
        } else {
            self.fill(memory, new, part.pages, spare);
        }
        table.link(part.index, frame, part.pages.first, part.whole);
    }

    /// The tight loop: one store an entry, nothing else.
    #[inline(always)]
    fn leaves(&self, pages: Pages, store: impl Fn(usize, u64)) {
        let bits = F::leaf_bits(self.flags, 1);
        let addresses = self.frames.addresses(pages.first - self.pages.first, pages.count());
        for (index, address) in pages.indices::<F>().zip(addresses) {
            store(index, address | bits);
        }
    }
}
