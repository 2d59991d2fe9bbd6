//! Marks of the pin folder: whose intent its maps follow, and which network namespace its links are in. A mark is an
//! empty folder `KIND/VALUE` on the bpffs, which lives exactly as long as the maps and programs do, and whose renaming is
//! one step.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::names;

/// The value that `kind` is marked with. What is not named like one is not looked at.
pub(super) fn read(kind: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(kind) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut values = Vec::new();
    for entry in entries {
        values.extend(entry?.file_name().into_string().ok().filter(|name| names::is_mark(name)));
    }
    Ok(values.into_iter().min())
}

/// Marks `kind` with `value`, whatever it was marked with.
pub(super) fn write(kind: &Path, value: &str) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    let builder = builder.recursive(true).mode(0o700);
    builder.create(kind)?;
    match read(kind)? {
        Some(held) if held == value => Ok(()),
        Some(other) => fs::rename(kind.join(other), kind.join(value)),
        None => builder.create(kind.join(value)),
    }
}

/// The folder that is the mark, if there is one.
pub(super) fn path(kind: &Path) -> Option<PathBuf> {
    // If it cannot be read, the removal of the folder around it fails and is told.
    read(kind).ok().flatten().map(|value| kind.join(value))
}
