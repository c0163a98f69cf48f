//! The bridge as its host starts it: a process with a pipe at each end, in front of servers of every
//! era.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]
#![forbid(unsafe_code)]

#[path = "bridge/eras.rs"]
mod eras;
#[path = "bridge/host.rs"]
mod host;
#[path = "bridge/logins.rs"]
mod logins;
#[path = "bridge/server.rs"]
mod server;
#[path = "bridge/sessions.rs"]
mod sessions;
#[path = "bridge/wire.rs"]
mod wire;
