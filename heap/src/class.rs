//! Size classes: four for each doubling from 64 bytes on, so that an object is at most a fifth smaller than its place.

/// Bytes by which the smallest classes differ, and to which every object is aligned.
pub const STEP: usize = 16;

/// The largest object that a slab holds, in bytes.
pub const LARGEST: usize = 2048;

/// How many classes there are.
pub const COUNT: usize = 24;

/// The sizes of the classes' objects, in bytes.
const SIZES: [u16; COUNT] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792,
    2048,
];

/// The class of an object by its size in steps, rounded up.
const CLASSES: [u8; LARGEST / STEP + 1] = {
    let mut classes = [0; LARGEST / STEP + 1];
    let (mut steps, mut class) = (0, 0);
    while steps < classes.len() {
        if steps * STEP > SIZES[class] as usize {
            class += 1;
        }
        classes[steps] = class as u8;
        steps += 1;
    }
    classes
};

/// The class of objects of `size` bytes that begin at a multiple of `align`; `None` if they are too large for any.
#[inline]
pub const fn of(size: usize, align: usize) -> Option<usize> {
    let mut size = size;
    if align > STEP {
        // Objects of a power of two lie at multiples of it.
        size = if size > align { size } else { align };
        size = match size.checked_next_power_of_two() {
            Some(size) => size,
            None => return None,
        };
    }
    if size > LARGEST { None } else { Some(CLASSES[size.div_ceil(STEP)] as usize) }
}

/// The bytes of an object of `class`, which is below [`COUNT`].
#[inline]
pub const fn size(class: usize) -> usize {
    SIZES[class] as usize
}

/// What objects of `class` begin at a multiple of, in bytes: the largest power of two that divides their size.
pub const fn align(class: usize) -> usize {
    1 << size(class).trailing_zeros()
}

const _: () = assert!(SIZES[COUNT - 1] as usize == LARGEST && SIZES[0] as usize == STEP);
