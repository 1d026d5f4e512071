//! What the Tab key does: the word before the cursor is finished as far as it is clear which is meant.

/// What is known of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// No word begins so.
    None,
    /// It goes on with these letters, and is one word then if the flag says so.
    More(&'static str, bool),
    /// Several words begin so, and differ in the next letter.
    Several,
}

/// How `word` goes on if it is one of `choices`.
pub fn complete(word: &str, choices: &[&'static str]) -> Completion {
    let mut found = matching(word, choices);
    let Some(first) = found.next() else { return Completion::None };
    let mut common = first.len();
    let mut alone = true;
    for other in found {
        alone = false;
        common = first.bytes().zip(other.bytes()).take(common).take_while(|(a, b)| a == b).count();
    }
    // Choices are ASCII, so every byte is a letter.
    match first.get(word.len()..common).unwrap_or_default() {
        "" if !alone => Completion::Several,
        more => Completion::More(more, alone),
    }
}

/// Those of `choices` that begin with `word`.
pub fn matching<'a>(word: &'a str, choices: &'a [&'static str]) -> impl Iterator<Item = &'static str> + 'a {
    choices.iter().copied().filter(move |choice| choice.starts_with(word))
}

/// The word before the cursor, and how many words are before it.
pub fn word(before_cursor: &str) -> (usize, &str) {
    let start = before_cursor.rfind(' ').map_or(0, |blank| blank + 1);
    let (before, word) = before_cursor.split_at(start);
    (before.split_ascii_whitespace().count(), word)
}

#[cfg(test)]
mod tests {
    use super::{Completion, complete, matching, word};

    const CHOICES: [&str; 4] = ["maps", "mem", "pager", "paging"];

    #[test]
    fn a_word_is_finished_as_far_as_it_is_clear() {
        assert_eq!(complete("x", &CHOICES), Completion::None);
        assert_eq!(complete("ma", &CHOICES), Completion::More("ps", true));
        assert_eq!(complete("maps", &CHOICES), Completion::More("", true));
        assert_eq!(complete("p", &CHOICES), Completion::More("ag", false));
        assert_eq!(complete("pag", &CHOICES), Completion::Several);
        assert_eq!(complete("", &CHOICES), Completion::Several);
        assert_eq!(complete("", &[]), Completion::None);
        assert_eq!(complete("a", &["a", "ab"]), Completion::Several, "a word that another begins with");
        assert_eq!(matching("m", &CHOICES).collect::<Vec<_>>(), ["maps", "mem"]);
    }

    #[test]
    fn the_word_is_what_stands_before_the_cursor() {
        assert_eq!(word(""), (0, ""));
        assert_eq!(word("  se"), (0, "se"));
        assert_eq!(word("selftest "), (1, ""));
        assert_eq!(word("selftest  fr"), (1, "fr"));
        assert_eq!(word("a b c"), (2, "c"));
    }
}
