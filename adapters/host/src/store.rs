//! Where credentials are kept.

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
