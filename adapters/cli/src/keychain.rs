//! The keychain of the operating system as a store.

use std::sync::Arc;

use mcp_authz_host::store::Keychain;
use mcp_authz_tokio::Store;

use crate::fault::Fault;
use crate::options::Options;
use crate::server::{folder, in_the_way};

/// The name under which the entries are found there.
const SERVICE: &str = "mcp-authz";

/// The store in the keychain. Its leases and intents are files, in the folder of `--store` or in the
/// user's data folder.
pub(crate) fn store(options: &Options) -> Result<Arc<dyn Store>, Fault> {
    let folder = folder(options)?;
    let backend = backend().map_err(|error| {
        Fault::new(
            "store_unavailable",
            &format!("the keychain of this machine cannot be used: {error}"),
            mcp_authz_core::failure::Remedy::Configure,
        )
    })?;
    let store = Keychain::open(SERVICE, backend, folder).map_err(|error| in_the_way(&error))?;
    Ok(Arc::new(store))
}

type Backend = Arc<keyring_core::CredentialStore>;

#[cfg(target_os = "linux")]
fn backend() -> keyring_core::Result<Backend> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn backend() -> keyring_core::Result<Backend> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn backend() -> keyring_core::Result<Backend> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn backend() -> keyring_core::Result<Backend> {
    Err(keyring_core::Error::NotSupportedByStore("there is none for this operating system".into()))
}
