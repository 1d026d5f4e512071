//! The verdict on an access: the walker's against the CPU's, over random words at every level, wrong ones included, and
//! random controls.
//!
//! `CASES=100000000 cargo test -p mm --test paging verdicts` tries that many a mode.

use mm::{Access, AccessKind, Controls, Features, PageMap, Paging, Refusal, VirtAddr};

use crate::machine::mmu::{self, Cpu, Fault, Mode};
use crate::machine::rng::Rng;
use crate::machine::{FULL, Machine, cpu, routines};

/// Some CPU, set in some way, as each side knows it.
fn some_cpu(rng: &mut Rng, mode: Mode) -> (Cpu, Controls) {
    let mut flip = || rng.below(2) == 0;
    let features =
        Features { pse: flip(), pse36: flip(), pat: flip(), page_1g: flip(), pge: flip(), nx: flip(), ..FULL };
    let (write_protect, smep, smap, ac) = (flip(), flip(), flip(), flip());
    let features = Features { phys_bits: [32, 36, 40, 52][rng.below(4) as usize], ..features };
    let cpu = Cpu { wp: write_protect, smep, smap, ac, ..cpu(mode, &features) };
    // In pml2 the walker is told that NXE is on, and has to know that it means nothing there.
    let no_execute = if mode == Mode::Pml2 { rng.below(2) == 0 } else { cpu.nxe };
    (cpu, Controls { features, write_protect, no_execute, smep, smap, ac, ignores_reserved: false })
}

/// Puts a word at every level of the way to `va`, from the root in frame `tables[0]` down.
fn lay_path(rng: &mut Rng, machine: &Machine, cpu: &Cpu, tables: &[u64], va: u64) {
    let bytes = cpu.mode.entry_bytes();
    for (level, table) in (1..=cpu.mode.levels()).rev().zip(tables) {
        // P and R/W and U/S mostly, so that the lower levels come into play.
        let mostly = |rng: &mut Rng, bit| if rng.below(8) == 0 { 0 } else { bit };
        let mut raw = rng.next() & 0xFF8 | mostly(rng, 1) | mostly(rng, 2) | mostly(rng, 4);
        if rng.below(3) != 0 && level > 1 {
            raw &= !0x80;
        }
        let registers = cpu.mode == Mode::Pml3 && level == 3;
        if registers {
            // Bit 5 is left out: TCG writes it, and so the walker takes no offence.
            raw &= if rng.below(16) == 0 { !0x20 } else { !0x1E6 };
        }
        if rng.below(4) == 0 && !registers {
            raw |= 1 << 63;
        }
        // Where a table might be looked for, there is one; everything else may be wrong.
        let address = match tables.get(tables.len() + 1 - usize::from(level)) {
            Some(next) if raw & 0x80 == 0 || registers || level > 3 || level == 2 && !cpu.pse => next << 12,
            _ => rng.next() & 0x000F_FFFF_FFFF_F000 & !((1 << cpu.mode.shift(level)) - 1) | rng.below(2) << 12,
        };
        raw |= if cpu.mode == Mode::Pml2 { address } else { address & ((1 << cpu.phys_bits.max(33)) - 1) };
        if rng.below(6) == 0 {
            let free = if cpu.mode == Mode::Pml2 { 22 } else { 63 };
            let bit = 12 + rng.below(free - 12);
            let large = level > 1 && level <= cpu.top_leaf() && raw & 0x80 != 0 && !registers;
            if large || level == 1 || bit >= u64::from(cpu.phys_bits.max(33)) && cpu.mode != Mode::Pml2 {
                raw |= 1 << bit;
            }
        }
        machine.arena.write((table << 12) + cpu.mode.index(va, level) * bytes, bytes as usize, raw);
    }
}

fn compare(mode: Mode) {
    let cases: u64 = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000_000);
    let paging = Paging::new(routines(mode), &FULL);
    let mut machine = Machine::new(&cpu(mode, &FULL), 16);
    let map = PageMap::new(&mut machine.memory, paging).expect("there is room");
    let mut rng = Rng::new(23);
    let mut tables = vec![map.root().0];
    while tables.len() < usize::from(mode.levels()) {
        tables.push(machine.memory.table().expect("there is room").0);
    }
    let va = 0x0012_3000;
    // No fault, absent, reserved bit, rights.
    let mut seen = [0u64; 4];
    for _ in 0..cases.div_ceil(6) {
        let (cpu, controls) = some_cpu(&mut rng, mode);
        lay_path(&mut rng, &machine, &cpu, &tables, va);
        for access in Access::ALL {
            let same = mmu::Access {
                write: access.kind == AccessKind::Write,
                fetch: access.kind == AccessKind::Fetch,
                user: access.user,
            };
            let expected = match cpu.translate(&machine.arena, map.root().0 << 12, va, same) {
                Ok(_) => None,
                Err(Fault::Page(code)) => Some(code),
                Err(Fault::NotCanonical) => panic!("{va:#x} is canonical everywhere"),
            };
            let told = match map.verdict(&machine.memory, VirtAddr(va), access, &controls) {
                Ok(()) => None,
                Err(Refusal::PageFault(code)) => Some(code.bits()),
                Err(refusal) => panic!("{mode:?}, {cpu:?}, {access:?}: {refusal:?}"),
            };
            assert_eq!(told, expected, "{mode:?}, {access:?} on {cpu:?}");
            seen[expected.map_or(0, |code| 1 + u64::from(code & 8 != 0) + u64::from(code & 9 == 1) * 2) as usize] += 1;
        }
    }
    println!("{mode:?}: {} cases; no fault, absent, reserved bit, rights: {seen:?}", seen.iter().sum::<u64>());
    assert!(seen.iter().all(|count| *count > cases / 50), "{mode:?}: {seen:?}");
}

