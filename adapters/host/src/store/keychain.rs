//! Credentials in the operating system's keychain, through `keyring-core`.
//!
//! Which keychain that is the program chooses: it passes a store of one of the `keyring-core`
//! backends, or makes one the default. How durable a record is, is up to that store: one that
//! forgets at log-out forgets logins.
//!
//! A folder does what a keychain cannot do: it has the leases, the intents, the lock under which a
//! record is compared and swapped, and the names of the records that there are. Keychains have no
//! common way to be searched, and the names are digests; nothing secret is in the folder, and if
//! the keychain fails nothing is put there instead (HOST-292). The folder has to be as durable as
//! the keychain, and is to be the same for every process that uses the same service.
//!
//! The keychain is asked on a thread of its own, and not for longer than a limit. A swap that was
//! answered as failed because the limit had passed is not made afterwards, unless it was at its very
//! last call; then a later load shows it.
//!
//! A record that is larger than an entry may be is split. An entry that was changed by another
//! program, or was never ours, is reported as `store_corrupt` and left alone: whoever knows what it
//! is removes it with the system's own program (HOST-294).

mod entries;
mod parts;
mod records;
mod worker;

use core::fmt;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use keyring_core::CredentialStore;
use mcp_authz_core::effect::{Key, Record, RecordKind, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;
use sha2::{Digest, Sha256};

use self::entries::Entries;
use self::records::Records;
use self::worker::{Wanted, Worker};
use crate::store::folder::Folder;
use crate::store::marks::Marks;
use crate::store::{StoreError, names};

/// How long the keychain may take for one operation. A person may have to find a password.
const LIMIT: Duration = Duration::from_secs(25);
/// How long a swap waits for others of the same record.
const PATIENCE: Duration = Duration::from_secs(10);

/// Records in the keychain, shared with every other process that opens the same service and folder.
///
/// ```
/// use std::sync::Arc;
///
/// use mcp_authz_driver::ports::Common;
/// use mcp_authz_host::store::Keychain;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// // One of the backends of keyring-core; this one is for tests.
/// let backend = keyring_core::mock::Store::new()?;
/// let store = Keychain::open("com.example.editor", backend, folder)?;
/// let ports = Common { store: Arc::new(store), ..Common::default() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keychain {
    service: String,
    records: Arc<Records>,
    marks: Marks,
    worker: Worker,
}

impl Keychain {
    /// Opens a service's entries, and makes the folder for leases and intents if it is not there.
    /// One entry is written, read back and removed, so that a keychain that is locked, denied or
    /// not there is found out now.
    ///
    /// # Errors
    /// `store_unavailable` if the keychain does not answer as it should within 25 seconds: ask the
    /// person to unlock it, or to choose another store; never choose a plain file unasked.
    /// `config_invalid` for a service's name that it does not take. Other errors say what is in the
    /// way of the folder, as for the file store.
    pub fn open(
        service: &str,
        store: Arc<CredentialStore>,
        folder: impl AsRef<Path>,
    ) -> Result<Self, StoreError> {
        Self::open_within(LIMIT, service, store, folder)
    }

    /// [`open`](Self::open) with the store that the program has made the default one of
    /// `keyring-core`.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `store_unavailable` if there is no default store: set one first.
    pub fn open_default(service: &str, folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        match keyring_core::get_default_store() {
            Some(store) => Self::open(service, store, folder),
            None => Err(StoreError::keychain(Kind::StoreUnavailable, service)),
        }
    }

    /// [`open`](Self::open) with another limit for the opening and for each operation after it. More
    /// than 25 seconds is too much: whoever waits for a store gives it up after 30.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(
        limit: Duration,
        service: &str,
        store: Arc<CredentialStore>,
        folder: impl AsRef<Path>,
    ) -> Result<Self, StoreError> {
        let failed = |kind| StoreError::keychain(kind, service);
        if service.is_empty() {
            return Err(failed(Kind::ConfigInvalid));
        }
        // A folder for each service, so that none meets another's leases.
        let digest = names::hex(&Sha256::digest(service));
        let own = folder.as_ref().join(format!("keychain-{digest}"));
        let folder = Arc::new(Folder::open(&own)?);
        let entries = Entries::new(service.to_owned(), store);
        let worker = Worker::start(limit).map_err(|_| failed(Kind::StoreUnavailable))?;
        let piece = worker.run({
            let entries = entries.clone();
            move |_| records::probe(&entries)
        });
        let piece = piece.unwrap_or(Err(Kind::StoreUnavailable)).map_err(failed)?;
        let marks = Marks::within(Arc::clone(&folder));
        let patience = PATIENCE.min(limit / 2);
        let records = Arc::new(Records { entries, folder, piece, patience });
        Ok(Self { service: service.to_owned(), records, marks, worker })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records, &Wanted) -> Result<T, Kind> + Send + 'static,
    ) -> Result<T, Kind> {
        let records = Arc::clone(&self.records);
        let done = self.worker.run(move |wanted| work(&records, wanted));
        done.unwrap_or(Err(Kind::StoreUnavailable)).map_err(|kind| match kind {
            // It took the same kind of name when it was opened.
            Kind::ConfigInvalid => Kind::StoreUnavailable,
            kind => kind,
        })
    }

    fn load(&self, key: Key) -> Result<Option<Record>, Kind> {
        self.run(move |records, _| records.load(&key))
    }

    fn swap(&self, key: Key, expected: Option<u64>, new: Record) -> Stored {
        let (of, generation) = (key.clone(), new.generation);
        let swap =
            move |records: &Records, wanted: &Wanted| records.swap(&key, expected, &new, wanted);
        let answer = self.run(swap).unwrap_or_else(Stored::Failed);
        if answer == Stored::Swapped {
            self.marks.swapped(&of, expected, generation);
        }
        answer
    }
}

impl Store for Keychain {
    fn perform(&self, request: StoreRequest) -> Stored {
        match request {
            StoreRequest::Load { key } => {
                self.load(key).map_or_else(Stored::Failed, Stored::Loaded)
            }
            StoreRequest::Swap { key, expected, record } => self.swap(key, expected, record),
            StoreRequest::Lease { key, holder } => self.marks.lease(&key, holder),
            StoreRequest::Intend { key, spend, holder } => {
                self.marks.intend_in_time(&key, &spend, holder, || {
                    self.load(key.clone()).map(|held| held.map(|held| held.generation))
                })
            }
            StoreRequest::Release { key, holder, withdraw } => {
                self.marks.release(&key, holder, withdraw.as_ref())
            }
            StoreRequest::Leave { holder } => self.marks.leave(holder),
        }
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        self.run(move |records, _| records.list(kind))
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keychain").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
