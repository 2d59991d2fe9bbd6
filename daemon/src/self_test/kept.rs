//! What outlives a weftd of the self-test: to which VTEPs checksums are damaged. The next weftd of the same boot goes on
//! with it, so that no packet is lost to find it out again.
//!
//! A power cut ends the boot that the file is of, so it needs no sync.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use weft_vxlan::Vtep;

/// The file's name in the state folder.
pub const FILE_NAME: &str = "self-test.json";

/// The file.
#[derive(Debug, Clone)]
pub struct Kept {
    file: PathBuf,
    boot: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    boot: String,
    damaged: BTreeSet<Vtep>,
}

impl Kept {
    /// That of a state folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::of_boot(folder, boot.trim())
    }

    fn of_boot(folder: &Path, boot: &str) -> Self {
        Self { file: folder.join(FILE_NAME), boot: boot.to_owned() }
    }

    /// What was kept in this boot. What cannot be read was not kept: it is found out again.
    #[must_use]
    pub fn load(&self) -> BTreeSet<Vtep> {
        let contents =
            fs::read(&self.file).ok().and_then(|text| serde_json::from_slice::<Contents>(&text).ok());
        contents
            .filter(|contents| contents.boot == self.boot)
            .map(|contents| contents.damaged)
            .unwrap_or_default()
    }

    /// Keeps `damaged`, all or nothing of it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, damaged: &BTreeSet<Vtep>) -> io::Result<()> {
        if damaged.is_empty() {
            return self.forget();
        }
        let contents = Contents { boot: self.boot.clone(), damaged: damaged.clone() };
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&contents)?)?;
        fs::rename(&new, &self.file)
    }

    /// Keeps nothing.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_one_boot_only() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of_boot(folder.path(), "one");
        assert!(kept.load().is_empty());
        let damaged = BTreeSet::from(["192.0.2.2".parse().unwrap(), "2001:db8::2".parse().unwrap()]);
        kept.save(&damaged).unwrap();
        assert_eq!(kept.load(), damaged);
        assert!(Kept::of_boot(folder.path(), "two").load().is_empty());
        kept.save(&BTreeSet::new()).unwrap();
        assert!(kept.load().is_empty() && !kept.file().exists());
        kept.forget().unwrap();
        fs::write(kept.file(), "{").unwrap();
        assert!(kept.load().is_empty());
    }
}
