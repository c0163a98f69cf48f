//! Where credentials are kept.
//!
//! | store | for | ends with |
//! | --- | --- | --- |
//! | [`FileStore`] | every process that opens the folder | the folder |
//! | `Keychain` (feature `keychain`) | every process that opens the service and the folder | its backend's entries |
//! | [`Memory`] | one process | the process |
//!
//! For a store whose records are kept elsewhere, [`marks`] does leases and intents on disk.

mod alone;
mod document;
mod error;
mod file;
mod folder;
#[cfg(feature = "keychain")]
mod keychain;
mod lock;
pub mod marks;
mod memory;
mod names;

pub use error::StoreError;
pub use file::FileStore;
#[cfg(feature = "keychain")]
pub use keychain::Keychain;
pub use memory::Memory;
