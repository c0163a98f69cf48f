//! What the drivers share memory through: std's parts, or loom's, which try every interleaving.
//!
//! Reference counts stay std's: they are in the core's types too, and nothing here looks at them.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};
