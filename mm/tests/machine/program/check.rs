//! What must hold after each step.

use mm::{PageFlags, Rights, Seen, Step, VirtAddr};

use super::super::mmu::{EVERYTHING, Mode, Stop};
use super::super::model::{Model, Run};
use super::super::tlb::{Answer, Tlb};
use super::{Held, Program};

impl Program {
    /// What the CPU sees and may remember, and what the crate says of single addresses.
    pub(super) fn check_caches(&self) {
        self.cpus.each().for_each(Tlb::check_registers);
        for va in &self.probes {
            self.check_query(*va);
            self.cpus.each().enumerate().for_each(|(n, cpu)| self.check_answers(n, cpu, *va));
        }
        for (n, va) in self.self_probes.iter().enumerate() {
            self.check_query(*va);
            self.cpus.each().for_each(|cpu| self.check_self_map(cpu, n, *va));
        }
        for va in &self.dirty {
            assert!(self.booted.tlb.is_dirty(*va), "the page at {va:#x} was written to, and its D bit is lost");
        }
        for (n, cpu) in self.cpus.each().enumerate() {
            for frame in cpu.tables_in_use() {
                let known = self.tables.contains(&frame) || self.held.iter().any(|held| held.tables.contains(&frame));
                assert!(known, "CPU {n} still walks the frame {frame:#x}, which is no table any more");
            }
        }
    }

    /// Tables and leaves, as the manual reads them and as visit tells of them, against the model. `new_held` tables
    /// are in a token that is not yet among the held ones.
    pub(super) fn check_tree(&mut self, new_held: u64) {
        let scan = self.booted.machine.scan(&self.booted.cpu, self.booted.map.root());
        let mut model = Model::default();
        for (level, leaf) in &scan.leaves {
            assert!(*level <= self.booted.cpu.top_leaf(), "a leaf at level {level}, which the CPU has not");
            let flags = PageFlags { rights: leaf.rights(), cache: leaf.cache };
            model.push(leaf.start >> 12, Run { pages: leaf.bytes >> 12, frame: leaf.phys >> 12, flags });
        }
        assert_eq!(model, self.model.joined(), "the leaves");
        let mut leaves = Vec::new();
        let mut directories = Vec::new();
        let mut self_map = Vec::new();
        self.booted.map.visit(&self.booted.machine.memory, &mut |seen| match seen {
            Seen::Leaf(leaf) => leaves.push((leaf.level, leaf.start.0, leaf.frame.0, leaf.flags)),
            Seen::Table { start, level, frame, .. } => directories.push((level, start.0, frame.0)),
            Seen::SelfMap { start, level, frame, .. } => self_map.push((level, start.0, frame.0)),
        });
        let expected = scan.leaves.iter().map(|(level, leaf)| {
            (*level, leaf.start, leaf.phys >> 12, PageFlags { rights: leaf.rights(), cache: leaf.cache })
        });
        assert_eq!(leaves, expected.collect::<Vec<_>>(), "the leaves that visit tells of");
        assert_eq!(directories, scan.directories, "the tables that visit tells of");
        assert_eq!(self_map, scan.self_map, "the self-map that visit tells of");
        let held: u64 = self.held.iter().map(|held| held.stale.tables_held()).sum();
        let counted = self.booted.machine.free_frames() + scan.tables.len() as u64 + held + new_held;
        assert_eq!(counted, self.booted.machine.total(), "frames free, in the tree and held");
        self.tables = scan.tables;
    }

