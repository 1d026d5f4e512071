//! Layouts: which letters the keys have.

use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, DVP104Key, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key, Uk105Key, Us104Key,
};

/// A keyboard's layout. As it comes, the one of the United States.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    /// The United States'.
    #[default]
    Us,
    /// The United Kingdom's.
    Uk,
    /// Germany's.
    De,
    /// France's.
    Fr,
    /// Finland's and Sweden's.
    FiSe,
    /// Norway's.
    No,
    /// Japan's, its Latin letters only.
    Jp,
    /// Colemak.
    Colemak,
    /// Dvorak.
    Dvorak,
    /// Dvorak for programmers.
    Dvp,
}

/// What the layouts are called; Finland and Sweden share one.
const LAYOUTS: [(&str, Layout); 11] = [
    ("us", Layout::Us),
    ("uk", Layout::Uk),
    ("de", Layout::De),
    ("fr", Layout::Fr),
    ("fi", Layout::FiSe),
    ("se", Layout::FiSe),
    ("no", Layout::No),
    ("jp", Layout::Jp),
    ("colemak", Layout::Colemak),
    ("dvorak", Layout::Dvorak),
    ("dvp", Layout::Dvp),
];

/// The names of all layouts, with commas between them.
pub const NAMES: &str = "us, uk, de, fr, fi, se, no, jp, colemak, dvorak, dvp";

impl Layout {
    /// The layout of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        LAYOUTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, layout)| *layout)
    }

    /// The first of its names.
    pub fn name(self) -> &'static str {
        LAYOUTS.iter().find(|(_, layout)| *layout == self).map_or("", |(name, _)| name)
    }

    /// What knows its letters.
    pub(crate) const fn letters(self) -> AnyLayout {
        match self {
            Layout::Us => AnyLayout::Us104Key(Us104Key),
            Layout::Uk => AnyLayout::Uk105Key(Uk105Key),
            Layout::De => AnyLayout::De105Key(De105Key),
            Layout::Fr => AnyLayout::Azerty(Azerty),
            Layout::FiSe => AnyLayout::FiSe105Key(FiSe105Key),
            Layout::No => AnyLayout::No105Key(No105Key),
            Layout::Jp => AnyLayout::Jis109Key(Jis109Key),
            Layout::Colemak => AnyLayout::Colemak(Colemak),
            Layout::Dvorak => AnyLayout::Dvorak104Key(Dvorak104Key),
            Layout::Dvp => AnyLayout::DVP104Key(DVP104Key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LAYOUTS, Layout, NAMES};

    #[test]
    fn every_layout_has_a_name_and_is_found_by_it_in_any_case() {
        for (name, layout) in LAYOUTS {
            assert_eq!(Layout::named(name), Some(layout));
            assert_eq!(Layout::named(&name.to_uppercase()), Some(layout));
            assert_eq!(Layout::named(layout.name()), Some(layout));
        }
        assert_eq!(NAMES.split(", ").collect::<Vec<_>>(), LAYOUTS.map(|(name, _)| name));
        for name in ["", "u", "usa", "de-ch", "us,de", "ß"] {
            assert_eq!(Layout::named(name), None, "{name}");
        }
    }
}
