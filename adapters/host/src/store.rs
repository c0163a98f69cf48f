//! Where credentials are kept.

mod alone;
mod document;
mod error;
mod file;
mod folder;
mod lock;
pub mod marks;
mod memory;
mod names;

pub use error::StoreError;
pub use file::FileStore;
pub use memory::Memory;
