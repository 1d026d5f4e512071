//! The command line: any bytes that a loader may have called a text.

use boot::Options;

/// The bytes, as far as they are text, are the command line.
pub fn run(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes);
    let mut unknown = Vec::new();
    let options = Options::parse(&line, |word| unknown.push(word));

    // Word by word and letter by letter, as the documentation tells it.
    let mut expected = Vec::new();
    let (mut no_xpa, mut selftest) = (false, false);
    let mut word = String::new();
    for letter in line.chars().chain([' ']) {
        if !letter.is_whitespace() {
            word.push(letter);
            continue;
        }
        match word.to_ascii_lowercase().as_str() {
            "" => {}
            "noxpa" => no_xpa = true,
            "selftest" => selftest = true,
            _ => expected.push(word.clone()),
        }
        word.clear();
    }
    assert_eq!((options.no_xpa, options.selftest), (no_xpa, selftest), "{line:?}");
    assert_eq!(unknown, expected, "{line:?}");

    // Neither the order of words nor their case matters.
    let backwards: Vec<&str> = line.split_whitespace().rev().collect();
    let backwards = backwards.join("\n").to_ascii_uppercase();
    assert_eq!(Options::parse(&backwards, |_| ()), options, "{line:?} backwards");
}
