//! Credentials in files, one for each record, for their owner alone.
//!
//! A file is never changed, only replaced as a whole: the new one is written beside it, made
//! durable, and given its name. So at any moment, whoever is killed or cut off, a record is the old
//! one or the new one. Swaps of one record wait for each other at a lock that its process's end
//! gives back; two records have nothing in common.
//!
//! Every file is checked before it is believed: that it is a plain file of ours that nobody else
//! can write, its size, its checksum, and that it was written for the key it is read for. A damaged
//! file is set aside under another name and reported once.
//!
//! On systems other than Unix the rights of others are not looked at, and that a replaced name is
//! durable is left to the system.

mod home;

use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use mcp_authz_core::effect::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;

use crate::store::alone::Alone;
use crate::store::document;
use crate::store::error::StoreError;
use crate::store::folder::{Folder, all_but_newest};
use crate::store::marks::Marks;
use crate::store::names;

pub use home::data_folder;

/// The largest file that is written or read.
const MOST: u64 = 4 * 1024 * 1024;
/// How long a swap waits for others of the same record. Each lasts as long as the disk needs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Damaged files that are kept of one record.
const DAMAGED: usize = 4;

/// Records in the files of one folder, shared with every other process that opens it.
///
/// ```
/// use std::sync::Arc;
///
/// use mcp_authz_driver::ports::Common;
/// use mcp_authz_host::store::FileStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("credentials");
/// let store = FileStore::open(&folder)?;
/// let ports = Common { store: Arc::new(store), ..Common::default() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore {
    folder: Arc<Folder>,
    marks: Marks,
    patience: Duration,
}

/// The finding under a record's name.
enum Found {
    Nothing,
    Whole(Record),
    Damaged,
}

/// The content of a file, or why it cannot be told.
type Content = Result<(Key, Record), Kind>;

