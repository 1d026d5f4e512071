//! The command line.

use core::fmt;

use keys::Layout;

/// What the command line asks for. Its words are separated by white space; a word counts in any case, anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `NOXPA`: keep the base mode.
    pub no_xpa: bool,
    /// `selftest`: run every self-test, then leave.
    pub selftest: bool,
    /// `keys=NAME`: what the keys of a PS/2 keyboard mean. The last one counts.
    pub keys: Layout,
    /// `maxcpus=N`: run on N CPUs at most, 1 or more.
    pub max_cpus: Option<u32>,
    /// `fail-after=N`, in test builds: refuse every request for frames after the first N of the boot.
    #[cfg(feature = "inject")]
    pub fail_after: Option<u64>,
}

/// A word that is ignored, or not taken as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse<'a> {
    /// It is no option.
    Unknown(&'a str),
    /// It is `keys=` and a name that no layout has.
    Layout(&'a str),
    /// It is `maxcpus=` and no number of CPUs.
    Count(&'a str),
    /// It has quotes at its ends, which are dropped. A loader that is given several words in quotes hands them over so.
    Quoted(&'a str),
}

impl fmt::Display for Misuse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Misuse::Unknown(word) => write!(f, "'{}' is no option and is ignored", word.escape_debug()),
            Misuse::Count(word) => write!(f, "'{}' names no number above 0 and is ignored", word.escape_debug()),
            Misuse::Layout(word) => {
                write!(f, "'{}' names no layout and is ignored; there are {}", word.escape_debug(), keys::NAMES)
            }
            Misuse::Quoted(word) => write!(f, "the quotes of {} are dropped", word.escape_debug()),
        }
    }
}

impl Options {
    /// Reads the words of `line`. Those that mean nothing here go to `complain`, in their order, and are ignored. So do those with
    /// quotes at their ends, which count without them.
    pub fn parse<'a>(line: &'a str, mut complain: impl FnMut(Misuse<'a>)) -> Self {
        let mut options = Self::default();
        for given in line.split_whitespace() {
            let word = given.trim_matches(['"', '\'']);
            if word != given {
                complain(Misuse::Quoted(given));
            }
            if word.is_empty() {
                continue;
            }
            if word.eq_ignore_ascii_case("NOXPA") {
                options.no_xpa = true;
            } else if word.eq_ignore_ascii_case("selftest") {
                options.selftest = true;
            } else if let Some(name) = value(word, "keys=") {
                match Layout::named(name) {
                    Some(layout) => options.keys = layout,
                    None => complain(Misuse::Layout(word)),
                }
            } else if let Some(count) = value(word, "maxcpus=") {
                match count.parse().ok().filter(|count| *count > 0) {
                    Some(count) => options.max_cpus = Some(count),
                    None => complain(Misuse::Count(word)),
                }
            } else {
                #[cfg(feature = "inject")]
                if let Some(requests) = word.strip_prefix("fail-after=").and_then(|number| number.parse().ok()) {
                    options.fail_after = Some(requests);
                    continue;
                }
                complain(Misuse::Unknown(word));
            }
        }
        options
    }
}

/// What follows `name` in `word`, if the word begins so, in any case.
fn value<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    let (start, value) = word.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
mod tests {
    use keys::Layout;

    use super::{Misuse, Options};

    fn parse(line: &str) -> (Options, Vec<&str>) {
        let mut unknown = Vec::new();
        let options = Options::parse(line, |misuse| match misuse {
            Misuse::Unknown(word) | Misuse::Count(word) => unknown.push(word),
            Misuse::Layout(word) | Misuse::Quoted(word) => panic!("{word}"),
        });
        (options, unknown)
    }

