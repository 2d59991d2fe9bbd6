//! The intent, on disk: an embedded redb database in the state folder.
//!
//! Two tables: `objects` from `kind/name` to the resource in JSON with its revision, `meta` with the version of this
//! layout, the revision of the store and its id. A commit writes all of a change, raises the revision by one, and is on
//! disk when it returns.
//!
//! The id tells a store from any other, an empty one in its place too: a kernel that follows one store is not taken
//! over by another.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};
use weft_api::kind::Reference;
use weft_api::resource::Resource;
use weft_api::view::Stored;

/// Name of the database in the state folder.
pub const FILE_NAME: &str = "weft.redb";

/// Start of the name of a database that is being made; the process's id follows.
const UNFINISHED: &str = "weft.redb.new-";

/// Version of the layout that this weftd writes, and the newest that it reads.
const SCHEMA: u64 = 1;

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_SCHEMA: &str = "schema";
const META_REVISION: &str = "revision";
/// The halves of the id.
const META_ID: [&str; 2] = ["id_high", "id_low"];

/// The open database.
#[derive(Debug)]
pub struct Store {
    /// `None` after a failure: redb answers nothing more until it is opened anew, also when the disk has room again.
    database: Option<Database>,
    file: PathBuf,
    id: u128,
}

/// A change to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// It is as given from now on.
    Put(Resource),
    /// It goes.
    Delete(Reference),
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state folder cannot be made.
    #[error("state folder {}: {cause}; make it, or set state.folder to one that weftd may write", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Another weftd has it.
    #[error(
        "store {}: another weftd has it open; stop that one, or give this one a state.folder of its own",
        file.display()
    )]
    InUse {
        /// The database.
        file: PathBuf,
    },
    /// A newer weftd wrote it.
    #[error(
        "store {}: its layout has version {found}, this weftd knows up to {SCHEMA}; run the weftd that wrote it, or a \
         newer one",
        file.display()
    )]
    TooNew {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: u64,
    },
    /// It is not a database of ours, or is damaged.
    #[error(
        "store {}: it is damaged or no weft database: {cause}. What it held (networks, subnets, ports, remotes, peers) is lost \
         here; the kernel goes on forwarding as it is. Restore a copy of the file, or move it away, start once with \
         `weftd --take-over`, which removes the ports, apply your files again and attach the workloads again",
        file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What the reader said.
        cause: String,
    },
    /// The disk failed.
    #[error("store {}: {cause}", file.display())]
    Io {
        /// The database.
        file: PathBuf,
        /// What failed.
        cause: String,
    },
}