impl FileStore {
    /// Opens a folder, and makes it if it is not there, for its owner alone.
    ///
    /// # Errors
    /// The error says what is in the way, with its code and what helps; show it to the person.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let folder = Arc::new(Folder::open(folder.as_ref())?);
        Ok(Self { marks: Marks::within(Arc::clone(&folder)), folder, patience: PATIENCE })
    }

    /// Opens the folder `mcp-authz` where the person's programs keep their data:
    /// `$XDG_DATA_HOME`, else `~/.local/share`, on Windows the roaming application data.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `config_invalid` if there is no telling where that is: name a
    /// folder.
    pub fn at_home() -> Result<Self, StoreError> {
        Self::open(data_folder()?)
    }

    /// The entries that a list of this kind leaves out although they have a record's name: a
    /// folder, a link, a file that is damaged, too large, or open to others. Show them to the
    /// person, who can move them away; a damaged file is set aside when its record is loaded.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn unreadable(&self, kind: RecordKind) -> Result<Vec<StoreError>, StoreError> {
        Ok(self.found(kind)?.filter_map(Result::err).collect())
    }

    /// Everything under a record's name: the record, or why it is none.
    fn found(
        &self,
        kind: RecordKind,
    ) -> Result<impl Iterator<Item = Result<(Key, Record), StoreError>>, StoreError> {
        let names = self.folder.names()?.into_iter().filter(move |name| names::is_stem(kind, name));
        Ok(names.filter_map(|name| match self.read(&name) {
            Ok(None) => None,
            Ok(Some(Ok((key, record)))) if names::stem(&key) == name => Some(Ok((key, record))),
            Ok(Some(Ok(_))) => Some(Err(self.error(Kind::StoreCorrupt, &name))),
            Ok(Some(Err(kind))) => Some(Err(self.error(kind, &name))),
            Err(error) => Some(Err(error)),
        }))
    }

    fn load(&self, key: &Key) -> Result<Stored, StoreError> {
        let name = names::stem(key);
        match self.look(&name, key)? {
            Found::Nothing => Ok(Stored::Loaded(None)),
            Found::Whole(record) => Ok(Stored::Loaded(Some(record))),
            Found::Damaged => self.look_again(&name, key),
        }
    }

    /// A file that looked damaged may have been replaced since; nobody replaces it under the lock.
    fn look_again(&self, name: &str, key: &Key) -> Result<Stored, StoreError> {
        // That there can be no lock, as on a read-only disk, makes the file no better.
        let _alone = self.alone(name).map_err(|_| self.error(Kind::StoreCorrupt, name))?;
        match self.look(name, key)? {
            Found::Whole(record) => Ok(Stored::Loaded(Some(record))),
            Found::Nothing => Err(self.error(Kind::StoreCorrupt, name)),
            Found::Damaged => Err(self.set_aside(name)),
        }
    }

    fn swap(&self, key: &Key, expected: Option<u64>, new: &Record) -> Result<Stored, StoreError> {
        let name = names::stem(key);
        let content = document::write(key, new);
        if content.0.len() as u64 > MOST {
            return Err(self.error(Kind::StoreTooLarge, &name));
        }
        let alone = self.alone(&name)?;
        let held = match self.look(&name, key)? {
            Found::Nothing => None,
            Found::Whole(record) => Some(record),
            Found::Damaged => return Err(self.set_aside(&name)),
        };
        if held.as_ref().map(|held| held.generation) != expected {
            return Ok(Stored::Conflict(held));
        }
        self.sweep(&name);
        self.replace(&name, &content, &alone)?;
        drop(alone);
        self.marks.swapped(key, expected, new.generation);
        Ok(Stored::Swapped)
    }

    fn replace(&self, name: &str, content: &Bytes, alone: &Alone) -> Result<(), StoreError> {
        let new = new_name(name)?;
        let replaced = self.write(&new, content).and_then(|()| {
            alone.check(&self.folder)?;
            self.folder.replace(&new, name)
        });
        if replaced.is_err() {
            let _swept_by_the_next = self.folder.remove(&new);
        }
        replaced.and_then(|()| self.folder.sync())
    }

    /// Writes a new file durably. After a failure the file is given up: what a second `fsync` says
    /// of it means nothing (HOST-282).
    fn write(&self, name: &str, content: &Bytes) -> Result<(), StoreError> {
        let mut file = self.folder.create(name)?;
        file.write_all(&content.0)
            .and_then(|()| file.sync_all())
            .map_err(|error| StoreError::io(&self.folder.path_of(name), error))
    }

    fn look(&self, name: &str, key: &Key) -> Result<Found, StoreError> {
        match self.read(name)? {
            None => Ok(Found::Nothing),
            Some(Err(Kind::StoreCorrupt)) => Ok(Found::Damaged),
            Some(Err(kind)) => Err(self.error(kind, name)),
            Some(Ok((of, _))) if of != *key => Ok(Found::Damaged),
            Some(Ok((_, record))) => Ok(Found::Whole(record)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Content>, StoreError> {
        let Some((file, length)) = self.folder.open_private(name)? else { return Ok(None) };
        if length > MOST {
            return Err(self.error(Kind::StoreTooLarge, name));
        }
        let content = read_to_end(file, length)
            .map_err(|error| StoreError::io(&self.folder.path_of(name), error))?;
        if content.0.len() as u64 > MOST {
            return Err(self.error(Kind::StoreTooLarge, name));
        }
        Ok(Some(document::read(&content.0)))
    }

    /// Keeps a damaged file under another name, so that nothing is saved over it. The answer is that
    /// the record is damaged, whether or not that could be done.
    fn set_aside(&self, name: &str) -> StoreError {
        if let Ok(random) = names::random()
            && self.folder.replace(name, &format!("{name}.damaged-{random}")).is_ok()
        {
            let _was_in_the_way_anyhow = self.folder.sync();
            self.keep_the_newest_damaged(name);
        }
        self.error(Kind::StoreCorrupt, name)
    }

    fn keep_the_newest_damaged(&self, name: &str) {
        let open = |name: &str| self.folder.open_private(name).ok().flatten().map(|(file, _)| file);
        for name in all_but_newest(DAMAGED, self.beside(name, "damaged-"), open) {
            let _next_time = self.folder.remove(&name);
        }
    }

    /// Removes what killed swaps of this record left. Under its lock there is no live one.
    fn sweep(&self, name: &str) {
        for left in self.beside(name, "new-") {
            let _next_time = self.folder.remove(&left);
        }
    }

    /// The files of a record that have this after its name.
    fn beside(&self, name: &str, what: &str) -> impl Iterator<Item = String> + use<> {
        let start = format!("{name}.{what}");
        let names = self.folder.names().unwrap_or_default();
        names.into_iter().filter(move |name| name.starts_with(&start))
    }

    fn alone(&self, name: &str) -> Result<Alone, StoreError> {
        Alone::wait(&self.folder, name, self.patience)
    }

    fn intend(&self, key: &Key, spend: &Spend, holder: Holder) -> Stored {
        self.marks.intend_in_time(key, spend, holder, || {
            let name = names::stem(key);
            match self.look(&name, key) {
                Ok(Found::Nothing) => Ok(None),
                Ok(Found::Whole(record)) => Ok(Some(record.generation)),
                Ok(Found::Damaged) => Err(Kind::StoreCorrupt),
                Err(error) => Err(error.kind()),
            }
        })
    }

    fn error(&self, kind: Kind, name: &str) -> StoreError {
        StoreError::new(kind, &self.folder.path_of(name))
    }
}

impl Store for FileStore {
    fn perform(&self, request: StoreRequest) -> Stored {
        let answer = match request {
            StoreRequest::Load { key } => self.load(&key),
            StoreRequest::Swap { key, expected, record } => self.swap(&key, expected, &record),
            StoreRequest::Lease { key, holder } => Ok(self.marks.lease(&key, holder)),
            StoreRequest::Intend { key, spend, holder } => Ok(self.intend(&key, &spend, holder)),
            StoreRequest::Release { key, holder, withdraw } => {
                Ok(self.marks.release(&key, holder, withdraw.as_ref()))
            }
            StoreRequest::Leave { holder } => Ok(self.marks.leave(holder)),
        };
        answer.unwrap_or_else(|error| Stored::Failed(error.kind()))
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        let mut listed = Vec::new();
        for found in self.found(kind).map_err(|error| error.kind())? {
            match found {
                Ok(record) => listed.push(record),
                // It is not that there is nothing, and it is not the file's fault.
                Err(error) if error.kind() == Kind::MachineExhausted => return Err(error.kind()),
                Err(_) => {}
            }
        }
        Ok(listed)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Foreseen by nobody, so that no link waits there; and created exclusively, in case one does
/// (HOST-276).
fn new_name(name: &str) -> Result<String, StoreError> {
    let random = names::random().map_err(|kind| StoreError::new(kind, Path::new(name)))?;
    Ok(format!("{name}.new-{random}"))
}

/// Reads a file of about this length, and never more than is allowed.
fn read_to_end(file: File, length: u64) -> std::io::Result<Bytes> {
    let room = usize::try_from(length.min(MOST)).unwrap_or_default().saturating_add(1);
    // In one piece from the start: a vector that grows leaves copies of secrets behind.
    let mut content = Bytes(Vec::with_capacity(room));
    file.take(MOST.saturating_add(1)).read_to_end(&mut content.0)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