    #[test]
    fn keys_names_a_layout_or_is_refused() {
        for (line, layout) in
            [("", Layout::Us), ("keys=us", Layout::Us), ("KEYS=De", Layout::De), ("keys=de NOXPA keys=fr", Layout::Fr)]
        {
            assert_eq!(parse(line).0.keys, layout, "{line:?}");
        }
        for word in ["keys=", "keys=xx", "keys=us,de", "KEYS=ü", "keys=de="] {
            let line = format!("keys=uk {word} NOXPA");
            let mut refused = Vec::new();
            let options = Options::parse(&line, |misuse| refused.push(misuse));
            assert_eq!(options, Options { no_xpa: true, keys: Layout::Uk, ..Options::default() });
            assert_eq!(refused, [Misuse::Layout(word)]);
            let said = refused[0].to_string();
            assert!(said.contains(&format!("'{word}'")) && said.contains("us, uk, de,"), "{said}");
        }
        assert_eq!(parse("keys key=de keys:de xkeys=de").1, ["keys", "key=de", "keys:de", "xkeys=de"]);
    }

    #[test]
    fn noxpa_counts_as_a_whole_word_in_any_case_anywhere() {
        for line in ["NOXPA", "noxpa", "NoXpA", "  NOXPA  ", "selftest\tNOXPA", "a NOXPA b", "NOXPA NOXPA", "\nnoxpa\r"]
        {
            assert!(parse(line).0.no_xpa, "{line:?}");
        }
    }

    #[test]
    fn what_only_contains_noxpa_does_not_count() {
        for line in ["", " ", "NOXPAX", "xNOXPA", "NO XPA", "NOXPA=1", "-NOXPA", "NOXPA,selftest", "NO\"XPA", "NOXPÄ"]
        {
            assert!(!parse(line).0.no_xpa, "{line:?}");
        }
    }

    #[test]
    fn quotes_at_the_ends_of_a_word_are_dropped_and_reported() {
        let parse = |line: &str| {
            let mut said = Vec::new();
            let options = Options::parse(line, |misuse| said.push(misuse.to_string()));
            (options, said)
        };
        let both = Options { no_xpa: true, keys: Layout::De, ..Options::default() };
        // As GRUB hands over `"keys=de NOXPA"`.
        let (options, said) = parse("\"keys=de NOXPA\"");
        assert_eq!(options, both);
        assert_eq!(said, ["the quotes of \\\"keys=de are dropped", "the quotes of NOXPA\\\" are dropped"]);
        assert_eq!(parse("'NOXPA' \"keys=de\" \" ''"), {
            let quoted = ["\\'NOXPA\\'", "\\\"keys=de\\\"", "\\\"", "\\'\\'"];
            (both, quoted.map(|word| format!("the quotes of {word} are dropped")).to_vec())
        });
        let (options, said) = parse("\"nonsense\"");
        assert_eq!((options, &said[1][..]), (Options::default(), "'nonsense' is no option and is ignored"));
    }

    #[test]
    fn control_characters_are_reported_as_escapes() {
        for (word, shown) in
            [("a\x1B[2J", "'a\\u{1b}[2J'"), ("maxcpus=\x07", "'maxcpus=\\u{7}'"), ("keys=\u{9b}2J", "'keys=\\u{9b}2J'")]
        {
            let mut said = String::new();
            Options::parse(word, |misuse| said = misuse.to_string());
            assert!(said.starts_with(shown) && !said.chars().any(char::is_control), "{said:?}");
        }
    }

    #[test]
    fn unknown_words_are_reported_in_order_and_change_nothing() {
        let (options, unknown) = parse("quiet selftest NOXPAX ünknown selftest=1");
        assert_eq!(options, Options { selftest: true, ..Options::default() });
        assert_eq!(unknown, ["quiet", "NOXPAX", "ünknown", "selftest=1"]);
        assert_eq!(parse("NOXPA selftest"), (Options { no_xpa: true, selftest: true, ..Options::default() }, vec![]));
    }

    #[test]
    fn how_many_cpus_is_a_number_above_0() {
        for (line, wanted) in [("maxcpus=1", Some(1)), ("MaxCPUs=12", Some(12)), ("maxcpus=3 maxcpus=2", Some(2))] {
            assert_eq!(parse(line).0.max_cpus, wanted, "{line}");
        }
        for line in
            ["maxcpus", "maxcpus=", "maxcpus=0", "maxcpus=-1", "maxcpus=4294967296", "maxcpus=two", "xmaxcpus=1"]
        {
            assert_eq!(parse(line), (Options::default(), vec![line]), "{line}");
        }
    }
}
