//! The folder by its path, where there are no handles to go by. Weaker: owners and rights of others
//! are not looked at, a folder that is replaced is followed, and names are as durable as the system
//! makes them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mcp_authz_core::failure::Kind;

use crate::store::StoreError;

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens it, and makes it first if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let path: PathBuf = path.components().collect();
        if path.as_os_str().is_empty() {
            return Err(StoreError::new(Kind::ConfigInvalid, &path));
        }
        let failed = |error| StoreError::io(&path, error);
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).create(&path).map_err(failed)?;
                fs::symlink_metadata(&path).map_err(failed)?
            }
            found => found.map_err(failed)?,
        };
        if found.is_symlink() {
            return Err(StoreError::new(Kind::StoreSymlink, &path));
        }
        if !found.is_dir() {
            return Err(StoreError::new(Kind::StoreKind, &path));
        }
        // A later change of the working directory changes nothing.
        let path = std::path::absolute(&path).map_err(failed)?;
        Ok(Self { path })
    }

    /// Where a file of the folder is.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates a file that must not be there yet.
    pub(crate) fn create(&self, name: &str) -> Result<File, StoreError> {
        let created =
            OpenOptions::new().read(true).write(true).create_new(true).open(self.path_of(name));
        created.map_err(|error| self.failed(name, error))
    }

    /// Opens a file for its lock; makes it if it is not there.
    pub(crate) fn open_or_create(&self, name: &str) -> Result<File, StoreError> {
        loop {
            if let Some(file) = self.find(name)? {
                return Ok(file);
            }
            let path = self.path_of(name);
            match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => return created.map_err(|error| self.failed(name, error)),
            }
        }
    }

    /// Opens a file for its lock, if it is there.
    pub(crate) fn find(&self, name: &str) -> Result<Option<File>, StoreError> {
        let path = self.path_of(name);
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| self.failed(name, error))?,
        };
        if found.is_symlink() {
            return Err(StoreError::new(Kind::StoreSymlink, &path));
        }
        if !found.is_file() {
            return Err(StoreError::new(Kind::StoreKind, &path));
        }
        match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(|error| self.failed(name, error)),
        }
    }

    /// Opens a record's file, if it is there, and tells its length.
    pub(crate) fn open_private(&self, name: &str) -> Result<Option<(File, u64)>, StoreError> {
        let Some(file) = self.find(name)? else { return Ok(None) };
        let found = file.metadata().map_err(|error| self.failed(name, error))?;
        Ok(Some((file, found.len())))
    }

    /// Not known here.
    pub(crate) fn is_still(&self, _: &str, _: &File) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Gives a file another name, whatever had that name before.
    pub(crate) fn replace(&self, from: &str, to: &str) -> Result<(), StoreError> {
        fs::rename(self.path_of(from), self.path_of(to)).map_err(|error| self.failed(to, error))
    }

    /// Gives a file another name, which must not be in use: false if it is.
    pub(crate) fn publish(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        match fs::hard_link(self.path_of(from), self.path_of(to)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            linked => linked.map_err(|error| self.failed(to, error))?,
        }
        let _second_name_is_swept_later = self.remove(from);
        Ok(true)
    }

    /// Removes a file. That it is gone already is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path_of(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.failed(name, error)),
        }
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                names.extend(entry?.file_name().into_string());
            }
            Ok(names)
        };
        read().map_err(|error| StoreError::io(&self.path, error))
    }

    /// Left to the system.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn failed(&self, name: &str, error: io::Error) -> StoreError {
        StoreError::io(&self.path_of(name), error)
    }
}