impl Store {
    /// Opens the database of a state folder; makes both if missing. After a power cut it is the one of the last commit
    /// that returned, or of the one that was under way.
    ///
    /// # Errors
    /// [`StoreError`]. A damaged database stays refused, though the attempt to repair it may have written into it; any
    /// other is as it was.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|cause| StoreError::Folder { folder: folder.to_owned(), cause })?;
        let file = folder.join(FILE_NAME);
        let mut store = Self { database: None, file, id: 0 };
        store.id = store.prepare()?;
        Ok(store)
    }

    /// What tells it from every other store: 32 hexadecimal digits, drawn when it was made.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// Every object, and the revision of the store.
    ///
    /// # Errors
    /// [`StoreError`] if the disk fails or an object is not readable.
    pub fn load(&mut self) -> Result<(u64, Vec<Stored>), StoreError> {
        let begun = self.database()?.begin_read();
        let transaction = begun.map_err(|error| self.failed(error))?;
        let meta = transaction.open_table(META).map_err(|error| self.failed(error))?;
        let revision =
            meta.get(META_REVISION).map_err(|error| self.failed(error))?.map_or(0, |value| value.value());
        let objects = transaction.open_table(OBJECTS).map_err(|error| self.failed(error))?;
        let mut all = Vec::new();
        for entry in objects.iter().map_err(|error| self.failed(error))? {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            let stored = serde_json::from_slice(value.value()).map_err(|error| StoreError::Damaged {
                file: self.file.clone(),
                cause: format!("{}: {error}", key.value()),
            })?;
            all.push(stored);
        }
        Ok((revision, all))
    }

    /// Writes all of `writes`, or nothing. Returns the store's revision after it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written.
    pub fn commit(&mut self, writes: &[Write]) -> Result<u64, StoreError> {
        let written = self.write(writes);
        if written.is_err() {
            self.database = None;
        }
        written
    }

    fn write(&mut self, writes: &[Write]) -> Result<u64, StoreError> {
        let begun = self.database()?.begin_write();
        let transaction = begun.map_err(|error| self.failed(error))?;
        let revision;
        {
            let mut meta = transaction.open_table(META).map_err(|error| self.failed(error))?;
            let before =
                meta.get(META_REVISION).map_err(|error| self.failed(error))?.map_or(0, |value| value.value());
            revision = before + 1;
            meta.insert(META_REVISION, revision).map_err(|error| self.failed(error))?;
            let mut objects = transaction.open_table(OBJECTS).map_err(|error| self.failed(error))?;
            for write in writes {
                match write {
                    Write::Put(resource) => {
                        let key = resource.reference().to_string();
                        let stored = Stored { resource: resource.clone(), revision };
                        let value = serde_json::to_vec(&stored).map_err(|error| self.failed(error))?;
                        objects.insert(key.as_str(), value.as_slice()).map_err(|error| self.failed(error))?;
                    }
                    Write::Delete(id) => {
                        objects.remove(id.to_string().as_str()).map_err(|error| self.failed(error))?;
                    }
                }
            }
        }
        transaction.commit().map_err(|error| self.failed(error))?;
        Ok(revision)
    }

    /// Makes the tables of a new database; refuses those of a newer weftd. Returns the id, which is drawn here if there
    /// is none yet.
    fn prepare(&mut self) -> Result<u128, StoreError> {
        let begun = self.database()?.begin_write();
        let transaction = begun.map_err(|error| self.failed(error))?;
        let id;
        {
            let mut meta = transaction.open_table(META).map_err(|error| self.damaged(error))?;
            let found =
                meta.get(META_SCHEMA).map_err(|error| self.damaged(error))?.map(|value| value.value());
            match found {
                None => drop(meta.insert(META_SCHEMA, SCHEMA).map_err(|error| self.failed(error))?),
                Some(found) if found > SCHEMA => {
                    return Err(StoreError::TooNew { file: self.file.clone(), found });
                }
                Some(_) => {}
            }
            let mut halves = [0; 2];
            let mut known = true;
            for (half, key) in halves.iter_mut().zip(META_ID) {
                match meta.get(key).map_err(|error| self.damaged(error))? {
                    Some(value) => *half = value.value(),
                    None => known = false,
                }
            }
            if !known {
                halves = draw().map_err(|error| self.failed(format_args!("no id can be drawn: {error}")))?;
                for (half, key) in halves.iter().zip(META_ID) {
                    meta.insert(key, half).map_err(|error| self.failed(error))?;
                }
            }
            id = u128::from(halves[0]) << 64 | u128::from(halves[1]);
            transaction.open_table(OBJECTS).map_err(|error| self.damaged(error))?;
        }
        transaction.commit().map_err(|error| self.failed(error))?;
        Ok(id)
    }

    fn database(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.file).map_err(|error| open_error(&self.file, error))?,
        };
        Ok(self.database.insert(database))
    }

    fn failed(&self, cause: impl ToString) -> StoreError {
        StoreError::Io { file: self.file.clone(), cause: cause.to_string() }
    }

    fn damaged(&self, cause: impl ToString) -> StoreError {
        StoreError::Damaged { file: self.file.clone(), cause: cause.to_string() }
    }
}

/// Opens the database, or makes an empty one. Every page is checked, also after a clean end: a damaged one is refused
/// here, and not found when it is needed.
fn open(file: &Path) -> Result<Database, DatabaseError> {
    if !file.exists() {
        make(file)?;
    }
    Database::builder().set_check_integrity_on_open(true).open(file)
}

/// Makes an empty database. It gets its name when it is whole and on the disk: a power cut leaves no half of one.
fn make(file: &Path) -> Result<(), DatabaseError> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    let unfinished = folder.join(format!("{UNFINISHED}{}", std::process::id()));
    drop(Database::create(&unfinished)?);
    File::open(&unfinished)?.sync_all()?;
    // Unlike renaming, this leaves alone what another weftd made meanwhile.
    match std::fs::hard_link(&unfinished, file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    std::fs::remove_file(&unfinished)?;
    // Without it a power cut may take the file's name, and with it what is committed later.
    Ok(File::open(folder)?.sync_all()?)
}

/// Random numbers of the kernel.
fn draw() -> std::io::Result<[u64; 2]> {
    let mut bytes = [[0; 8]; 2];
    File::open("/dev/urandom")?.read_exact(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_ne_bytes))
}

fn open_error(file: &Path, error: DatabaseError) -> StoreError {
    let file = file.to_owned();
    if matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) {
        return StoreError::InUse { file };
    }
    if let DatabaseError::Storage(StorageError::Io(error)) = &error
        && !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    {
        return StoreError::Io {
            file,
            cause: format!("{error}; is the folder on a writable disk with free space?"),
        };
    }
    // Whatever else keeps a database from being read is damage to the user.
    StoreError::Damaged { file, cause: error.to_string() }
}

#[cfg(test)]
mod tests;