    /// Query and path against the independent walk of the same address.
    fn check_query(&self, va: u64) {
        let (cpu, arena) = (&self.booted.cpu, &self.booted.machine.arena);
        let mut walked = Vec::new();
        let root = (self.booted.map.root().0 << 12, self.mode.levels());
        let found = cpu.walk(arena, root, va, EVERYTHING, &mut |entry| walked.push((entry.level, entry.at, entry.raw)));
        let mut path = Vec::new();
        let memory = &self.booted.machine.memory;
        self.booted.map.path(memory, VirtAddr(va), &mut |Step { level, at, raw, .. }| path.push((level, at.0, raw)));
        assert_eq!(path, walked, "the path to {va:#x}");
        let asked = self
            .booted
            .map
            .query(memory, VirtAddr(va + 0xABC))
            .map(|leaf| (leaf.start.0, leaf.frame.0, 1u64 << self.mode.shift(leaf.level), leaf.flags));
        let expected = match found {
            Ok(leaf) => {
                Some((leaf.start, leaf.phys >> 12, leaf.bytes, PageFlags { rights: leaf.rights(), cache: leaf.cache }))
            }
            Err(Stop::Absent) => None,
            // Seen through the self-map, a large page's PS bit stands where a CPU without PAT reserves it.
            Err(Stop::Reserved) if self.self_probes.contains(&va) => return,
            Err(Stop::Reserved) => panic!("a reserved bit on the way to {va:#x}"),
        };
        assert_eq!(asked, expected, "query of {va:#x}");
        let byte = self.booted.map.translate(memory, VirtAddr(va + 0xABC)).map(|at| at.0);
        let expected = found.ok().map(|leaf| leaf.phys + (va - leaf.start) + 0xABC);
        assert_eq!(byte, expected, "where {va:#x} lies");
    }

    /// Whatever the CPU may answer is what is mapped, or what was mapped before a change whose token is held.
    fn check_answers(&self, n: usize, cpu: &Tlb, va: u64) {
        let now = said(&self.model, va >> 12);
        for answer in cpu.answers(va) {
            assert!(
                answer == now || self.held.iter().any(|held| self.excuses(held, va, answer, now)),
                "CPU {n} may answer {answer:x?} for {va:#x}, where {now:x?} is mapped"
            );
        }
    }

    /// Whether a token that is held explains why a CPU answers this and not what is mapped `now`.
    fn excuses(&self, held: &Held, va: u64, answer: Answer, now: Answer) -> bool {
        let page = va >> 12;
        if page.wrapping_sub(held.pages.0) >= held.pages.1 {
            return false;
        }
        let before = said(&held.before, page);
        before == answer
            || answer.is_none() && held.has_empty_tables
            || self.is_in_between(answer, before)
            || self.is_in_between(answer, now)
    }

    /// Whether another CPU can have seen `answer` between the two stores that end in, or begin with, what `said` says: an
    /// entry in two halves may be without the right to execute for a moment.
    fn is_in_between(&self, answer: Answer, said: Answer) -> bool {
        self.cpus.count() > 1
            && self.mode == Mode::Pml3
            && said.is_some_and(|(frame, rights, cache)| answer == Some((frame, rights - Rights::EXEC, cache)))
    }

    /// Whatever a CPU saw between the stores of a change is what was mapped before it or what is mapped now, or what an
    /// older token excuses. `may_be_absent`: or nothing at all.
    pub(super) fn check_seen(&self, before: &Model, may_be_absent: bool) {
        for (n, va, answer) in self.cpus.take_seen() {
            let (before, now) = (said(before, va >> 12), said(&self.model, va >> 12));
            let expected = [before, now].into_iter().any(|said| answer == said || self.is_in_between(answer, said));
            assert!(
                expected
                    || answer.is_none() && may_be_absent
                    || self.held.iter().any(|held| self.excuses(held, va, answer, now)),
                "CPU {n} found {answer:x?} for {va:#x} while {before:x?} became {now:x?}"
            );
        }
    }

    /// The same for the self-map: it shows the tables that are there, once every token is flushed.
    fn check_self_map(&self, cpu: &Tlb, n: usize, va: u64) {
        let now = cpu.tables_say(va);
        for answer in cpu.answers(va) {
            // By way of a table that is held, what was mapped since is not found yet; and where tables were merged twice,
            // into 2 MiB and those into 1 GiB, the upper table shows what it said in between.
            let in_held_table = |held: &Held| !held.tables.is_empty() && (answer.is_none() || !held.has_empty_tables);
            let excused = self.held.iter().any(|held| held.before_self[n] == answer || in_held_table(held));
            assert!(answer == now || excused, "the self-map at {va:#x} may show {answer:x?} instead of {now:x?}");
        }
    }
}

/// What the model says of a page, as the CPU would say it.
fn said(model: &Model, page: u64) -> Answer {
    model.at(page).map(|(frame, flags)| (frame, flags.rights - Rights::GLOBAL, flags.cache))
}
