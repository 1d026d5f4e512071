//! The command line: any bytes that a loader may have called a text.

use boot::{Misuse, Options};

/// What is reported of a word: the word, its value, or the quotes at its ends.
#[derive(PartialEq, Eq, Debug)]
enum Refused {
    Word,
    Value,
    Quotes,
}

fn is_quote(letter: char) -> bool {
    letter == '"' || letter == '\''
}

/// The bytes, as far as they are text, are the command line.
pub fn run(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes);
    let mut refused = Vec::new();
    let options = Options::parse(&line, |misuse| refused.push(misuse));

    // Word by word and letter by letter, as the documentation tells it.
    let mut expected = Vec::new();
    let (mut no_xpa, mut selftest, mut layout, mut most) = (false, false, String::from("us"), None);
    let mut word = String::new();
    for letter in line.chars().chain([' ']) {
        if !letter.is_whitespace() {
            word.push(letter);
            continue;
        }
        let given = std::mem::take(&mut word);
        for letter in given.chars().skip_while(|letter| is_quote(*letter)) {
            word.push(letter);
        }
        while word.ends_with(is_quote) {
            word.pop();
        }
        if word != given {
            expected.push((Refused::Quotes, given));
        }
        match word.to_ascii_lowercase().as_str() {
            "" => {}
            "noxpa" => no_xpa = true,
            "selftest" => selftest = true,
            lower if lower.starts_with("keys=") => {
                let name = &lower["keys=".len()..];
                if keys::NAMES.split(", ").any(|known| known == name) {
                    layout = name.to_string();
                } else {
                    expected.push((Refused::Value, word.clone()));
                }
            }
            lower if lower.starts_with("maxcpus=") => match lower["maxcpus=".len()..].parse() {
                Ok(count @ 1..) => most = Some(count),
                _ => expected.push((Refused::Value, word.clone())),
            },
            _ => expected.push((Refused::Word, word.clone())),
        }
        word.clear();
    }
    assert_eq!((options.no_xpa, options.selftest, options.max_cpus), (no_xpa, selftest, most), "{line:?}");
    assert_eq!(Some(options.keys), keys::Layout::named(&layout), "{line:?}");
    let refused: Vec<(Refused, String)> = refused
        .iter()
        .map(|misuse| match misuse {
            Misuse::Unknown(word) => (Refused::Word, word.to_string()),
            Misuse::Layout(word) | Misuse::Count(word) => (Refused::Value, word.to_string()),
            Misuse::Quoted(word) => (Refused::Quotes, word.to_string()),
        })
        .collect();
    assert_eq!(refused, expected, "{line:?}");

    // Neither the order of words nor their case matters, but for what has a value, of which the last one counts.
    let backwards: Vec<&str> = line.split_whitespace().rev().collect();
    let backwards = backwards.join("\n").to_ascii_uppercase();
    let backwards = Options { keys: options.keys, max_cpus: options.max_cpus, ..Options::parse(&backwards, |_| ()) };
    assert_eq!(backwards, options, "{line:?} backwards");
}
