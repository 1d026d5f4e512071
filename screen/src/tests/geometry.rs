use crate::{Channel, Geometry, Palette, PixelFormat, Unusable};

const BGR: [Channel; 3] =
    [Channel { position: 16, bits: 8 }, Channel { position: 8, bits: 8 }, Channel { position: 0, bits: 8 }];

const GOOD: Geometry = Geometry { width: 1024, height: 768, pitch: 4096, depth: 32, format: PixelFormat::Direct(BGR) };

#[test]
fn each_thing_that_is_wrong_has_a_name() {
    let with = |change: fn(&mut Geometry)| {
        let mut geometry = GOOD;
        change(&mut geometry);
        geometry.check()
    };
    assert_eq!(GOOD.check(), Ok(()));
    assert_eq!(with(|bad| bad.width = 0), Err(Unusable::Size(0, 768)));
    assert_eq!(with(|bad| bad.height = u32::MAX), Err(Unusable::Size(1024, u32::MAX)));
    assert_eq!(with(|bad| bad.pitch = 4095), Err(Unusable::Pitch { line: 4096, pitch: 4095 }));
    assert_eq!(with(|bad| bad.depth = 12), Err(Unusable::Depth(12)));
    assert_eq!(with(|bad| bad.depth = 24), Ok(()), "the colours fit into 24 bits too");
    assert_eq!(with(|bad| bad.depth = 16), Err(Unusable::Channel(BGR[0], 16)));
    let beyond = Channel { position: 200, bits: 100 };
    let mut bad = GOOD;
    bad.format = PixelFormat::Direct([BGR[0], beyond, BGR[2]]);
    assert_eq!(bad.check(), Err(Unusable::Channel(beyond, 32)));
    bad.format = PixelFormat::Indexed(Palette::new([[0; 3]].into_iter()));
    assert_eq!(bad.check(), Err(Unusable::IndexDepth(32)));
    (bad.depth, bad.format) = (8, PixelFormat::Indexed(Palette::new([].into_iter())));
    assert_eq!(bad.check(), Err(Unusable::NoColors));
}

#[test]
fn a_palette_takes_no_more_colors_than_an_index_can_name() {
    let palette = Palette::new((0..1000).map(|n| [n as u8, 0, 0]));
    assert_eq!((palette.colors().len(), palette.colors()[255]), (256, [255, 0, 0]));
}
