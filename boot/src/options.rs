//! The command line.

/// What the command line asks for. Its words are separated by white space; a word counts in any case, anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `NOXPA`: keep the base mode.
    pub no_xpa: bool,
    /// `selftest`: run every self-test, then leave.
    pub selftest: bool,
    /// `fail-after=N`, in test builds: refuse every request for frames after the first N of the boot.
    #[cfg(feature = "inject")]
    pub fail_after: Option<u64>,
}

impl Options {
    /// Reads the words of `line`. `unknown` is told of those that mean nothing here, in their order; they are ignored.
    pub fn parse<'a>(line: &'a str, mut unknown: impl FnMut(&'a str)) -> Self {
        let mut options = Self::default();
        for word in line.split_whitespace() {
            if word.eq_ignore_ascii_case("NOXPA") {
                options.no_xpa = true;
            } else if word.eq_ignore_ascii_case("selftest") {
                options.selftest = true;
            } else {
                #[cfg(feature = "inject")]
                if let Some(requests) = word.strip_prefix("fail-after=").and_then(|number| number.parse().ok()) {
                    options.fail_after = Some(requests);
                    continue;
                }
                unknown(word);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> (Options, Vec<&str>) {
        let mut unknown = Vec::new();
        let options = Options::parse(line, |word| unknown.push(word));
        (options, unknown)
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
        for line in ["", " ", "NOXPAX", "xNOXPA", "NO XPA", "NOXPA=1", "-NOXPA", "NOXPA,selftest", "\"NOXPA\"", "NOXPÄ"]
        {
            assert!(!parse(line).0.no_xpa, "{line:?}");
        }
    }

    #[test]
    fn unknown_words_are_reported_in_order_and_change_nothing() {
        let (options, unknown) = parse("quiet selftest NOXPAX ünknown selftest=1");
        assert_eq!(options, Options { selftest: true, ..Options::default() });
        assert_eq!(unknown, ["quiet", "NOXPAX", "ünknown", "selftest=1"]);
        assert_eq!(parse("NOXPA selftest"), (Options { no_xpa: true, selftest: true, ..Options::default() }, vec![]));
    }
}
