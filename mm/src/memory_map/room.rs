//! What a map gives up when there are more regions than places.
//!
//! Each region has at most one way to make room. Its price is the RAM that it costs:
//!
//! - A usable run between two regions that are not usable becomes theirs, and the three become one region.
//! - Another usable run is forgotten.
//! - Two neighbours that are not usable become one region. This costs no RAM, unless RAM that holds something becomes part of a
//!   region that is no RAM.
//!
//! The cheapest ways go first. At the same price, joining comes before forgetting, and regions that touch are joined before those
//! with unknown pages between them.
//!
//! A search through all regions for each missing place would take seconds on a slow CPU. So a search frees more places than one:
//! at most a quarter of all, at a cost of at most 1/64 of the usable RAM.

use super::{Kind, MemoryMap, Region};
use crate::PAGE_SHIFT;

/// The places that each change of the map may need beyond those in use.
pub(super) const WORKING_PLACES: usize = 2;

/// What a search frees beyond what is needed: a share of the places, at the cost of a share of the usable RAM.
const MORE_PLACES: usize = 4;
const MORE_RAM: u64 = 64;

/// Prices are sorted into classes by their number of bits. A price is less than 2^42: a page's number has 40 bits.
const CLASSES: usize = 43;

/// Each step towards the highest price that is paid divides the range of prices by 2 to this power.
const STEP_BITS: u32 = 6;

/// A way to make room.
#[derive(Clone, Copy)]
struct Way {
    /// Twice the pages of RAM that it costs, and 1 if it forgets a run or joins across unknown pages.
    price: u64,
    /// How many places it frees.
    frees: usize,
    /// The next region that is not usable becomes one with the last such region.
    joins: bool,
    /// Between the two there are pages of which nothing is known.
    hole: bool,
}

/// The ways that are used: all that are cheaper than `price`, and those of exactly this price for as many `places`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limit {
    price: u64,
    places: usize,
}

impl Limit {
    /// Decides about one way.
    fn admits(&mut self, way: &Way) -> bool {
        let last = way.price == self.price && self.places > 0;
        if last {
            self.places = self.places.saturating_sub(way.frees);
        }
        last || way.price < self.price
    }
}

impl MemoryMap<'_> {
    /// Frees `needed` places, and a few more if they are cheap.
    pub(super) fn make_room(&mut self, needed: usize) {
        let limit = self.find_limit(needed);
        self.give_up(limit);
    }

    /// Calls `take` with each region and its way to make room.
    fn each_way(&mut self, mut take: impl FnMut(&Region, Way)) {
        #[cfg(test)]
        {
            self.visited += self.used;
        }
        let regions = &self.storage[..self.used];
        for (at, region) in regions.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &regions[before]);
            if let Some(way) = way(before, region, regions.get(at + 1)) {
                take(region, way);
            }
        }
    }

    /// Finds the highest price that has to be paid.
    fn find_limit(&mut self, needed: usize) -> Limit {
        let mut places = [0; CLASSES];
        let mut usable = 0;
        self.each_way(|region, way| {
            places[class(way.price)] += way.frees;
            usable += if region.kind == Kind::Usable { pages(region) } else { 0 };
        });
        let mut needed = needed;
        let (mut more_places, mut more_ram) = (self.storage.len() / MORE_PLACES, usable / MORE_RAM);
        for (class, places) in places.into_iter().enumerate() {
            let highest = ((1u64 << class) - 1) / 2;
            let affordable = more_ram.checked_div(highest).unwrap_or(u64::MAX);
            let more =
                places.saturating_sub(needed).min(more_places).min(usize::try_from(affordable).unwrap_or(usize::MAX));
            if places > needed + more {
                return self.limit_within(class, needed + more);
            }
            needed = needed.saturating_sub(places);
            more_places -= more;
            more_ram = more_ram.saturating_sub(highest.saturating_mul(more as u64));
        }
        Limit { price: u64::MAX, places: 0 }
    }

    /// Finds the price in `class` up to which the class has `places`.
    fn limit_within(&mut self, class: usize, mut places: usize) -> Limit {
        // Prices of 0 and of 1 are classes of their own.
        let mut bits = (class as u32).saturating_sub(1);
        let mut low = if class == 0 { 0 } else { 1u64 << bits };
        while bits > 0 && places > 0 {
            let step = bits.saturating_sub(STEP_BITS);
            let mut parts = [0; 1 << STEP_BITS];
            let end = low + (1 << bits);
            self.each_way(|_, way| {
                if (low..end).contains(&way.price) {
                    parts[((way.price - low) >> step) as usize] += way.frees;
                }
            });
            for part in parts {
                if part >= places {
                    break;
                }
                places -= part;
                low += 1 << step;
            }
            bits = step;
        }
        Limit { price: low, places }
    }

    /// Uses all ways up to `limit`.
    fn give_up(&mut self, mut limit: Limit) {
        #[cfg(test)]
        {
            self.visited += self.used;
        }
        let count = core::mem::take(&mut self.used);
        let mut before = None;
        // What the last region's way says of the next region.
        let (mut joins, mut hole) = (false, false);
        for at in 0..count {
            // Of those that were read, at most as many have been kept: nothing from `at` on has been written over.
            let region = self.storage[at];
            let next = self.storage[..count].get(at + 1);
            let used = way(before.as_ref(), &region, next).filter(|way| limit.admits(way));
            if region.kind == Kind::Usable {
                if used.is_some() {
                    self.losses.dropped += 1;
                    self.losses.dropped_bytes += region.bytes();
                } else {
                    self.keep(region);
                }
            } else if joins {
                self.join(region, hole);
            } else {
                self.keep(region);
            }
            (joins, hole) = used.map_or((false, false), |way| (way.joins, way.hole));
            before = Some(region);
        }
    }

    /// Puts a region behind those in use. If it touches the last and is of the same kind, they become one.
    fn keep(&mut self, region: Region) {
        if let Some(last) = self.storage[..self.used].last_mut()
            && last.end == region.start
            && last.kind == region.kind
        {
            last.end = region.end;
            return;
        }
        self.storage[self.used] = region;
        self.used += 1;
    }

    /// Makes `region` one with the last region in use.
    fn join(&mut self, region: Region, hole: bool) {
        self.used -= 1;
        let last = self.storage[self.used];
        self.losses.joined += 1;
        self.losses.dropped_bytes += lost_in_use(&last, &region, hole);
        self.keep(Region { start: last.start, end: region.end, kind: joined(last.kind, region.kind, hole) });
    }
}

