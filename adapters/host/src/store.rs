//! Where credentials are kept.
//!
//! | store | for | ends with |
//! | --- | --- | --- |
//! | `FileStore` (feature `files`) | every process that opens the folder | the folder |
//! | `Keychain` (feature `keychain`) | every process that opens the service and the folder | its backend's entries |
//! | [`MemoryStore`] | one process | the process |
//!
//! Processes that share a folder share a login that waits for its person, too: [`PendingLogin`] (feature
//! `files`).
//!
//! For a store whose records are kept elsewhere, `marks` does leases and intents on disk (feature `files`).

#[cfg(feature = "files")]
mod alone;
#[cfg(feature = "files")]
mod document;
#[cfg(feature = "files")]
mod error;
#[cfg(feature = "files")]
mod file;
#[cfg(feature = "files")]
mod folder;
#[cfg(feature = "keychain")]
mod keychain;
#[cfg(feature = "files")]
mod lock;
#[cfg(feature = "files")]
pub mod marks;
mod memory;
#[cfg(feature = "files")]
mod names;
#[cfg(feature = "files")]
mod pending;

#[cfg(feature = "files")]
pub use error::StoreError;
#[cfg(feature = "files")]
pub use file::{FileStore, data_folder};
#[cfg(feature = "keychain")]
pub use keychain::Keychain;
pub use memory::MemoryStore;
#[cfg(feature = "files")]
pub use pending::{Leader, PendingLogin};
