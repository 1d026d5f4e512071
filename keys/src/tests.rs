//! Scancodes as keyboards send them, and as none should.

use crate::{Layout, Translator};

/// What a keyboard sends in this layout for these scancodes.
fn sent(layout: Layout, codes: &[u8]) -> Vec<u8> {
    let mut keyboard = Translator::new(layout);
    codes.iter().flat_map(|code| keyboard.take(*code)).collect()
}

fn text(layout: Layout, codes: &[u8]) -> String {
    String::from_utf8(sent(layout, codes)).expect("letters")
}

/// The scancode of a key that is let go.
const UP: u8 = 0x80;
const SHIFT: u8 = 0x2A;
const RIGHT_SHIFT: u8 = 0x36;
const CONTROL: u8 = 0x1D;
const ALT: u8 = 0x38;
const CAPS_LOCK: u8 = 0x3A;
const NUM_LOCK: u8 = 0x45;
const A: u8 = 0x1E;
const C: u8 = 0x2E;
const Q: u8 = 0x10;
const Y: u8 = 0x15;
const SEVEN: u8 = 0x08;

#[test]
fn keys_send_what_a_terminal_sends() {
    assert_eq!(text(Layout::Us, &[A, A | UP, 0x1C, 0x9C, 0x0E, 0x0F, 0x01]), "a\n\x08\t\x1b");
    assert_eq!(text(Layout::Us, &[SHIFT, A, A | UP, SHIFT | UP, A]), "Aa");
    assert_eq!(text(Layout::Us, &[CONTROL, C, C | UP, CONTROL | UP, C]), "\x03c");
    assert_eq!(text(Layout::Us, &[CAPS_LOCK, CAPS_LOCK | UP, A, SHIFT, A, SHIFT | UP, CAPS_LOCK, A]), "Aaa");
    let named = [0xE0, 0x48, 0xE0, 0x50, 0xE0, 0x4D, 0xE0, 0x4B, 0xE0, 0x47, 0xE0, 0x4F, 0xE0, 0x53, 0xE0, 0x1C];
    assert_eq!(text(Layout::Us, &named), "\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F\x1b[3~\n");
    // The keypad: numbers, or what else its keys are.
    assert_eq!(text(Layout::Us, &[0x48, 0x53, 0xE0, 0x35, NUM_LOCK, NUM_LOCK | UP, 0x48, 0x53]), "8./\x1b[A\x1b[3~");
    // The pause key, which has no release, and the shifts that keyboards wrap round an arrow.
    assert_eq!(text(Layout::Us, &[0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5, A, 0x48]), "a8");
    assert_eq!(text(Layout::Us, &[0xE0, SHIFT, 0xE0, 0x4B, 0xE0, 0xCB, 0xE0, SHIFT | UP, A]), "\x1b[Da");
    // Keys that a terminal does not have.
    assert_eq!(text(Layout::Us, &[0x3B, 0x57, 0xE0, 0x5B, 0xE0, 0x37, 0x46, A]), "a");
}

#[test]
fn layouts_differ() {
    let keys = [Y, SHIFT, SEVEN, SHIFT | UP, 0xE0, ALT, Q, 0xE0, ALT | UP, 0x1A, 0x35];
    assert_eq!(text(Layout::Us, &keys), "y&q[/");
    assert_eq!(text(Layout::De, &keys), "z/@ü-");
    assert_eq!(text(Layout::Fr, &[Q, A]), "aq");
    assert_eq!(text(Layout::Dvorak, &[0x1F, 0x14, Y]), "oyf");
    let mut keyboard = Translator::new(Layout::Us);
    keyboard.set_layout(Layout::De);
    assert_eq!(keyboard.take(Y).collect::<Vec<_>>(), b"z");
    for name in crate::NAMES.split(", ") {
        let layout = Layout::named(name).expect("its own name");
        // Whatever else they have: letters of either case, digits, a blank and the line's end, for the prompt.
        let rows = (0x02..=0x0D).chain(0x10..=0x1B).chain(0x1E..=0x29).chain(0x2B..=0x35).chain([0x39, 0x1C, 0x73]);
        let mut letters = String::new();
        for code in rows {
            letters += &text(layout, &[code]);
            letters += &text(layout, &[SHIFT, code]);
        }
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(" \n-_/.".chars()) {
            assert!(letters.contains(letter), "{name}: no {letter:?}");
        }
    }
}

#[test]
fn scancodes_out_of_order_take_nothing_with_them() {
    // Releases of keys that were never pressed; a key that repeats; one key let go by its other name.
    assert_eq!(text(Layout::Us, &[A | UP, SHIFT | UP, 0xE0, 0xC8, CONTROL | UP, A, A, A | UP, A | UP, C]), "aac");
    assert_eq!(text(Layout::Us, &[SHIFT, RIGHT_SHIFT, SHIFT | UP, A, RIGHT_SHIFT | UP, A]), "Aa");
    assert_eq!(text(Layout::Us, &[CONTROL, 0xE0, CONTROL | UP, C, CONTROL | UP, C]), "\x03c");
    // Prefixes that lead nowhere, that come twice, and into each other.
    assert_eq!(text(Layout::Us, &[0xE0, A, C]), "c");
    assert_eq!(text(Layout::Us, &[0xE0, 0xE0, 0x48, A]), "\x1b[Aa");
    assert_eq!(text(Layout::Us, &[0xE1, 0xE0, 0x48, 0xE0, 0xE1, 0x1D, 0x45, A]), "\x1b[Aa");
    // Answers that are for the driver, and codes that no key has.
    assert_eq!(text(Layout::Us, &[0xFA, 0xFE, 0xEE, 0xAA, 0x60, 0x7F, 0x55, 0xE0, 0x11, A]), "a");
}

#[test]
fn after_an_overrun_no_key_is_down() {
    for overrun in [0x00, 0xFF] {
        let codes = [SHIFT, RIGHT_SHIFT, CONTROL, 0xE0, CONTROL, ALT, 0xE0, ALT, 0xE1, 0x1D, overrun, Q];
        assert_eq!(text(Layout::De, &codes), "q");
        assert_eq!(text(Layout::Us, &[0xE0, overrun, 0x48]), "8", "a prefix before it counts no more");
        assert_eq!(text(Layout::Us, &[CAPS_LOCK, overrun, A]), "A", "what is locked stays so");
    }
}

#[test]
fn no_scancodes_whatever_send_what_is_no_text() {
    // All pairs, and long runs of what a generator makes of a number.
    for first in 0..=255 {
        for second in 0..=255 {
            text(Layout::De, &[first, second, 0x48, A]);
        }
    }
    let mut state = 1u32;
    let mut keyboard = Translator::new(Layout::No);
    let mut all = Vec::new();
    for _ in 0..100_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        all.extend(keyboard.take((state >> 24) as u8));
    }
    assert!(!all.is_empty() && std::str::from_utf8(&all).is_ok());
    keyboard.lose();
    keyboard.set_layout(Layout::Us);
    let at_last: Vec<u8> = [A, 0x1C].into_iter().flat_map(|code| keyboard.take(code)).collect();
    assert_eq!(at_last.to_ascii_lowercase(), b"a\n");
}
