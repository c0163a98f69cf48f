//! The entries of one service in the keychain, by name. Called on the worker's thread only.

use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};
use mcp_authz_core::effect::Bytes;
use mcp_authz_core::failure::Kind;

/// Where the entries are.
#[derive(Clone)]
pub(super) struct Entries {
    service: String,
    store: Arc<CredentialStore>,
}

/// One of the entries of a name. Most platforms have one at most; some keep apart what was put into
/// two collections, or before and after a migration.
pub(super) struct Copy {
    entry: Entry,
    pub(super) content: Bytes,
}

impl Entries {
    pub(super) const fn new(service: String, store: Arc<CredentialStore>) -> Self {
        Self { service, store }
    }

    /// Every entry of a name.
    pub(super) fn read(&self, name: &str) -> Result<Vec<Copy>, Kind> {
        let entry = self.entry(name)?;
        match entry.get_secret() {
            Ok(content) => Ok(vec![Copy { entry, content: Bytes(content) }]),
            Err(Error::NoEntry) => Ok(Vec::new()),
            Err(Error::Ambiguous(several)) => {
                several.into_iter().filter_map(|entry| Copy::read(entry).transpose()).collect()
            }
            Err(error) => Err(kind_of(error)),
        }
    }

    /// Writes a name's only entry.
    pub(super) fn write(&self, name: &str, content: &Bytes) -> Result<(), Kind> {
        self.entry(name)?.set_secret(&content.0).map_err(kind_of)
    }

    fn entry(&self, name: &str) -> Result<Entry, Kind> {
        self.store.build(&self.service, name, None).map_err(kind_of)
    }
}

impl Copy {
    fn read(entry: Entry) -> Result<Option<Self>, Kind> {
        match entry.get_secret() {
            Ok(content) => Ok(Some(Self { entry, content: Bytes(content) })),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(kind_of(error)),
        }
    }

    /// Replaces this very entry.
    pub(super) fn replace(&self, content: &Bytes) -> Result<(), Kind> {
        self.entry.set_secret(&content.0).map_err(kind_of)
    }

    pub(super) fn remove(self) -> Result<(), Kind> {
        match self.entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(kind_of(error)),
        }
    }
}

/// The platform's error, as a code. Its own words are not kept: they may hold what was read.
fn kind_of(error: Error) -> Kind {
    match error {
        Error::BadEncoding(content) | Error::BadDataFormat(content, _) => {
            drop(Bytes(content));
            Kind::StoreCorrupt
        }
        Error::BadStoreFormat(_) => Kind::StoreCorrupt,
        Error::TooLong(..) => Kind::StoreTooLarge,
        Error::Invalid(..) => Kind::ConfigInvalid,
        _ => Kind::StoreUnavailable,
    }
}
