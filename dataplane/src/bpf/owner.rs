//! Whose intent the pin folder's maps follow: an empty folder `owner/STORE` on the bpffs, which lives exactly as
//! long as the maps and programs do, and whose renaming is one step.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::OpenError;
use crate::{Owner, names};

/// Refuses `owner` if `folder` names another store, unless that is to be taken over.
pub(super) fn check(folder: &Path, owner: &Owner) -> Result<(), OpenError> {
    let stores = recorded(folder).map_err(|source| failed(folder, source))?;
    match stores.into_iter().next() {
        Some(other) if other != owner.store && !owner.take_over => Err(OpenError::OtherOwner {
            path: folder.parent().unwrap_or(folder).to_owned(),
            pinned: other,
            ours: owner.store.clone(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Makes `store` the owner, whoever was.
pub(super) fn record(folder: &Path, store: &str) -> Result<(), OpenError> {
    let ours = folder.join(store);
    let done = (|| {
        let mut builder = fs::DirBuilder::new();
        let builder = builder.recursive(true).mode(0o700);
        builder.create(folder)?;
        match recorded(folder)?.into_iter().next() {
            Some(held) if held == store => Ok(()),
            Some(other) => fs::rename(folder.join(other), &ours),
            None => builder.create(&ours),
        }
    })();
    done.map_err(|source| failed(&ours, source))
}

/// Where the owner is recorded.
pub(super) fn records(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(recorded(folder)?.into_iter().map(|store| folder.join(store)).collect())
}

/// The stores that are recorded: one, or none. What is not named like a store is not looked at.
fn recorded(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut stores = Vec::new();
    for entry in entries {
        stores.extend(entry?.file_name().into_string().ok().filter(|name| names::is_store(name)));
    }
    stores.sort();
    Ok(stores)
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Folder { path: path.to_owned(), source }
}
