//! The errors of a store on disk: what it could not do, where, and what helps.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_driver::dial::exhausted;

/// Why a store cannot be opened or used. Holds the path and the system's reason, never a byte of a
/// record.
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    path: PathBuf,
    cause: Option<io::Error>,
    keychain: bool,
}

impl StoreError {
    pub(crate) fn new(kind: Kind, path: &Path) -> Self {
        Self { kind, path: path.to_owned(), cause: None, keychain: false }
    }

    /// An error of the keychain itself, under a service's name.
    #[cfg(feature = "keychain")]
    pub(crate) fn keychain(kind: Kind, service: &str) -> Self {
        Self { keychain: true, ..Self::new(kind, Path::new(service)) }
    }

    /// The system's error about a file or folder, as a `store_…` code.
    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        let kind = kind_of(&cause);
        Self { cause: Some(cause), ..Self::new(kind, path) }
    }

    /// The system's error about a lock.
    pub(crate) fn lock(path: &Path, cause: io::Error) -> Self {
        let kind = if unsupported(&cause) { Kind::StoreLockUnsupported } else { kind_of(&cause) };
        Self { cause: Some(cause), ..Self::new(kind, path) }
    }

    /// The code: one of the `store_…` ones, `machine_exhausted` if this machine has run out of
    /// descriptors, memory or disk space, or `config_invalid` if no folder was named.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file or folder at fault; if it is the keychain, the name of the service.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path for people: quoted and escaped, since it may hold anything.
    fn shown(&self) -> String {
        match self.path.as_os_str().is_empty() {
            true => "HOME is not set".to_owned(),
            false => format!("{:?}", self.path),
        }
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            Kind::ConfigInvalid if self.keychain => "give the service a name that the system takes",
            _ if self.keychain => {
                "unlock the system's keychain and let this program use it, or choose another store"
            }
            Kind::ConfigInvalid => {
                "set HOME to an absolute path, or choose a folder with FileStore::open"
            }
            Kind::StorePermissions => {
                "make it your own and take everybody else's rights away, or name another folder"
            }
            Kind::StoreSymlink => "put a plain folder or file there, or name where it leads",
            Kind::StoreKind => "move it out of the way, or name another folder",
            Kind::StoreLockUnsupported => "name a folder on a file system that has locks",
            Kind::StoreLocked => "try again when the other process is done",
            Kind::StoreVersion => "use the newer version that wrote it",
            Kind::StoreCorrupt => "log in again; the damaged file is kept beside it",
            Kind::StoreTooLarge => "move it out of the way",
            Kind::MachineExhausted => {
                "close files or programs, or free disk space, or raise this machine's limits on them"
            }
            _ => "see that it exists and is writable",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.sentence(), self.shown())?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        write!(f, "; {}", self.advice())
    }
}

mcp_authz_driver::diagnosed!(StoreError, this => Arc::new(
    Failure::new(this.kind, "STORE-01")
        .with_subject(&this.shown())
        .with_hint(this.advice()),
));

/// The failure that a manager reports where its store cannot be opened.
impl From<StoreError> for Arc<Failure> {
    fn from(error: StoreError) -> Self {
        error.diagnosis()
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(unix)]
fn kind_of(error: &io::Error) -> Kind {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        _ if exhausted(error) => Kind::MachineExhausted,
        // FreeBSD says EMLINK where others say ELOOP.
        Some(Errno::LOOP | Errno::MLINK) => Kind::StoreSymlink,
        // The errors of opening a socket, a device without a driver or a folder for writing.
        Some(Errno::NXIO | Errno::NODEV | Errno::ISDIR) => Kind::StoreKind,
        _ => Kind::StoreUnavailable,
    }
}

#[cfg(not(unix))]
fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        _ if exhausted(error) => Kind::MachineExhausted,
        io::ErrorKind::IsADirectory => Kind::StoreKind,
        _ => Kind::StoreUnavailable,
    }
}

#[cfg(unix)]
fn unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS];
    error.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}

#[cfg(not(unix))]
fn unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_path_and_what_helps() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::io(Path::new("/here/a\nb"), full);
        assert_eq!(error.kind(), Kind::MachineExhausted);
        let text = error.to_string();
        assert!(text.contains(r"/here/a\nb") && text.contains("space"), "{text}");
        assert!(!text.contains('\n'));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_has_a_code_of_its_own_host_288() {
        use rustix::io::Errno;
        for errno in [Errno::NOLCK, Errno::OPNOTSUPP] {
            let error = StoreError::lock(Path::new("/here"), errno.into());
            assert_eq!(error.kind(), Kind::StoreLockUnsupported);
            assert!(error.to_string().contains("locks"));
        }
        let error = StoreError::lock(Path::new("/here"), Errno::IO.into());
        assert_eq!(error.kind(), Kind::StoreUnavailable);
    }
}
