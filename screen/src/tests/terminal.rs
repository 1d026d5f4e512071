use super::{read, screen};
use crate::{Cell, Color};

fn shown(columns: usize, lines: usize, text: &str) -> Vec<String> {
    let mut screen = screen(columns, lines);
    screen.write(text.as_bytes());
    read(&mut screen)
}

#[test]
fn lines_break_at_the_edge_and_a_full_line_is_not_followed_by_an_empty_one() {
    assert_eq!(shown(4, 5, "abcdefgh"), ["abcd", "efgh"]);
    assert_eq!(shown(4, 5, "abcd\nefgh\nij"), ["abcd", "efgh", "ij"]);
}

#[test]
fn lines_are_cut_off_at_the_edge_while_wrapping_is_off() {
    assert_eq!(shown(4, 6, "abcdef\x1b[?7l\nabcdef\nx\x1b[?7h\nabcdef"), ["abcd", "ef", "abcd", "x", "abcd", "ef"]);
    assert_eq!(shown(4, 5, "\x1b[?8labcdef"), ["abcd", "ef"], "another mode");
}

#[test]
fn what_goes_over_the_foot_moves_everything_up() {
    assert_eq!(shown(4, 3, "1\n2\n3\n4\n5"), ["3", "4", "5"]);
    assert_eq!(shown(4, 3, "1\n2\n3\n"), ["2", "3"]);
    assert_eq!(shown(2, 2, "abcdef"), ["cd", "ef"]);
}

#[test]
fn a_page_stays_and_what_does_not_fit_is_left_out_at_the_end() {
    let page = |text: &str| {
        let mut screen = screen(4, 3);
        screen.write(b"old\n\n\n\x1b[31mold");
        screen.begin_page();
        screen.write(text.as_bytes());
        let lost = screen.end_page();
        (read(&mut screen), lost)
    };
    assert_eq!(page("1\n2\n3"), (vec!["1".into(), "2".into(), "3".into()], false));
    assert_eq!(page("1\n2\n3\n"), (vec!["1".into(), "2".into(), "3".into()], false), "only a line's end is lost");
    assert_eq!(page("1\n2\n3\n4\n5"), (vec!["1".into(), "2".into(), "3".into()], true));
    assert_eq!(page("abcdefghijkl"), (vec!["abcd".into(), "efgh".into(), "ijkl".into()], false));
    assert_eq!(page("abcdefghijklm"), (vec!["abcd".into(), "efgh".into(), "ijkl".into()], true));
    let mut screen = screen(4, 3);
    screen.begin_page();
    screen.write(b"1\n2\n3\n4");
    assert!(screen.end_page());
    screen.write(b"\r\x1b[Kend\n5");
    assert_eq!(read(&mut screen), ["2", "end", "5"], "scrolls again");
}

#[test]
fn the_cursor_goes_where_sequences_send_it() {
    assert_eq!(shown(8, 3, "abc\x1b[2Dx"), ["axc"]);
    assert_eq!(shown(8, 3, "abc\x08\x08x"), ["axc"]);
    assert_eq!(shown(8, 3, "abc\rx"), ["xbc"]);
    assert_eq!(shown(8, 3, "a\tb"), ["a       b".split_at(8).0.trim_end().to_string() + "      b"]);
    assert_eq!(shown(8, 3, "one\ntwo\x1b[1;2Hx\x1b[Bx"), ["oxe", "twx"]);
    assert_eq!(shown(8, 3, "\x1b[99;99Hx\x1b[Hy"), ["y", "", "       x"]);
    assert_eq!(shown(8, 3, "abc\x1b[99D\x1b[99Cx\x1b[5Gy"), ["abc y  x"]);
}

#[test]
fn erasing_takes_what_it_says_and_no_more() {
    assert_eq!(shown(8, 3, "abcdef\x1b[3D\x1b[K"), ["abc"]);
    assert_eq!(shown(8, 3, "abcdef\x1b[4D\x1b[1K"), ["   def"]);
    assert_eq!(shown(8, 3, "abc\x1b[2Kx"), ["   x"]);
    assert_eq!(shown(8, 3, "one\ntwo\nsix\x1b[2;2H\x1b[J"), ["one", "t"]);
    assert_eq!(shown(8, 3, "one\ntwo\nsix\x1b[2;2H\x1b[1J"), ["", "  o", "six"]);
    assert_eq!(shown(8, 3, "one\ntwo\x1b[2J\x1b[Hx"), ["x"]);
}

#[test]
fn colors_are_those_that_were_asked_for() {
    let cells = |text: &str, count: usize| {
        let mut screen = screen(8, 2);
        screen.write(text.as_bytes());
        screen.display().expect("a display").cells[..count].to_vec()
    };
    let cell = |letter, front, back| Cell::new(letter, Color::numbered(front), Color::numbered(back));
    assert!(cells("\x1b[31ma\x1b[1mb\x1b[0mc", 3) == [cell('a', 1, 0), cell('b', 9, 0), cell('c', 7, 0)]);
    assert!(cells("\x1b[97;44ma\x1b[7mb\x1b[mc", 3) == [cell('a', 15, 4), cell('b', 4, 15), cell('c', 7, 0)]);
    assert!(cells("\x1b[38;5;10ma\x1b[38;2;255;0;0;41mb", 2) == [cell('a', 10, 0), cell('b', 1, 1)]);
    assert!(cells("\x1b[38;5ma\x1b[38;9mb", 2) == [cell('a', 7, 0), cell('b', 7, 0)], "sequences cut short");
}

#[test]
fn letters_beyond_ascii_take_one_place_and_garbage_shows_as_such() {
    assert_eq!(shown(8, 2, "µ│ü"), ["µ│ü"]);
    let mut screen = screen(8, 2);
    screen.write(b"\xC2");
    screen.write(b"\xB5\xFFx\xE2\x94");
    screen.write(b"\x82");
    assert_eq!(read(&mut screen), ["µ\u{FFFD}x│"]);
}
