//! Where credentials are kept.

mod error;
mod folder;
mod lock;
pub mod marks;
mod memory;
mod names;

pub use error::StoreError;
pub use memory::Memory;
