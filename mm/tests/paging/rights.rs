//! What an access may do: the walker's opinion against the CPU's, over random bits at every level.
//!
//! `CASES=100000000 cargo test -p mm --test paging rights` tries that many a mode.

use mm::{Mapping, PageMap, Paging, Rights, VirtAddr};

use crate::machine::mmu::{Access, Cpu, Fault, Mode, Word};
use crate::machine::rng::Rng;
use crate::machine::{FULL, MODES, Machine, cpu, routines};

/// Every access there is.
fn accesses() -> impl Iterator<Item = Access> {
    let kinds = [(false, false), (true, false), (false, true)];
    kinds.into_iter().flat_map(|(write, fetch)| [false, true].map(|user| Access { write, fetch, user }))
}

/// Whether the mapping, as the walker describes it, permits an access.
fn permits(mapping: &Mapping, access: Access, wp: bool) -> bool {
    let rights = mapping.flags.rights;
    let user = rights.contains(Rights::USER) || !access.user;
    let write = !access.write || rights.contains(Rights::WRITE) || !access.user && !wp;
    let fetch = !access.fetch || rights.contains(Rights::EXEC);
    user && write && fetch
}

/// Puts random but valid entries on the way to `va`, from the root in frame `tables[0]` down; whether it leads to a page.
fn lay_path(rng: &mut Rng, machine: &Machine, cpu: &Cpu, tables: &[u64], va: u64) {
    let bytes = cpu.mode.entry_bytes();
    let phys_end = 1u64 << cpu.width();
    for (level, table) in (1..=cpu.mode.levels()).rev().zip(tables) {
        let next = tables.get(tables.len() + 1 - usize::from(level)).copied();
        loop {
            // P mostly; R/W, U/S, PWT, PCD, A, D, PS or PAT, G and the software bits as they come.
            let mut raw = rng.next() & 0xFFE | u64::from(rng.below(16) != 0);
            let registers = cpu.mode == Mode::Pml3 && level == 3;
            if registers {
                raw &= !0x1E6;
            } else if cpu.mode != Mode::Pml2 && cpu.nxe && rng.below(3) == 0 {
                raw |= 0x8000_0000_0000_0000;
            }
            let large = level > 1 && raw & 0x80 != 0 && !registers;
            raw |= match next {
                Some(next) if !large => next << 12,
                // A large page is aligned, and bit 12 is its PAT bit.
                _ if large => (rng.next() % phys_end) & !((1 << cpu.mode.shift(level)) - 1) | rng.below(2) << 12,
                _ => (rng.next() % phys_end) & !0xFFF,
            };
            if cpu.read_word(raw, level) != Word::Reserved {
                machine.arena.write((table << 12) + cpu.mode.index(va, level) * bytes, bytes as usize, raw);
                break;
            }
        }
    }
}

#[test]
fn the_walker_permits_what_the_cpu_permits() {
    let cases: u64 = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000_000);
    for mode in MODES {
        let paging = Paging::new(routines(mode), &FULL);
        let mut machine = Machine::new(&cpu(mode, &FULL), 16);
        let map = PageMap::new(&mut machine.memory, paging).expect("there is room");
        let mut rng = Rng::new(11);
        let mut tables = vec![map.root().0];
        if mode == Mode::Pml3 {
            // The directory that is there: the CPU holds its PDPTE in a register.
            let raw = machine.arena.read(map.root().0 << 12, 8);
            tables.push(raw >> 12);
        }
        while tables.len() < usize::from(mode.levels()) {
            tables.push(machine.memory.table().expect("there is room").0);
        }
        let va = 0x0012_3000;
        let mut verdicts = [0u64; 2];
        for case in 0..cases / 6 {
            let cpu = Cpu { wp: case % 2 == 0, ..cpu(mode, &FULL) };
            lay_path(&mut rng, &machine, &cpu, &tables, va);
            let mapping = map.query(&machine.memory, VirtAddr(va));
            for access in accesses() {
                let verdict = cpu.translate(&machine.arena, map.root().0 << 12, va, access);
                match (&mapping, verdict) {
                    (None, Err(Fault::Page(code))) => assert_eq!(code & 9, 0, "{mode:?}: absent, not forbidden"),
                    (Some(mapping), Ok((phys, leaf))) => {
                        assert!(permits(mapping, access, cpu.wp), "{mode:?}: {access:?} through {mapping:?}");
                        assert_eq!(phys, (mapping.frame.0 << 12) + (va - mapping.start.0), "{mode:?}, {mapping:?}");
                        assert_eq!(leaf.cache, mapping.flags.cache, "{mode:?}, {mapping:?}");
                    }
                    (Some(mapping), Err(Fault::Page(code))) => {
                        assert!(!permits(mapping, access, cpu.wp), "{mode:?}: {access:?} through {mapping:?}");
                        let expected = 1 | u32::from(access.write) << 1 | u32::from(access.user) << 2;
                        assert_eq!(code & 15, expected, "{mode:?}, {access:?}");
                    }
                    (mapping, verdict) => panic!("{mode:?}, {access:?}: {mapping:?}, but {verdict:?}"),
                }
                verdicts[usize::from(verdict.is_ok())] += 1;
            }
        }
        assert!(verdicts.iter().all(|count| *count > cases / 20), "{mode:?}: {verdicts:?}");
    }
}