#[test]
fn the_cpu_and_the_walker_agree_pml2() {
    compare(Mode::Pml2);
}

#[test]
fn the_cpu_and_the_walker_agree_pml3() {
    compare(Mode::Pml3);
}

#[test]
fn the_cpu_and_the_walker_agree_pml4() {
    compare(Mode::Pml4);
}

#[test]
fn the_cpu_and_the_walker_agree_pml5() {
    compare(Mode::Pml5);
}

/// A bit that the CPU refuses makes no difference once reserved bits are ignored.
#[test]
fn ignored_reserved_bits_change_nothing() {
    let read = mmu::Access { write: false, fetch: false, user: false };
    let va = 0x0012_3000;
    for mode in crate::machine::MODES {
        let features = Features { nx: false, pat: false, page_1g: false, pse36: false, phys_bits: 36, ..FULL };
        let cpu = cpu(mode, &features);
        let mut machine = Machine::new(&cpu, 16);
        let map = PageMap::new(&mut machine.memory, Paging::new(routines(mode), &features)).expect("there is room");
        let mut tables = vec![map.root().0];
        while tables.len() < usize::from(mode.levels()) {
            tables.push(machine.memory.table().expect("there is room").0);
        }
        let controls = Controls { features, ignores_reserved: true, ..Controls::default() };
        let bytes = mode.entry_bytes();
        let width = if bytes == 4 { 32 } else { 36 };
        let mut refused = 0;
        for level in 1..=mode.levels() {
            let registers = mode == Mode::Pml3 && level == 3;
            for (large, bit) in (7..bytes * 8).flat_map(|bit| [(false, bit), (true, bit)]) {
                let large = large && (2..=3).contains(&level) && !registers;
                // A bit of the address would lead elsewhere.
                let lowest = if large { mode.shift(level) } else { 12 };
                if (lowest..width).contains(&(bit as _)) {
                    continue;
                }
                for (at, table) in (1..=mode.levels()).rev().zip(&tables) {
                    let next = tables.get(tables.len() + 1 - usize::from(at)).map_or(0, |next| next << 12);
                    let open = if mode == Mode::Pml3 && at == 3 { 1 } else { 7 };
                    let entry = match at == level {
                        true if large => 0x80 | 1 << bit,
                        true => next | 1 << bit,
                        false => next,
                    };
                    machine.arena.write((table << 12) + mode.index(va, at) * bytes, bytes as usize, open | entry);
                }
                match cpu.translate(&machine.arena, map.root().0 << 12, va, read) {
                    Err(Fault::Page(code)) if code & 8 != 0 => refused += 1,
                    _ => continue,
                }
                for access in Access::ALL {
                    let verdict = map.verdict(&machine.memory, VirtAddr(va), access, &controls);
                    assert_eq!(verdict, Ok(()), "{mode:?}, level {level}, bit {bit}, {access:?}");
                }
            }
        }
        // In pml2: bit 7 of a page, bits 12 to 21 of a 4 MiB page.
        assert!(refused >= 11, "{mode:?}: {refused} cases have a reserved bit");
    }
}

#[test]
fn what_cannot_be_looked_at_is_no_verdict() {
    for mode in crate::machine::MODES {
        let mut machine = Machine::new(&cpu(mode, &FULL), 16);
        let map = PageMap::new(&mut machine.memory, Paging::new(routines(mode), &FULL)).expect("there is room");
        let read = Access { kind: AccessKind::Read, user: false };
        let controls = Controls { features: FULL, ..Controls::default() };
        let verdict = |machine: &Machine, va| map.verdict(&machine.memory, VirtAddr(va), read, &controls);
        assert_eq!(verdict(&machine, 1 << 57), Err(Refusal::NotCanonical), "{mode:?}");
        if mode != Mode::Pml3 {
            // The root's first entry names a table where there is no memory.
            machine.arena.write(map.root().0 << 12, mode.entry_bytes() as usize, 0x5000 | 7);
            assert_eq!(verdict(&machine, 0x1000), Err(Refusal::Unseen(mm::Frame(5))), "{mode:?}");
        }
    }
}
