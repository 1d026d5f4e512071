//! Letters as pixels: looked at with a reader of its own, in every pixel format.

use std::cell::RefCell;
use std::rc::Rc;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};

use crate::{Channel, Color, Geometry, Palette, PixelFormat, Pixels, Rgb, Screen, Surface};

/// Bytes that nobody has written.
const UNTOUCHED: u8 = 0xA5;

#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Memory {
    fn of(geometry: &Geometry) -> Self {
        Self(Rc::new(RefCell::new(vec![UNTOUCHED; geometry.bytes() as usize])))
    }
}

impl Surface for Memory {
    fn bytes(&self) -> usize {
        self.0.borrow().len()
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

fn direct(depth: u8, channels: [(u8, u8); 3], size: (u32, u32), padding: u32) -> Geometry {
    let format = PixelFormat::Direct(channels.map(|(position, bits)| Channel { position, bits }));
    let (width, height) = size;
    Geometry { width, height, pitch: width * u32::from(depth.div_ceil(8)) + padding, depth, format }
}

/// The pixel at `x`, `y`, with as many bits a colour as the format has.
fn pixel(memory: &[u8], geometry: &Geometry, x: u32, y: u32) -> Vec<u64> {
    let bytes = usize::from(geometry.depth.div_ceil(8));
    let at = (y * geometry.pitch) as usize + x as usize * bytes;
    let raw = memory[at..at + bytes].iter().rev().fold(0, |raw: u64, byte| raw << 8 | u64::from(*byte));
    match geometry.format {
        PixelFormat::Direct(channels) => {
            channels.map(|channel| raw >> channel.position & ((1 << channel.bits) - 1)).to_vec()
        }
        PixelFormat::Indexed(_) => vec![raw],
    }
}

fn expected(geometry: &Geometry, color: Rgb) -> Vec<u64> {
    match geometry.format {
        PixelFormat::Direct(channels) => {
            let scaled = channels.iter().zip(color).map(|(channel, value)| {
                let value = u64::from(value);
                if channel.bits >= 8 { value << (channel.bits - 8) } else { value >> (8 - channel.bits) }
            });
            scaled.collect()
        }
        PixelFormat::Indexed(palette) => {
            vec![palette.colors().iter().position(|other| *other == color).expect("in the palette") as u64]
        }
    }
}

/// Writes text at the start and looks for its letters, pixel by pixel.
fn letters_are_where_they_belong(geometry: Geometry) {
    let memory = Memory::of(&geometry);
    let mut screen = Box::new(Screen::new());
    screen.attach(Pixels::new(memory.clone(), geometry).expect("a good framebuffer"));
    screen.write(b"Ag\x1b[31mx\n");
    let memory = memory.0.borrow();
    let size = match geometry.width {
        ..1687 => RasterHeight::Size16,
        1687..2400 => RasterHeight::Size20,
        2400..2640 => RasterHeight::Size24,
        _ => RasterHeight::Size32,
    };
    let (front, back) = (expected(&geometry, Color::WHITE.rgb()), expected(&geometry, Color::BLACK.rgb()));
    let red = expected(&geometry, Color::numbered(1).rgb());
    for (n, (letter, front)) in [('A', &front), ('g', &front), ('x', &red), (' ', &front)].into_iter().enumerate() {
        let shape = get_raster(letter, FontWeight::Regular, size).expect("the letter's shape");
        let mut covered = 0;
        for (y, row) in shape.rows().enumerate() {
            for (x, coverage) in row.iter().enumerate() {
                let seen = pixel(&memory, &geometry, (n * shape.width() + x) as u32, y as u32);
                // What is neither ink nor paper is something between them.
                match coverage {
                    0..8 => assert_eq!(&seen, &back, "paper of letter {n} at {x}, {y}"),
                    248.. => assert_eq!(&seen, front, "ink of letter {n} at {x}, {y}"),
                    _ if matches!(geometry.format, PixelFormat::Indexed(_)) => {}
                    _ => {
                        for (seen, (front, back)) in seen.iter().zip(front.iter().zip(&back)) {
                            let between = (front.min(back)..=front.max(back)).contains(&seen);
                            assert!(between, "edge of letter {n} at {x}, {y}");
                        }
                    }
                }
                covered += usize::from(*coverage > 200);
            }
        }
        assert_eq!(covered > 5, letter != ' ', "what is compared is a letter");
    }
    // The last pixel belongs to no letter; what is between two lines belongs to nobody.
    assert_eq!(pixel(&memory, &geometry, geometry.width - 1, geometry.height - 1), back);
    let line = (geometry.width as usize) * usize::from(geometry.depth.div_ceil(8));
    for row in memory.chunks(geometry.pitch as usize) {
        assert!(row[line..].iter().all(|byte| *byte == UNTOUCHED), "written beside a line");
    }
}

#[test]
fn in_every_pixel_format() {
    let size = (643, 483);
    letters_are_where_they_belong(direct(32, [(16, 8), (8, 8), (0, 8)], size, 0));
    letters_are_where_they_belong(direct(32, [(0, 8), (8, 8), (16, 8)], size, 64));
    letters_are_where_they_belong(direct(32, [(20, 10), (10, 10), (0, 10)], size, 4));
    letters_are_where_they_belong(direct(24, [(16, 8), (8, 8), (0, 8)], size, 0));
    letters_are_where_they_belong(direct(24, [(0, 8), (8, 8), (16, 8)], size, 7));
    letters_are_where_they_belong(direct(16, [(11, 5), (5, 6), (0, 5)], size, 2));
    letters_are_where_they_belong(direct(16, [(0, 5), (5, 6), (11, 5)], size, 0));
    letters_are_where_they_belong(direct(15, [(10, 5), (5, 5), (0, 5)], size, 0));
    let colors = (0..16).rev().map(|number| Color::numbered(number).rgb());
    let format = PixelFormat::Indexed(Palette::new(colors));
    letters_are_where_they_belong(Geometry { width: 640, height: 480, pitch: 656, depth: 8, format });
}

#[test]
fn at_every_size() {
    let bgr = [(16, 8), (8, 8), (0, 8)];
    for size in [(160, 160), (640, 480), (1024, 768), (1366, 768), (1920, 1080), (1920, 1200)] {
        letters_are_where_they_belong(direct(32, bgr, size, 0));
    }
    for size in [(2560, 1440), (3840, 2160), (7680, 4320)] {
        letters_are_where_they_belong(direct(32, bgr, size, 0));
    }
}

#[test]
fn a_rectangle_fills_what_it_covers() {
    let geometry = direct(24, [(16, 8), (8, 8), (0, 8)], (200, 170), 3);
    let memory = Memory::of(&geometry);
    let mut pixels = Pixels::new(memory.clone(), geometry).expect("a good framebuffer");
    pixels.fill((150, 100), (70, 5), [1, 2, 3]);
    pixels.fill((3, u32::MAX), (u32::MAX, u32::MAX), [9, 9, 9]);
    let memory = memory.0.borrow();
    for y in 0..170 {
        for x in 0..200 {
            let inside = x >= 150 && (100..105).contains(&y);
            let filled = pixel(&memory, &geometry, x, y) == [1, 2, 3];
            assert_eq!(filled, inside, "{x}, {y}");
        }
    }
}
