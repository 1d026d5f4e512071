use super::{Glass, read, screen};
use crate::{MOST_COLUMNS, MOST_LINES, Screen};

#[test]
fn what_was_written_before_there_was_a_display_is_shown_on_it() {
    let mut screen = Box::new(Screen::new());
    for n in 0..60 {
        screen.write(format!("line {n}\n").as_bytes());
    }
    screen.attach(Glass::new(120, 40));
    let lines = read(&mut screen);
    assert_eq!((lines.len(), lines[0].as_str(), lines[38].as_str()), (39, "line 21", "line 59"));
    assert_eq!(screen.display().map(|glass| glass.cursor), Some((0, 39)));
    screen.attach(Glass::new(6, 10));
    assert_eq!(read(&mut screen)[8], "line 5", "cut off on the right");
    screen.write(b"ready");
    assert_eq!(read(&mut screen)[9], "ready");
}

#[test]
fn only_cells_that_change_are_drawn() {
    let mut screen = screen(80, 25);
    let drawn = |screen: &mut Screen<Glass>| std::mem::take(&mut screen.display().expect("a display").drawn);
    assert_eq!(drawn(&mut screen), 80 * 25);
    screen.write(b"abc");
    assert_eq!(drawn(&mut screen), 4, "three letters and the cursor");
    for _ in 0..30 {
        screen.write(b"\nabc");
    }
    drawn(&mut screen);
    screen.write(b"\nabc");
    assert_eq!(drawn(&mut screen), 0, "all lines are alike, and the cursor is where it was");
    screen.write(b"\nxbc");
    assert_eq!(drawn(&mut screen), 1);
}

#[test]
fn the_display_shows_what_the_terminal_says_whatever_is_written() {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % below
    };
    let pieces: [&[u8]; 14] = [
        b"\n",
        b"\r",
        b"\t",
        b"\x08",
        b"\x1b[",
        b"\x1b[J",
        b"\x1b[1K",
        b";",
        b"m",
        b"H",
        b"\x1b[A",
        b"\xC2",
        b"\x1b]0;x\x07",
        b"text of some length ",
    ];
    let mut screen = Box::new(Screen::new());
    for round in 0..20_000 {
        if round % 500 == 0 {
            screen.attach(Glass::new(1 + random(250) as usize, 1 + random(90) as usize));
        }
        match random(3) {
            0 => screen.write(pieces[random(pieces.len() as u64) as usize]),
            1 => screen.write(format!("\x1b[{};{}H", random(100), random(300)).as_bytes()),
            _ => screen.write(&[random(256) as u8]),
        }
        let (columns, lines) = screen.terminal().size();
        assert!(columns <= MOST_COLUMNS && lines <= MOST_LINES);
        let at = screen.terminal().cursor();
        if round % 16 == 0 {
            let said: Vec<_> = (0..lines).flat_map(|line| screen.terminal().line(line).to_vec()).collect();
            let glass = screen.display().expect("a display");
            for (n, cell) in said.iter().enumerate() {
                let place = (n % columns, n / columns);
                let cell = if place == at { cell.under_cursor() } else { *cell };
                assert!(glass.cells[place.1 * glass.columns + place.0] == cell, "round {round}, {place:?}");
            }
        }
    }
}
