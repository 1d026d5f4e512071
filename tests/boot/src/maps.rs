//! What the kernel's `maps` says.

use crate::walk::Run;

/// Reads the lines of `maps`, the self-map's left out, and checks that there are as many as the last line says.
pub fn parse(text: &str) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    for (lines, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        if let Some(summary) = line.strip_prefix("maps: ") {
            let said = summary.split(' ').next().and_then(|count| count.parse::<usize>().ok());
            return if said == Some(lines) { Ok(runs) } else { Err(format!("{lines} lines, but '{line}'")) };
        }
        let run = parse_line(line).ok_or_else(|| format!("this line of maps cannot be read: {line}"))?;
        runs.extend(run);
    }
    Err("maps ended without its last line".into())
}

/// `0xc0100000-0xc010ffff 64K r-x-g 4K wb text -> 0x100000`; `Some(None)` for the self-map.
fn parse_line(line: &str) -> Option<Option<Run>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [range, size, rights, page, cache, what, "->", target] = fields[..] else { return None };
    let (start, last) = range.split_once('-')?;
    let (start, last) = (number(start)?, number(last)?);
    let bytes = last.wrapping_sub(start).wrapping_add(1);
    if size.strip_suffix('K')?.parse::<u64>().ok()? << 10 != bytes {
        return None;
    }
    if what == "self-map" {
        return Some(None);
    }
    let known = |word: &str, words: &[&'static str]| words.iter().find(|known| **known == word).copied();
    Some(Some(Run {
        start,
        bytes,
        target: number(target)?,
        rights: rights.chars().collect::<Vec<_>>().try_into().ok()?,
        page: known(page, &["4K", "2M", "4M", "1G"])?,
        cache: known(cache, &["wb", "wt", "wc", "uc"])?,
    }))
}

fn number(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_and_their_count() {
        let line = "0xc0100000-0xc010ffff 64K r-x-g 4K wb text -> 0x100000\r\n";
        let map = "0xffc00000-0xffffffff 4096K r-x-- - wb self-map -> 0x3fc0000\r\n";
        let runs = parse(&format!("{line}{map}maps: 2 mappings, 4 tables\r\n")).unwrap();
        assert_eq!((runs.len(), runs[0].start, runs[0].bytes, runs[0].target), (1, 0xC010_0000, 0x1_0000, 0x10_0000));
        assert!(parse(line).is_err(), "no last line");
        assert!(parse(&format!("{line}maps: 2 mappings, 4 tables")).is_err(), "a line was lost");
        assert!(
            parse("0xc0100000-0xc010ffff 63K r-x-g 4K wb text -> 0x100000\nmaps: 1 mappings").is_err(),
            "a wrong size"
        );
    }
}
