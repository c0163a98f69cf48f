//! Where credentials are kept.

mod memory;

pub use memory::Memory;