/// The way of `region`, between its neighbours, to make room.
fn way(before: Option<&Region>, region: &Region, next: Option<&Region>) -> Option<Way> {
    let restricted = |region: &&Region| region.kind != Kind::Usable;
    let next = next.filter(restricted);
    if region.kind != Kind::Usable {
        let next = next?;
        let hole = region.end < next.start;
        let price = 2 * (lost_in_use(region, next, hole) >> PAGE_SHIFT) + u64::from(hole);
        return Some(Way { price, frees: 1, joins: true, hole });
    }
    let price = 2 * pages(region);
    if let (Some(before), Some(next)) = (before.filter(restricted), next) {
        let hole = before.end < region.start || region.end < next.start;
        if lost_in_use(before, next, hole) == 0 {
            return Some(Way { price, frees: 2, joins: true, hole });
        }
    }
    Some(Way { price: price + 1, frees: 1, joins: false, hole: false })
}

/// What two regions are as one. Pages of which nothing is known must not become RAM.
fn joined(left: Kind, right: Kind, hole: bool) -> Kind {
    let kind = left.max(right);
    if hole && kind.is_ram() { Kind::Reserved } else { kind }
}

/// The bytes of RAM in two regions that are no RAM once the regions are one.
fn lost_in_use(left: &Region, right: &Region, hole: bool) -> u64 {
    if joined(left.kind, right.kind, hole).is_ram() {
        return 0;
    }
    [left, right].into_iter().filter(|region| region.kind.is_ram()).map(Region::bytes).sum()
}

fn pages(region: &Region) -> u64 {
    region.bytes() >> PAGE_SHIFT
}

fn class(price: u64) -> usize {
    (u64::BITS - price.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PhysAddr;

    /// How many regions are looked at for each one that is put in.
    fn visits(places: usize, regions: impl Iterator<Item = (u64, u64, Kind)>) -> usize {
        let mut storage = vec![Region::default(); places];
        let mut map = MemoryMap::new(&mut storage);
        let mut count = 0;
        for (page, pages, kind) in regions {
            map.insert(PhysAddr(page << PAGE_SHIFT), pages << PAGE_SHIFT, kind);
            count += 1;
        }
        assert!(map.losses.dropped + map.losses.joined > 0, "there was room for all");
        map.visited / count
    }

    #[test]
    fn searches_for_room_are_few() {
        let ram = || [(0, 1 << 20, Kind::Usable)].into_iter();
        let every_second = |count: u64| ram().chain((0..count).map(|n| (5000 + 2 * n, 1, Kind::Reserved)));
        // A search looks at each region three times if prices are low, and makes a quarter of the places free.
        assert!(visits(4096, every_second(5000)) <= 24);
        assert!(visits(400, every_second(20_000)) <= 32);
        let backward = ram().chain((0..20_000).map(|n| (900_000 - 2 * n, 1, Kind::Reserved)));
        assert!(visits(400, backward) <= 32);
        // Holes between usable runs, of one page each and of more and more: 1/64 of the RAM is several runs.
        assert!(visits(400, (0..20_000).map(|n| (2 * n, 1, Kind::Usable))) <= 200);
        assert!(visits(400, (0..20_000u64).map(|n| (n * n, 1 + n, Kind::Usable))) <= 400);
    }
}
