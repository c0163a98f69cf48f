//! The keychain store between processes, over a keychain that is a folder.

use std::any::Any;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::{Credential, Entry, Error, Result};
use mcp_authz_host::contract;
use mcp_authz_host::store::Keychain;

/// One file for each entry; not for keeping secrets in.
#[derive(Debug)]
struct Folder(PathBuf);

impl CredentialStoreApi for Folder {
    fn vendor(&self) -> String {
        "test".to_owned()
    }

    fn id(&self) -> String {
        "test".to_owned()
    }

    fn build(&self, _: &str, user: &str, _: Option<&HashMap<&str, &str>>) -> Result<Entry> {
        Ok(Entry::new_with_credential(Arc::new(File(self.0.join(user)))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Debug)]
struct File(PathBuf);

fn said(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NoEntry,
        _ => Error::PlatformFailure(error.into()),
    }
}

impl CredentialApi for File {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if secret.len() > 2_560 {
            return Err(Error::TooLong("secret".to_owned(), 2_560));
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = self.0.with_extension(format!("new-{}-{count}", std::process::id()));
        fs::write(&new, secret).and_then(|()| fs::rename(new, &self.0)).map_err(said)
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        fs::read(&self.0).map_err(said)
    }

    fn delete_credential(&self) -> Result<()> {
        fs::remove_file(&self.0).map_err(said)
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.get_secret().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn open(place: &Path) -> Keychain {
    let entries = place.join("entries");
    fs::create_dir_all(&entries).unwrap();
    Keychain::open("service", Arc::new(Folder(entries)), place.join("folder")).unwrap()
}

#[test]
fn a_keychain_keeps_the_promises_between_processes_host_238_host_239_host_240() {
    let test = "a_keychain_keeps_the_promises_between_processes_host_238_host_239_host_240";
    contract::across_processes(&contract::entry(module_path!(), test), open);
}
