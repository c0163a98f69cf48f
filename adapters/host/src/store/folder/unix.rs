//! The folder by its handle.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mcp_authz_core::failure::Kind;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::store::StoreError;

/// Ours alone.
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Others may change what is in it.
const OPEN_TO_OTHERS: u32 = 0o022;
/// Others may do anything at all with it.
const ANY_OTHERS: u32 = 0o077;
/// Links are not followed, a FIFO without a writer is not waited for, a terminal does not become
/// ours, and no child inherits the descriptor.
const CAREFULLY: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A folder that only its owner can change.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens it, and makes it first if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        // A link with a slash or a dot after it would be followed.
        let path: PathBuf = path.components().collect();
        if path.as_os_str().is_empty() {
            return Err(StoreError::new(Kind::ConfigInvalid, &path));
        }
        let failed = |errno: Errno| StoreError::io(&path, errno.into());
        let handle = match open_folder(&path) {
            Err(Errno::NOENT) => {
                make(&path).map_err(failed)?;
                open_folder(&path)
            }
            opened => opened,
        };
        let handle = handle.map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP | Errno::MLINK => misplaced(&path),
            other => failed(other),
        })?;
        let folder = File::from(handle);
        let found = look_at(&folder).map_err(|error| StoreError::io(&path, error))?;
        if !is_ours(&found) || found.mode() & OPEN_TO_OTHERS != 0 {
            return Err(StoreError::new(Kind::StorePermissions, &path));
        }
        if found.mode() & ANY_OTHERS != 0 {
            let _is_as_it_was = retry_on_intr(|| rustix::fs::fchmod(&folder, Mode::RWXU));
        }
        Ok(Self { handle: folder.into(), path })
    }

    /// Where a file of the folder is, for people.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates a file that must not be there yet.
    pub(crate) fn create(&self, name: &str) -> Result<File, StoreError> {
        let new = CAREFULLY | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        self.open_at(name, new).map_err(|errno| self.failed(name, errno))
    }

    /// Opens a file for its lock; makes it if it is not there.
    pub(crate) fn open_or_create(&self, name: &str) -> Result<File, StoreError> {
        let opened = self.open_at(name, CAREFULLY | OFlags::RDWR | OFlags::CREATE);
        let file = opened.map_err(|errno| self.failed(name, errno))?;
        self.checked(name, file).map(|(file, _)| file)
    }

    /// Opens a file for its lock, if it is there.
    pub(crate) fn find(&self, name: &str) -> Result<Option<File>, StoreError> {
        match self.open_at(name, CAREFULLY | OFlags::RDWR) {
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(name, errno)),
            Ok(file) => self.checked(name, file).map(|(file, _)| Some(file)),
        }
    }

    /// Opens a record's file, if it is there, and tells its length. If others could only read the
    /// file, that right is taken from them; a file that they could have written is not believed.
    pub(crate) fn open_private(&self, name: &str) -> Result<Option<(File, u64)>, StoreError> {
        let (file, found) = match self.open_at(name, CAREFULLY | OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.failed(name, errno)),
            Ok(file) => self.checked(name, file)?,
        };
        Ok(Some((file, found.len())))
    }

    /// Returns true if an open file is still the one of this name.
    pub(crate) fn is_still(&self, name: &str, file: &File) -> Result<bool, StoreError> {
        let stat = || rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW);
        let named = match retry_on_intr(stat) {
            Err(Errno::NOENT) => return Ok(false),
            named => named.map_err(|errno| self.failed(name, errno))?,
        };
        let open = retry_on_intr(|| rustix::fs::fstat(file));
        let open = open.map_err(|errno| self.failed(name, errno))?;
        Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
    }

    /// Gives a file another name, whatever had that name before.
    pub(crate) fn replace(&self, from: &str, to: &str) -> Result<(), StoreError> {
        retry_on_intr(|| rustix::fs::renameat(&self.handle, from, &self.handle, to))
            .map_err(|errno| self.failed(to, errno))
    }

    /// Gives a file another name, which must not be in use: false if it is.
    pub(crate) fn publish(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        match self.rename_to_new(from, to) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.failed(to, errno)),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_to_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        use rustix::fs::{RenameFlags, renameat_with};
        let renamed = retry_on_intr(|| {
            renameat_with(&self.handle, from, &self.handle, to, RenameFlags::NOREPLACE)
        });
        match renamed {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link_to_new(from, to),
            other => other,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn rename_to_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        self.link_to_new(from, to)
    }

    fn link_to_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        let link = || rustix::fs::linkat(&self.handle, from, &self.handle, to, AtFlags::empty());
        retry_on_intr(link)?;
        let _second_name_is_swept_later = self.remove(from);
        Ok(())
    }

    /// Removes a file. That it is gone already is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        match retry_on_intr(|| rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed(name, errno)),
        }
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> Result<Vec<String>, Errno> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&self.handle)? {
                if let Ok(name) = entry?.file_name().to_str() {
                    names.push(name.to_owned());
                }
            }
            Ok(names)
        };
        retry_on_intr(read).map_err(|errno| StoreError::io(&self.path, errno.into()))
    }

    /// Makes names durable. A description that saw a failure may hide the next one, so each time it
    /// is a new one (HOST-282).
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(&self.handle, ".", flags, Mode::empty()))
            .and_then(|fresh| retry_on_intr(|| rustix::fs::fsync(&fresh)))
            .map_err(|errno| StoreError::io(&self.path, errno.into()))
    }

    fn open_at(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        retry_on_intr(|| rustix::fs::openat(&self.handle, name, flags, FILE)).map(File::from)
    }

    /// Only a plain file of our own is used, whatever has that name.
    fn checked(&self, name: &str, file: File) -> Result<(File, Metadata), StoreError> {
        let path = self.path_of(name);
        let found = look_at(&file).map_err(|error| StoreError::io(&path, error))?;
        if !found.is_file() {
            return Err(StoreError::new(Kind::StoreKind, &path));
        }
        if !is_ours(&found) || found.mode() & OPEN_TO_OTHERS != 0 {
            return Err(StoreError::new(Kind::StorePermissions, &path));
        }
        // A user that can read a lock file can hold its lock.
        if found.mode() & ANY_OTHERS != 0 {
            retry_on_intr(|| rustix::fs::fchmod(&file, FILE))
                .map_err(|errno| self.failed(name, errno))?;
        }
        Ok((file, found))
    }

    fn failed(&self, name: &str, errno: Errno) -> StoreError {
        StoreError::io(&self.path_of(name), errno.into())
    }
}

fn look_at(file: &File) -> io::Result<Metadata> {
    loop {
        match file.metadata() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            found => return found,
        }
    }
}

fn is_ours(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
}

/// The error for a path at which there is no folder but something else.
fn misplaced(path: &Path) -> StoreError {
    let link = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
    StoreError::new(if link { Kind::StoreSymlink } else { Kind::StoreKind }, path)
}

/// Makes a folder and those above it, ours alone, and makes each durable: a record is not safe in a
/// folder that is lost with the power.
fn make(path: &Path) -> Result<(), Errno> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let mkdir = || retry_on_intr(|| rustix::fs::mkdirat(CWD, path, Mode::RWXU));
    let made = match (mkdir(), above) {
        (Err(Errno::NOENT), Some(above)) => {
            make(above)?;
            mkdir()
        }
        (made, _) => made,
    };
    match made {
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = above.unwrap_or(Path::new("."));
    match retry_on_intr(|| rustix::fs::openat(CWD, above, flags, Mode::empty())) {
        Ok(above) => retry_on_intr(|| rustix::fs::fsync(&above)),
        // One may be allowed to make a folder where one may not look.
        Err(Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}
