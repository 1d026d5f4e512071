//! The guest's page tables, walked from outside, from the manuals and nothing else.
//!
//! Nothing of `mm` is used here: what the kernel says about its tables is not evidence. Shifts and masks are literal
//! (SDM vol. 3A, 4.3 to 4.5).

use crate::row::Mode;

/// A run of pages that continue one another and are alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub start: u64,
    pub bytes: u64,
    pub target: u64,
    /// `r`, `w`, `x`, `u`, `g`, each or `-`.
    pub rights: [char; 5],
    pub page: &'static str,
    pub cache: &'static str,
}

/// What a walk needs to know of the machine.
pub struct Tables<'a> {
    pub mode: Mode,
    pub cr3: u64,
    pub nxe: bool,
    pub pa_bits: u32,
    /// Reads a 4 KiB page of physical memory.
    pub read: &'a mut dyn FnMut(u64) -> Result<Vec<u8>, String>,
}

/// Rights on the way down: writable, executable, open to ring 3.
#[derive(Clone, Copy)]
struct Passed {
    write: bool,
    exec: bool,
    user: bool,
}

/// What the indices PAT, PCD, PWT select once the PAT holds 0x0001040600070406.
const CACHES: [&str; 8] = ["wb", "wt", "uc", "uc", "wb", "wt", "wc", "uc"];

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

impl Tables<'_> {
    /// Everything that is mapped, but for the self-map.
    pub fn runs(&mut self) -> Result<Vec<Run>, String> {
        let mut runs = Vec::new();
        let all = Passed { write: true, exec: true, user: true };
        match self.mode {
            Mode::Pml2 => self.two_level(all, &mut runs)?,
            Mode::Pml3 => self.directory_pointers(all, &mut runs)?,
            Mode::Pml4 => self.level(self.cr3 & 0xF_FFFF_FFFF_F000, 39, 0, all, &mut runs)?,
            Mode::Pml5 => self.level(self.cr3 & 0xF_FFFF_FFFF_F000, 48, 0, all, &mut runs)?,
        }
        Ok(merged(runs))
    }

    fn two_level(&mut self, all: Passed, runs: &mut Vec<Run>) -> Result<(), String> {
        let directory = (self.read)(self.cr3 & 0xFFFF_F000)?;
        // The last entry is the self-map.
        for (index, pde) in directory.chunks_exact(4).map(word32).enumerate().take(1023) {
            let start = (index as u64) << 22;
            let passed = narrowed(all, pde);
            if pde & PRESENT == 0 {
                continue;
            }
            if pde & LARGE != 0 {
                if pde & 0x003F_E000 != 0 {
                    return Err(format!(
                        "the 4 MiB entry for {start:#x} has bits set that PSE-36 or nobody uses: {pde:#x}"
                    ));
                }
                runs.push(leaf(start, 1 << 22, pde & 0xFFC0_0000, passed, pde, 12, "4M"));
                continue;
            }
            for (index, pte) in (self.read)(pde & 0xFFFF_F000)?.chunks_exact(4).map(word32).enumerate() {
                if pte & PRESENT != 0 {
                    let start = start | (index as u64) << 12;
                    runs.push(leaf(start, 1 << 12, pte & 0xFFFF_F000, narrowed(passed, pte), pte, 7, "4K"));
                }
            }
        }
        Ok(())
    }

    fn directory_pointers(&mut self, all: Passed, runs: &mut Vec<Run>) -> Result<(), String> {
        let page = (self.read)(self.cr3 & 0xFFFF_F000)?;
        let at = (self.cr3 & 0xFE0) as usize;
        for (index, pdpte) in page[at..at + 32].chunks_exact(8).map(word64).enumerate() {
            if pdpte & PRESENT == 0 {
                continue;
            }
            // But for bit 5: reserved here too, but TCG writes it when it walks, as if it were an accessed bit.
            if pdpte & 0xFFF0_0000_0000_01C6 != 0 {
                return Err(format!("directory pointer {index} has reserved bits set: {pdpte:#x}"));
            }
            self.level(pdpte & 0xF_FFFF_FFFF_F000, 21, (index as u64) << 30, all, runs)?;
        }
        Ok(())
    }

    /// The table at `table`, whose entries cover 2^`shift` bytes each, the first of them from `base` on.
    fn level(&mut self, table: u64, shift: u32, base: u64, passed: Passed, runs: &mut Vec<Run>) -> Result<(), String> {
        for (index, entry) in (self.read)(table)?.chunks_exact(8).map(word64).enumerate() {
            let start = self.canonical(base + ((index as u64) << shift));
            if entry & PRESENT == 0 || self.is_self_map(start, shift, index) {
                continue;
            }
            let beyond = 0xF_FFFF_FFFF_FFFF & !((1u64 << self.pa_bits) - 1);
            if entry & beyond != 0 || (entry >> 63 != 0 && !self.nxe) {
                return Err(format!("the entry for {start:#x} has reserved bits set: {entry:#x}"));
            }
            let passed = narrowed(passed, entry);
            let address = entry & 0xF_FFFF_FFFF_F000;
            let (page, large) = match shift {
                12 => ("4K", false),
                21 => ("2M", entry & LARGE != 0),
                30 => ("1G", entry & LARGE != 0),
                _ if entry & LARGE != 0 => return Err(format!("the entry for {start:#x} has bit 7 set: {entry:#x}")),
                _ => ("", false),
            };
            if shift == 12 {
                runs.push(leaf(start, 1 << 12, address, passed, entry, 7, page));
            } else if large {
                let target = address & !((1 << shift) - 1);
                if address & ((1 << shift) - 1) & !(1 << 12) != 0 {
                    return Err(format!("the large entry for {start:#x} is misaligned: {entry:#x}"));
                }
                runs.push(leaf(start, 1 << shift, target, passed, entry, 12, page));
            } else {
                self.level(address, shift - 9, base + ((index as u64) << shift), passed, runs)?;
            }
        }
        Ok(())
    }

    fn is_self_map(&self, start: u64, shift: u32, index: usize) -> bool {
        match self.mode {
            Mode::Pml2 => false,
            Mode::Pml3 => shift == 21 && start >= 0xFF80_0000,
            Mode::Pml4 => shift == 39 && index == 0x1ED,
            Mode::Pml5 => shift == 48 && index == 0x1ED,
        }
    }

    fn canonical(&self, address: u64) -> u64 {
        match self.mode {
            Mode::Pml4 if address >> 47 & 1 != 0 => address | 0xFFFF << 48,
            Mode::Pml5 if address >> 56 & 1 != 0 => address | 0x7F << 57,
            _ => address,
        }
    }
}

