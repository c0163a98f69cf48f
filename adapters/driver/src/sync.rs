//! The parts through which drivers share memory: std's, or loom's, which try every interleaving.
//!
//! Reference counts stay std's: they are in the core's types too, and nothing here looks at them.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64},
    },
    thread,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64},
    },
    thread,
};

/// Words of stack that a step of a session fits in; loom's threads have less.
#[cfg(loom)]
pub(crate) const STACK: usize = 0x10_000;

/// A helper thread, unless there is none to be had.
pub(crate) fn helper() -> thread::Builder {
    let builder = thread::Builder::new().name("mcp-authz".to_owned());
    #[cfg(loom)]
    let builder = builder.stack_size(STACK);
    builder
}
