//! What must hold of one entry, or of a run of pages that continue one another.

use mm::{
    Cache, Frame, FrameRun, KernelMap, Mapping, MemoryMap, PageRange, Pte, RawEntry, Rights, Section, VirtAddr,
    reserved,
};

use super::What;

pub struct Rules<'a> {
    pub map: &'a KernelMap,
    pub memory_map: &'a MemoryMap<'a>,
}

impl Rules<'_> {
    pub fn check(&self, entry: &RawEntry, tell: &mut dyn FnMut(What, Option<VirtAddr>, Frame)) {
        let mut wrong = entry.count == 1;
        if entry.count > 1 {
            self.check_run(entry, &mut |_, _, _| wrong = true);
        }
        if wrong {
            let info = &self.map.tables().paging().routines.info;
            (0..entry.count).for_each(|n| self.check_run(&entry.one(info, n), tell));
        }
    }

    /// What is wrong with an entry, or could be with one of a run.
    fn check_run(&self, entry: &RawEntry, tell: &mut dyn FnMut(What, Option<VirtAddr>, Frame)) {
        let paging = self.map.tables().paging();
        let (info, limits) = (&paging.routines.info, &paging.limits);
        let (frame, leaf) = match entry.pte {
            Pte::Absent => return,
            Pte::Table(frame, _) => (frame, None),
            Pte::Leaf(frame, mut flags) => {
                flags.rights = entry.rights;
                (frame, Some(Mapping { start: entry.start, frame, level: entry.level, flags }))
            }
        };
        let mut tell = |what| tell(what, Some(entry.start), frame);
        let raw = entry.bits(info);
        if raw & reserved::beyond_width(info, limits) != 0 {
            tell(What::BeyondWidth);
        }
        if raw & reserved::reserved(info, limits, entry.level, leaf.is_some()) != 0 {
            tell(What::Reserved);
        }
        let kernel = entry.start >= info.kernel_half();
        // PAE's root has no such bit: it is reserved there.
        let root = info.root_is_registers && entry.level == info.levels;
        if kernel && !root && raw & reserved::USER_BIT != 0 {
            tell(What::User);
        }
        let both = limits.no_execute && entry.rights.contains(Rights::WRITE | Rights::EXEC);
        if both && (leaf.is_some() || (entry.self_map && entry.level == 1)) {
            tell(What::WriteAndExecute);
        }
        if let Some(leaf) = leaf {
            if leaf.level > limits.top_leaf {
                tell(What::TooLarge);
            }
            let count = entry.count * info.pages(leaf.level);
            self.check_leaf(&leaf, kernel, FrameRun { first: leaf.frame, count }, &mut tell);
        }
    }

    fn check_leaf(&self, leaf: &Mapping, kernel: bool, run: FrameRun, tell: &mut dyn FnMut(What)) {
        let rights = leaf.flags.rights;
        if leaf.start == VirtAddr(0) {
            tell(What::PageZero);
        }
        if !kernel && !rights.contains(Rights::USER) {
            tell(if leaf.start.0 == leaf.frame.start().0 { What::Identity } else { What::Leftover });
        }
        if leaf.flags.cache == Cache::WriteBack
            && !self.memory_map.ram_runs().any(|ram| ram.contains(run.first) && run.end() <= ram.end())
        {
            tell(What::NotRam);
        }
        let sections = self.map.sections();
        let pages = PageRange::new(leaf.start, run.count);
        let touches = |other: PageRange| other.contains(pages.start) || pages.contains(other.start);
        if sections.iter().any(|section| section.flags.is_none() && touches(section.pages)) {
            tell(What::Guard);
        }
        if rights.contains(Rights::WRITE) && sections.iter().any(|section| is_constant(section) && meets(section, run))
        {
            tell(What::WritableConstant);
        }
    }

    /// The frames that an entry, or a run, lets be written outside the aperture.
    pub fn writable(&self, entry: &RawEntry) -> Option<FrameRun> {
        let Pte::Leaf(first, _) = entry.pte else { return None };
        let count = entry.count * self.map.tables().paging().routines.info.pages(entry.level);
        let pages = PageRange::new(entry.start, count);
        let aperture = self.map.layout().aperture;
        let inside = aperture.contains(pages.start) && aperture.contains(pages.last_byte());
        (entry.rights.contains(Rights::WRITE) && !inside).then_some(FrameRun { first, count })
    }
}

fn is_constant(section: &Section) -> bool {
    section.flags.is_some_and(|flags| !flags.rights.contains(Rights::WRITE))
}

fn meets(section: &Section, run: FrameRun) -> bool {
    section.first < run.end() && run.first < section.first.offset(section.pages.pages)
}