fn narrowed(passed: Passed, entry: u64) -> Passed {
    Passed {
        write: passed.write && entry & 2 != 0,
        exec: passed.exec && entry >> 63 == 0,
        user: passed.user && entry & 4 != 0,
    }
}

fn leaf(start: u64, bytes: u64, target: u64, passed: Passed, entry: u64, pat: u32, page: &'static str) -> Run {
    let letter = |set, letter| if set { letter } else { '-' };
    let rights = [
        'r',
        letter(passed.write, 'w'),
        letter(passed.exec, 'x'),
        letter(passed.user, 'u'),
        letter(entry & 1 << 8 != 0, 'g'),
    ];
    let cache = CACHES[(entry >> 3 & 3 | (entry >> pat & 1) << 2) as usize];
    Run { start, bytes, target, rights, page, cache }
}

/// Joins runs that continue one another.
pub fn merged(runs: Vec<Run>) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last)
                if last.start.wrapping_add(last.bytes) == run.start
                    && last.target + last.bytes == run.target
                    && (last.rights, last.page, last.cache) == (run.rights, run.page, run.cache) =>
            {
                last.bytes += run.bytes;
            }
            _ => merged.push(run),
        }
    }
    merged
}

fn word32(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn word64(bytes: &[u8]) -> u64 {
    word32(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Run, Tables, merged};
    use crate::row::Mode;

    fn tables(mode: Mode, pages: Vec<(u64, Vec<(usize, u64)>)>) -> Result<Vec<Run>, String> {
        let bytes = if mode == Mode::Pml2 { 4 } else { 8 };
        let mut read = |address: u64| {
            let page = pages.iter().find(|page| page.0 == address).ok_or(format!("no page {address:#x}"))?;
            let mut memory = vec![0; 4096];
            for (index, entry) in &page.1 {
                memory[index * bytes..(index + 1) * bytes].copy_from_slice(&entry.to_le_bytes()[..bytes]);
            }
            Ok(memory)
        };
        Tables { mode, cr3: pages[0].0, nxe: true, pa_bits: 40, read: &mut read }.runs()
    }

    #[test]
    fn pml2_pages_of_both_sizes() {
        let runs = tables(
            Mode::Pml2,
            vec![
                (0x1000, vec![(768, 0x2003), (769, 0x40_0183), (1023, 0x1001)]),
                (0x2000, vec![(0, 0x5003), (1, 0x6001), (1023, 0x7103)]),
            ],
        );
        let text: Vec<_> = runs
            .unwrap()
            .iter()
            .map(|run| (run.start, run.target, run.page, run.rights.iter().collect::<String>()))
            .collect();
        let row = |start, target, page, rights: &str| (start, target, page, rights.to_string());
        let expected = [
            row(0xC000_0000, 0x5000, "4K", "rwx--"),
            row(0xC000_1000, 0x6000, "4K", "r-x--"),
            row(0xC03F_F000, 0x7000, "4K", "rwx-g"),
            row(0xC040_0000, 0x40_0000, "4M", "rwx-g"),
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn five_levels_end_in_the_upper_half() {
        let runs = tables(
            Mode::Pml5,
            vec![
                (0x1000, vec![(0x1ED, 0x1003), (511, 0x2003)]),
                (0x2000, vec![(511, 0x3003)]),
                (0x3000, vec![(510, 0x4003)]),
                (0x4000, vec![(1, 0x8000_0000_0020_0083)]),
            ],
        )
        .unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].start, runs[0].target, runs[0].page), (0xFFFF_FFFF_8020_0000, 0x20_0000, "2M"));
        assert_eq!(runs[0].rights, ['r', 'w', '-', '-', '-']);
    }

    #[test]
    fn reserved_bits_are_found() {
        assert!(tables(Mode::Pml3, vec![(0x1000, vec![(0, 0x2003)])]).unwrap_err().contains("reserved"));
        let beyond = vec![(0x1000, vec![(0, 0x2003)]), (0x2000, vec![(0, 1 << 41 | 3)])];
        assert!(tables(Mode::Pml4, beyond).unwrap_err().contains("reserved"));
    }

    #[test]
    fn only_what_continues_is_joined() {
        let run = |start, target| Run { start, bytes: 0x1000, target, rights: ['r'; 5], page: "4K", cache: "wb" };
        assert_eq!(merged(vec![run(0x1000, 0x1000), run(0x2000, 0x2000), run(0x3000, 0x9000)]).len(), 2);
    }
}
