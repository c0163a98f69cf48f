//! The file store between processes, and in those that are killed, refused or cut off in the middle
//! of a save.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "file_store/child.rs"]
mod child;
#[cfg(target_os = "linux")]
#[path = "file_store/crash.rs"]
mod crash;
#[cfg(target_os = "linux")]
#[path = "file_store/power.rs"]
mod power;
#[path = "file_store/processes.rs"]
mod processes;
#[cfg(target_os = "linux")]
#[path = "file_store/trace.rs"]
mod trace;
