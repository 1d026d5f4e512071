//! ISOs whose menus start one entry by themselves, each made once.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::row::{Row, Start};

/// The ISOs that rows have asked for so far. They are removed with this value.
pub struct Isos {
    root: PathBuf,
    made: Mutex<HashMap<String, PathBuf>>,
}

impl Isos {
    /// None yet; `root` is the project's folder.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into(), made: Mutex::new(HashMap::new()) }
    }

    /// The ISO that `row` boots.
    pub fn get(&self, row: &Row) -> Result<PathBuf, String> {
        let original = self.root.join("build/strata.iso");
        if !original.exists() {
            return Err("there is no build/strata.iso; 'just iso' makes it".into());
        }
        let kernel = row.kernel.name();
        let (name, mut words) = match row.start {
            Start::Menu(_) => return Ok(original),
            Start::Hostile { case, options } => ("tools/iso-hostile", format!("{kernel} {case} {options}")),
            Start::Options { no_xpa, more } => {
                ("tools/iso-variant", format!("{kernel}{} {more}", if no_xpa { "-noxpa" } else { "" }))
            }
        };
        if !row.screen.is_empty() {
            words = format!("--screen {} {words}", row.screen);
        }
        let key = format!("{name} {words}");
        let mut made = self.made.lock().map_err(|_| "an ISO could not be made")?;
        if let Some(iso) = made.get(&key) {
            return Ok(iso.clone());
        }
        let iso = self.root.join(format!("build/boot-tests/{}.iso", made.len()));
        let output = Command::new(self.root.join(name))
            .arg(&iso)
            .args(words.split_whitespace())
            .output()
            .map_err(|error| format!("{name}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        made.insert(key, iso.clone());
        Ok(iso)
    }
}

impl Drop for Isos {
    fn drop(&mut self) {
        for iso in self.made.lock().iter().flat_map(|made| made.values()) {
            let _ = fs::remove_file(iso);
        }
    }
}
